"""Tables of enrolment, and a module of statements for each aggregate."""
