"""How every service runs: database, events, RPC, clock, logs. It knows no service."""
