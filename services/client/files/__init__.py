"""From a file of orders, whatever its form, to orders: mapping, formats, cells, places, faults."""
