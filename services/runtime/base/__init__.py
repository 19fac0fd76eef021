"""Settings, clock, log and tasks: the room that every other room of the runtime may use."""
