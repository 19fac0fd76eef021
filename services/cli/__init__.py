"""The command line `oip`: what people at platforms, agencies and desks do without a browser."""
