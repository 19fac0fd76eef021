"""The evidence log of order records: a pure library that services, clients and tools share."""
