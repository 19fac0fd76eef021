"""Settings, clock, log and tasks, which every other package of the runtime may use."""
