"""Changes of premiums: load, decide, store, publish. A module an aggregate."""
