"""The published comparisons of declared and stored orders."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date, datetime

import sqlalchemy as sa

from services.orders.domain.gaps import Gap, GapKind
from services.runtime.storage.database import Transaction


async def list_published(
    tx: Transaction, platform: str, days: Iterable[date]
) -> dict[date, tuple[int, list[Gap]]]:
    """The last comparison of those of these days that were compared, with its revision."""
    rows = await tx.execute(
        sa.text(
            "select distinct on (service_date) service_date, revision, gaps from order_gap"
            " where platform = :platform and service_date = any(:days)"
            " order by service_date, revision desc"
        ),
        {"platform": platform, "days": list(days)},
    )
    return {
        row.service_date: (
            row.revision,
            [Gap(**{**gap, "kind": GapKind(gap["kind"])}) for gap in row.gaps],
        )
        for row in rows
    }


async def insert(
    tx: Transaction, platform: str, day: date, *, revision: int, gaps: Sequence[Gap], now: datetime
) -> None:
    """Store the result of a comparison."""
    await tx.execute(
        sa.text(
            "insert into order_gap (platform, service_date, revision, gaps, create_time)"
            " values (:platform, :day, :revision, cast(:gaps as jsonb), :now)"
        ),
        {
            "platform": platform,
            "day": day,
            "revision": revision,
            "gaps": json.dumps([asdict(gap) for gap in gaps]),
            "now": now,
        },
    )
