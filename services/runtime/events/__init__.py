"""Events between services: outbox, inbox, JetStream, dead letters."""
