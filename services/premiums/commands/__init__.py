"""Changes of premiums: load, decide, store, publish; a module for each aggregate."""
