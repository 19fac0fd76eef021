"""Changes of the staff register: load, decide, save, publish."""
