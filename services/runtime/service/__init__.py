"""One service as a running program: its context, requests, operations, the stack."""
