"""Changes of benefits, with a module for each aggregate: load, decide, save, publish."""
