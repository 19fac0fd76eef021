"""gRPC: server, client, access, tokens, error statuses, values on the wire."""
