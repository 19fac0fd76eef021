"""Tallies, declared totals, and what a comparison of both gave."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from services.kernel.periods import Month
from services.orders.domain.gaps import Gap, GapKind, Held, Line
from services.runtime.database import Transaction

# A record is late if its batch came after the day that follows the service date.
_HELD = """
select t.platform, t.service_date, t.pooling_area, t.industry,
    sum(t.order_count)::bigint as order_count,
    coalesce(sum(t.order_count) filter (where t.order_count > 0 and
        (b.create_time at time zone 'Asia/Shanghai')::date > t.service_date + 1), 0)::bigint
        as late_count
from order_tally t join order_batch b using (batch_no)
"""


@dataclass(frozen=True)
class Totals:
    """A platform's own totals of a day."""

    platform: str
    service_date: date
    revision: int
    order_count: int
    lines: Mapping[Line, int]
    create_time: datetime


@dataclass(frozen=True)
class TallyRow:
    """Orders that count, by platform, pooling area, industry and service date."""

    platform: str
    pooling_area: int
    industry: int
    service_date: date
    order_count: int

    @property
    def key(self) -> tuple[str, int, int, str]:
        """Where it stands in a list."""
        return self.platform, self.pooling_area, self.industry, self.service_date.isoformat()


async def list_tallies(
    tx: Transaction, platform: str, month: Month, after: Sequence[str], size: int
) -> list[TallyRow]:
    """The orders of a month that count; an empty platform means all."""
    condition = "t.service_date >= :first and t.service_date < :end"
    if platform:
        condition += " and t.platform = :platform"
    if after:
        condition += (
            " and (t.platform, t.pooling_area, t.industry, t.service_date)"
            " > (:p, :area, :industry, cast(:day as date))"
        )
    keys = dict(zip(("p", "area", "industry", "day"), _key(after), strict=False))
    rows = await tx.execute(
        sa.text(
            "select t.platform, t.pooling_area, t.industry, t.service_date,"
            " sum(t.order_count)::bigint as order_count"
            f" from order_tally t where {condition}"
            " group by 1, 2, 3, 4 having sum(t.order_count) <> 0 order by 1, 2, 3, 4 limit :size"
        ),
        {**_month(month), "platform": platform, "size": size, **keys},
    )
    return [TallyRow(*row) for row in rows]


async def held_of_day(tx: Transaction, platform: str, day: date) -> dict[Line, Held]:
    """What is held for a day, by pooling area and industry."""
    rows = await tx.execute(
        sa.text(f"{_HELD} where t.platform = :platform and t.service_date = :day group by 1,2,3,4"),
        {"platform": platform, "day": day},
    )
    return {(row.pooling_area, row.industry): Held(row.order_count, row.late_count) for row in rows}


async def held_of_month(
    tx: Transaction, platform: str, month: Month
) -> dict[tuple[str, date], dict[Line, Held]]:
    """The same for each platform and day of a month; an empty platform means all."""
    own = " and t.platform = :platform" if platform else ""
    rows = await tx.execute(
        sa.text(
            f"{_HELD} where t.service_date >= :first and t.service_date < :end{own}"
            " group by 1, 2, 3, 4"
        ),
        {**_month(month), "platform": platform},
    )
    found: dict[tuple[str, date], dict[Line, Held]] = {}
    for row in rows:
        lines = found.setdefault((row.platform, row.service_date), {})
        lines[row.pooling_area, row.industry] = Held(row.order_count, row.late_count)
    return found


async def declared_of_days(
    tx: Transaction, platform: str, days: Iterable[date]
) -> dict[date, Totals]:
    """The newest totals of those days that were declared."""
    rows = await tx.execute(
        sa.text(
            "select distinct on (service_date) * from order_totals"
            " where platform = :platform and service_date = any(:days)"
            " order by service_date, revision desc"
        ),
        {"platform": platform, "days": list(days)},
    )
    return {row.service_date: _totals(row) for row in rows}


async def declared_of_month(
    tx: Transaction, platform: str, month: Month
) -> dict[tuple[str, date], Totals]:
    """The newest totals of a month's days; an empty platform means all."""
    own = " and platform = :platform" if platform else ""
    rows = await tx.execute(
        sa.text(
            "select distinct on (platform, service_date) * from order_totals"
            f" where service_date >= :first and service_date < :end{own}"
            " order by platform, service_date, revision desc"
        ),
        {**_month(month), "platform": platform},
    )
    return {(row.platform, row.service_date): _totals(row) for row in rows}


async def insert_totals(tx: Transaction, totals: Totals) -> None:
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


async def newest_gaps(tx: Transaction, platform: str, day: date) -> tuple[int, list[Gap]]:
    """What the last comparison of a day gave, and its revision; 0 if there was none."""
    row = (
        await tx.execute(
            sa.text(
                "select revision, gaps from order_gap where platform = :platform"
                " and service_date = :day order by revision desc limit 1"
            ),
            {"platform": platform, "day": day},
        )
    ).one_or_none()
    if row is None:
        return 0, []
    return row.revision, [Gap(**{**one, "kind": GapKind(one["kind"])}) for one in row.gaps]


async def insert_gaps(
    tx: Transaction, platform: str, day: date, *, revision: int, gaps: Sequence[Gap], now: datetime
) -> None:
    """Write what a comparison gave."""
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


def _month(month: Month) -> dict[str, date]:
    return {"first": month.first_day, "end": month.plus(1).first_day}


def _key(after: Sequence[str]) -> list[Any]:
    if not after:
        return []
    platform, area, industry, day = after
    return [platform, int(area), int(industry), date.fromisoformat(day)]


def _totals(row: Any) -> Totals:
    lines = {(area, industry): count for area, industry, count in row.tallies}
    return Totals(
        row.platform, row.service_date, row.revision, row.order_count, lines, row.create_time
    )
