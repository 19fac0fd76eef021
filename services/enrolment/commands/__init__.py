"""Changes of enrolment: load, decide, save, publish."""
