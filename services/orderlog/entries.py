"""Entries of the log: the names of batches and orders, and the leaf of a batch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.kernel import names
from services.kernel.problems import Malformed

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def batch_name(platform: str, batch_id: str) -> str:
    """The name of a batch."""
    return names.name("platforms", platform, "orderBatches", batch_id)


def order_name(platform: str, order_no: str) -> str:
    """The name of an order."""
    return names.name("platforms", platform, "orders", order_no)


def parse_order_name(text: str) -> tuple[str, str]:
    """Platform and number of an order's name; the number may hold any printable character."""
    head, divider, order_no = text.partition("/orders/")
    if not divider or not order_no:
        raise Malformed.form("name", "platforms/{credit_code}/orders/{order_no}")
    (platform,) = names.parse(head, "platforms")
    return platform, order_no


def log_entry(leaf_count: int, create_time: datetime, root: bytes, name: str) -> bytes:
    """The log's leaf for a batch: how many records, when, their root, the batch's name."""
    taken = microseconds(create_time).to_bytes(8, "big")
    return leaf_count.to_bytes(8, "big") + taken + root + name.encode()


def microseconds(moment: datetime) -> int:
    """Unix microseconds of an aware moment, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(value: int) -> datetime:
    """The moment of Unix microseconds, in UTC."""
    return _EPOCH + timedelta(microseconds=value)
