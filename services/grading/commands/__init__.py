"""Changes of grading: load, decide, save, publish."""
