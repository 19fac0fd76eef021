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
from services.runtime.storage.database import Transaction

# A record is late if its batch came after the day that follows the service date, or after the
# day's totals had been declared.
_HELD = """
with declared as (
    select distinct on (service_date) service_date, create_time from order_totals
    where platform = :platform and service_date = any(:days)
    order by service_date, revision desc
)
select t.service_date, t.pooling_area, t.industry, sum(t.order_count)::bigint as order_count,
    coalesce(sum(t.order_count) filter (where t.order_count > 0 and (
        (b.create_time at time zone 'Asia/Shanghai')::date > t.service_date + 1
        or b.create_time > d.create_time)), 0)::bigint as late_count
from order_tally t join order_batch b using (batch_no)
left join declared d on d.service_date = t.service_date
where t.platform = :platform and t.service_date = any(:days)
group by 1, 2, 3
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


async def lock_totals(tx: Transaction, platform: str) -> None:
    """Let one comparison of a platform at a time go on from here to its commit.

    A batch and a declaration that do not see each other would both compare with what is no more.
    Take it before reading: each statement after it sees what others had committed by then.
    """
    await tx.execute(
        sa.text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"orders.totals/{platform}"},
    )


async def platforms(tx: Transaction, platform: str, after: str) -> list[str]:
    """Platforms that sent or declared anything, from `after` on; an empty `platform` means all."""
    own = " and platform = :platform" if platform else ""
    rows = await tx.execute(
        sa.text(
            f"select platform from order_log where platform >= :after{own}"
            f" union select platform from order_totals where platform >= :after{own} order by 1"
        ),
        {"platform": platform, "after": after},
    )
    return list(rows.scalars())


async def first_day(tx: Transaction, platform: str) -> date | None:
    """The first day on which orders of a platform count; None if none do."""
    found = await tx.execute(
        sa.text(
            "select service_date from order_tally where platform = :platform"
            " group by service_date having sum(order_count) > 0 order by service_date limit 1"
        ),
        {"platform": platform},
    )
    day: date | None = found.scalar_one_or_none()
    return day


async def held_of_days(
    tx: Transaction, platform: str, days: Iterable[date]
) -> dict[date, dict[Line, Held]]:
    """What is held of each of these days, by pooling area and industry."""
    rows = await tx.execute(sa.text(_HELD), {"platform": platform, "days": list(days)})
    found: dict[date, dict[Line, Held]] = {}
    for row in rows:
        lines = found.setdefault(row.service_date, {})
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


async def gaps_of_days(
    tx: Transaction, platform: str, days: Iterable[date]
) -> dict[date, tuple[int, list[Gap]]]:
    """Of those days that were compared, what the last comparison gave, with its revision."""
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
            [Gap(**{**one, "kind": GapKind(one["kind"])}) for one in row.gaps],
        )
        for row in rows
    }


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
