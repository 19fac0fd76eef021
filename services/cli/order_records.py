"""`oip orders find`, `freeze`: a worker's records near a moment. `oip evidence add`: a document."""

from __future__ import annotations

from services.cli import evidence, orders
from services.cli.apis import CLAIMS, ORDERS
from services.cli.steps import Change, add_step


def add_to_groups() -> None:
    """Add the commands to the groups of orders and of evidence."""
    add_step(orders.app, "find", ORDERS, "FindOrders", Change(("worker", "moment")))
    add_step(orders.app, "freeze", ORDERS, "FreezeOrders", Change(("worker", "moment")))
    add_step(evidence.app, "add", CLAIMS, "AddEvidence", Change(("claim", "kind", "content_hash")))
