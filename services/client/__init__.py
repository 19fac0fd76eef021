"""A platform's client: read a file of orders, look up its workers, send it, keep the receipts.

    mapping = load_mapping(Path("mapping.toml"))
    for platform, share in survey(file, mapping).items():
        known = await look_up_workers(enrolment_stub, platform, share.worker_numbers)
        orders = (with_workers(piece, known) for piece in orders_of(file, mapping, platform))
        receipts = await upload_orders(orders_stub, platform, cut(orders, run="2025-07-31"))

A batch that got no answer is sent again under the same id; the service answers with the first
receipt. Nothing here needs the command line. See docs/client.md.
"""

from services.client.mapping import Mapping, load_mapping
from services.client.reading import Share, orders_of, read_orders, survey
from services.client.uploading import Answer, Batch, cut, send_batches, upload_orders
from services.client.workers import look_up_workers, with_workers

__all__ = [
    "Answer",
    "Batch",
    "Mapping",
    "Share",
    "cut",
    "load_mapping",
    "look_up_workers",
    "orders_of",
    "read_orders",
    "send_batches",
    "survey",
    "upload_orders",
    "with_workers",
]
