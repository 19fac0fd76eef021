"""Tables of grading, and a module of statements for each aggregate."""
