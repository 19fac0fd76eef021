"""RPCs of grading: parse, call a command or a query in a transaction, format."""
