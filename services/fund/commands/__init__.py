"""Changes of the fund: load, decide, save, publish."""
