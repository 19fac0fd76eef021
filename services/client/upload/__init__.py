"""From a file of orders to receipts: mapping, formats, batches, upload."""
