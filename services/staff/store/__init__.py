"""Tables of the staff register, and a module of statements for each aggregate."""
