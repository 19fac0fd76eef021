"""Changes of claims, with a module for each aggregate: load, decide, save, publish."""
