"""The RPCs of premiums: parse, open the transaction, call a command or a store, format."""
