"""From orders to receipts: workers, batches, the upload stream."""
