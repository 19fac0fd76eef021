"""A platform's client: read a file of orders, look up its workers, send it, keep the receipts.

    mapping = load_mapping(Path("mapping.toml"))
    for platform, orders in read_orders(Path("orders.parquet"), mapping).items():
        known = await look_up_workers(enrolment_stub, platform, orders)
        batches = cut(with_workers(orders, known), run="2025-07-31")
        receipts = await upload_orders(orders_stub, platform, batches)

A batch that got no answer is sent again under the same id; the service answers with the first
receipt. Nothing here needs the command line.
"""

from services.client.reading import Mapping, load_mapping, read_orders
from services.client.uploading import Batch, cut, upload_orders
from services.client.workers import look_up_workers, with_workers

__all__ = [
    "Batch",
    "Mapping",
    "cut",
    "load_mapping",
    "look_up_workers",
    "read_orders",
    "upload_orders",
    "with_workers",
]
