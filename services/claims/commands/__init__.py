"""Changes of claims, a module for each aggregate: load, decide, save, publish."""
