"""The totals that platforms declare."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from services.orders.domain.gaps import Line
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class Totals:
    """A platform's own totals of a day."""

    platform: str
    service_date: date
    revision: int
    order_count: int
    lines: Mapping[Line, int]
    create_time: datetime


async def lock(tx: Transaction, platform: str) -> None:
    """Lock a platform's comparisons until the commit.

    A batch and a declaration that do not see each other would both compare outdated figures. Take
    the lock before reading: each statement after it sees what others have committed.
    """
    await tx.execute(
        sa.text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"orders.totals/{platform}"},
    )


async def list_platforms(tx: Transaction, platform: str, first: str) -> list[str]:
    """Platforms that sent or declared anything, from `first` on; an empty `platform` means all."""
    condition = " and platform = :platform" if platform else ""
    rows = await tx.execute(
        sa.text(
            f"select platform from order_log where platform >= :first{condition}"
            f" union select platform from order_totals where platform >= :first{condition}"
            " order by 1"
        ),
        {"platform": platform, "first": first},
    )
    return list(rows.scalars())


async def list_declared(tx: Transaction, platform: str, days: Iterable[date]) -> dict[date, Totals]:
    """The newest totals of those of these days that were declared."""
    rows = await tx.execute(
        sa.text(
            "select distinct on (service_date) * from order_totals"
            " where platform = :platform and service_date = any(:days)"
            " order by service_date, revision desc"
        ),
        {"platform": platform, "days": list(days)},
    )
    return {row.service_date: _totals(row) for row in rows}


async def insert(tx: Transaction, totals: Totals) -> None:
    """Write a platform's totals of a day."""
    lines = [[area, industry, count] for (area, industry), count in sorted(totals.lines.items())]
    await tx.execute(
        sa.text(
            "insert into order_totals"
            " (platform, service_date, revision, order_count, tallies, create_time) values"
            " (:platform, :day, :revision, :order_count, cast(:tallies as jsonb), :now)"
        ),
        {
            "platform": totals.platform,
            "day": totals.service_date,
            "revision": totals.revision,
            "order_count": totals.order_count,
            "tallies": json.dumps(lines),
            "now": totals.create_time,
        },
    )


def _totals(row: Any) -> Totals:
    lines = {(area, industry): count for area, industry, count in row.tallies}
    return Totals(
        row.platform, row.service_date, row.revision, row.order_count, lines, row.create_time
    )
