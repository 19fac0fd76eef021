"""The month of a province, lived through the same entrances that its users have."""
