"""Orders that count, by platform, pooling area, industry and service date."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from services.kernel.periods import Month
from services.orders.domain.gaps import HeldOrders, Line
from services.runtime.storage.database import Transaction

# A record is late if its batch arrived after the day that follows the service date, or after the
# day's totals were declared.
_HELD_ORDERS_SQL = """
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
class TallyRow:
    """Orders that count, by platform, pooling area, industry and service date."""

    platform: str
    pooling_area: int
    industry: int
    service_date: date
    order_count: int

    @property
    def key(self) -> tuple[str, int, int, date]:
        """Its key in a list."""
        return self.platform, self.pooling_area, self.industry, self.service_date


async def list_of_month(
    tx: Transaction,
    platform: str,
    month: Month,
    after: tuple[str, int, int, date] | None,
    size: int,
) -> list[TallyRow]:
    """The orders of a month that count, after a key; an empty platform means all."""
    condition = "t.service_date >= :first and t.service_date < :end"
    keys: dict[str, object] = {}
    if platform:
        condition += " and t.platform = :platform"
    if after is not None:
        condition += (
            " and (t.platform, t.pooling_area, t.industry, t.service_date)"
            " > (:p, :area, :industry, cast(:day as date))"
        )
        keys = dict(zip(("p", "area", "industry", "day"), after, strict=True))
    rows = await tx.execute(
        sa.text(
            "select t.platform, t.pooling_area, t.industry, t.service_date,"
            " sum(t.order_count)::bigint as order_count"
            f" from order_tally t where {condition}"
            " group by 1, 2, 3, 4 having sum(t.order_count) <> 0 order by 1, 2, 3, 4 limit :size"
        ),
        {
            "first": month.first_day,
            "end": month.plus(1).first_day,
            "platform": platform,
            "size": size,
            **keys,
        },
    )
    return [TallyRow(*row) for row in rows]


async def find_first_day(tx: Transaction, platform: str) -> date | None:
    """The first day on which orders of a platform count; None if none do."""
    result = await tx.execute(
        sa.text(
            "select service_date from order_tally where platform = :platform"
            " group by service_date having sum(order_count) > 0 order by service_date limit 1"
        ),
        {"platform": platform},
    )
    day: date | None = result.scalar_one_or_none()
    return day


async def count_held_orders(
    tx: Transaction, platform: str, days: Iterable[date]
) -> dict[date, dict[Line, HeldOrders]]:
    """The stored orders of each of these days, by pooling area and industry."""
    rows = await tx.execute(sa.text(_HELD_ORDERS_SQL), {"platform": platform, "days": list(days)})
    orders: dict[date, dict[Line, HeldOrders]] = {}
    for row in rows:
        lines = orders.setdefault(row.service_date, {})
        lines[row.pooling_area, row.industry] = HeldOrders(row.order_count, row.late_count)
    return orders
