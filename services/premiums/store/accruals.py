"""Accruals: signed tallies of orders by bill month; and the gaps of days that differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONPATH
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.periods import Month
from services.premiums.domain.declarations import Cell
from services.premiums.domain.tallies import Accrual, Tally
from services.premiums.store.tables import accruals, order_gaps
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class AccrualFilter:
    """The accruals that a list shows: of one service month, of one platform or of all."""

    month: Month
    platform: str = ""


async def insert(tx: Transaction, order_batch: str, rows: Iterable[Accrual], now: datetime) -> None:
    """Add a batch's accruals, one a cell; a batch that is already recorded adds nothing."""
    values = [
        {
            "order_batch": order_batch,
            "pooling_area": accrual.tally.pooling_area,
            "industry": accrual.tally.industry,
            "service_date": accrual.tally.service_date,
            "platform": accrual.tally.platform,
            "order_count": accrual.tally.order_count,
            "bill_month": accrual.bill_month.first_day,
            "create_time": now,
        }
        for accrual in rows
    ]
    if values:
        await tx.execute(upsert(accruals).on_conflict_do_nothing(), values)


async def list_unassessed(
    tx: Transaction,
    query: AccrualFilter,
    latest: Month | None,
    after: Sequence[Any] = (),
    size: int = 100,
) -> list[Tally]:
    """Orders that are not assessed, by platform, pooling area, industry and service date.

    `latest` is the newest assessed month, `after` the key of the last row of the page before.
    """
    table = accruals.c
    key = (table.platform, table.pooling_area, table.industry, table.service_date)
    days = table.service_date.between(query.month.first_day, query.month.last_day)
    statement = sa.select(*key, sa.func.sum(table.order_count)).where(days)
    if latest is not None:
        statement = statement.where(table.bill_month > latest.first_day)
    if query.platform:
        statement = statement.where(table.platform == query.platform)
    if after:
        statement = statement.where(sa.tuple_(*key) > sa.tuple_(*after))
    statement = (
        statement.group_by(*key)
        .having(sa.func.sum(table.order_count) != 0)
        .order_by(*key)
        .limit(size)
    )
    return [
        Tally(platform, area, industry, day, int(count))
        for platform, area, industry, day, count in await tx.execute(statement)
    ]


async def count_orders(tx: Transaction, platform: str, month: Month) -> dict[Cell, int]:
    """All recorded orders of a platform and service month, by pooling area and industry."""
    table = accruals.c
    statement = (
        sa.select(table.pooling_area, table.industry, sa.func.sum(table.order_count))
        .where(
            table.platform == platform,
            table.service_date.between(month.first_day, month.last_day),
        )
        .group_by(table.pooling_area, table.industry)
    )
    return {(area, industry): int(count) for area, industry, count in await tx.execute(statement)}


async def update_gaps(
    tx: Transaction, platform: str, service_date: date, revision: int, gaps: list[dict[str, Any]]
) -> None:
    """Replace a day's gaps unless a newer revision is stored."""
    values = {"revision": revision, "gaps": gaps}
    statement = upsert(order_gaps).values(platform=platform, service_date=service_date, **values)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["platform", "service_date"],
            set_=values,
            where=order_gaps.c.revision < revision,
        )
    )


async def count_gap_days(tx: Transaction, month: Month) -> int:
    """Days of a month and platforms for which totals and recorded orders still differ."""
    statement = sa.select(sa.func.count()).where(
        order_gaps.c.service_date.between(month.first_day, month.last_day),
        # Late arrivals alone are no difference: all declared orders came.
        sa.func.jsonb_path_exists(
            order_gaps.c.gaps, sa.cast('$[*] ? (!(@.kind == "LATE_ARRIVALS"))', JSONPATH)
        ),
    )
    return int((await tx.execute(statement)).scalar_one())
