"""What every other part of the runtime stands on: settings, clock, log, tasks."""
