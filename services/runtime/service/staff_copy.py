"""The handler with which every service keeps its local copy of the staff register."""

from __future__ import annotations

from oip.staff.v1 import events_pb2

from services.runtime.storage import staff_copy
from services.runtime.storage.database import Transaction

STAFF = "staff"
STAFF_CHANGED = events_pb2.StaffChanged.DESCRIPTOR.full_name


async def on_staff_changed(
    tx: Transaction, event: events_pb2.StaffChanged, _context: object
) -> None:
    """Keep the entry of a person; the highest revision counts, whatever the order."""
    await staff_copy.store(
        tx,
        event.member,
        event.revision,
        [(account.issuer, account.subject) for account in event.accounts],
        event.SerializeToString(deterministic=True),
    )
