"""The JSON door: the Connect protocol over the RPCs of all services, and uploads of orders."""
