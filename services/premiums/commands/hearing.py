"""What premiums does with what it hears."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from services.premiums.domain.assessing import Tally
from services.premiums.store import hearing
from services.runtime.storage.database import Transaction


async def accrue_premiums(
    tx: Transaction, order_batch: str, tallies: Iterable[Tally], now: datetime
) -> None:
    """Accrue a batch's signed tallies: in the bill of their month, or the next if that is made."""
    counts: dict[Tally, int] = defaultdict(int)
    for tally in tallies:
        counts[replace(tally, order_count=0)] += tally.order_count
    kept = [replace(cell, order_count=count) for cell, count in counts.items() if count]
    latest = await hearing.lock_latest_month(tx)
    await hearing.add_accruals(tx, order_batch, kept, latest, now)


async def keep_gaps(
    tx: Transaction, platform: str, service_date: date, revision: int, gaps: list[dict[str, Any]]
) -> None:
    """Keep the differences of a day between a platform's totals and the orders held."""
    await hearing.save_gap(tx, platform, service_date, revision, gaps)


async def keep_platform(
    tx: Transaction, platform: str, revision: int, industries: Sequence[int]
) -> None:
    """Keep the industries that a platform is registered for."""
    await hearing.save_platform(tx, platform, revision, industries)
