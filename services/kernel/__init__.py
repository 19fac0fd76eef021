"""What money, days and law mean to every service. Standard library only; no I/O, no async."""
