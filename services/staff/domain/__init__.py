"""Rules of the staff register, pure."""
