"""Keep the records around an accident; what comes later is marked late."""

from __future__ import annotations

from datetime import datetime

from services.kernel.periods import civil_day
from services.orders.store import records
from services.runtime.storage.database import Transaction


async def freeze_orders(
    tx: Transaction, worker: int, moment: datetime, holder: str, now: datetime
) -> int:
    """Keep a worker's records of the day of a moment; how many there are."""
    await records.insert_freeze(tx, worker, moment, holder, now)
    return await records.count_day(tx, worker, civil_day(moment))
