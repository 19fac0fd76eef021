"""Declarations of platforms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from services.kernel.periods import Month
from services.premiums.domain.declarations import Cell
from services.premiums.store.tables import declaration_rows, declarations
from services.runtime.storage.database import Transaction


async def insert(
    tx: Transaction, platform: str, month: Month, counts: Mapping[Cell, int], now: datetime
) -> int:
    """Add a declaration of a month to the earlier ones; its revision, from 1."""
    key = {"platform": platform, "month": month.first_day}
    lock_key = sa.func.hashtextextended(f"declaration {platform} {month}", 0)
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(lock_key)))
    newest = sa.select(sa.func.coalesce(sa.func.max(declarations.c.revision), 0)).where(
        declarations.c.platform == platform, declarations.c.month == month.first_day
    )
    revision = int((await tx.execute(newest)).scalar_one()) + 1
    await tx.execute(sa.insert(declarations).values(**key, revision=revision, create_time=now))
    rows = [
        {**key, "revision": revision, "pooling_area": area, "industry": industry, "order_count": n}
        for (area, industry), n in sorted(counts.items())
    ]
    if rows:
        await tx.execute(sa.insert(declaration_rows), rows)
    return revision


async def find_any(tx: Transaction, platform: str, month: Month) -> bool:
    """Whether a platform has declared a month."""
    statement = (
        sa.select(declarations.c.revision)
        .where(declarations.c.platform == platform, declarations.c.month == month.first_day)
        .limit(1)
    )
    return (await tx.execute(statement)).first() is not None
