"""Declarations of platforms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from services.kernel.periods import Month
from services.premiums.domain.declaring import Cell
from services.premiums.store.tables import declaration_rows, declarations
from services.runtime.storage.database import Transaction


async def add_declaration(
    tx: Transaction, platform: str, month: Month, counts: Mapping[Cell, int], now: datetime
) -> int:
    """Keep a declaration beside earlier ones of the month; its revision, from 1."""
    key = {"platform": platform, "month": month.first_day}
    one = sa.func.hashtextextended(f"declaration {platform} {month}", 0)
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(one)))
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
