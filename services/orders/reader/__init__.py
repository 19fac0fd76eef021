"""Reader processes: read, validate and encode batches that may be harmful, without credentials.

`process` is the program, `pool` starts and talks to the processes, `protocol` is what both sides
share. Nothing is imported here, so that a process loads no more than it needs.
"""
