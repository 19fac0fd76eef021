"""A month of a province, simulated through the same services that its users call."""
