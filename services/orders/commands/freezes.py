"""Keep the records around an accident.

Which records came too late for it is not written down here or elsewhere: whoever reads records
later computes it from the moment kept (`domain.orders.lateness`).
"""

from __future__ import annotations

from datetime import datetime

from services.kernel.periods import civil_day
from services.orders.store import freezes as freeze_store
from services.orders.store import orders as order_store
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def freeze_orders(
    tx: Transaction, context: CommandContext, worker: int, moment: datetime, holder: str
) -> int:
    """Keep a worker's records of the day of a moment; returns how many there are."""
    await freeze_store.insert(tx, worker, moment, holder, context.now)
    return await order_store.count_of_day(tx, worker, civil_day(moment))
