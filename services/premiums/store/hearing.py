"""What premiums has heard: platforms, signed tallies of orders, gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONPATH, insert

from services.kernel.periods import Month
from services.premiums.domain.assessing import Tally, bill_month
from services.premiums.domain.declaring import Cell
from services.premiums.store.tables import accruals, assessment_head, order_gaps, platforms
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class AccrualsWanted:
    """Which accruals a list is asked for."""

    month: Month
    platform: str = ""
    after: tuple[str, ...] = ()  # platform, pooling area, industry, service date
    size: int = 100


async def save_platform(
    tx: Transaction, platform: str, revision: int, industries: Sequence[int]
) -> None:
    """Keep a platform's industries unless a newer revision is held."""
    statement = insert(platforms).values(
        platform=platform, revision=revision, industries=list(industries)
    )
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["platform"],
            set_={"revision": revision, "industries": list(industries)},
            where=platforms.c.revision < revision,
        )
    )


async def industries_of(tx: Transaction, platform: str) -> tuple[int, ...] | None:
    """The industries a platform is registered for; None if it is not known yet."""
    statement = sa.select(platforms.c.industries).where(platforms.c.platform == platform)
    found = (await tx.execute(statement)).scalar_one_or_none()
    return None if found is None else tuple(found)


async def save_gap(
    tx: Transaction, platform: str, service_date: date, revision: int, gaps: list[dict[str, Any]]
) -> None:
    """Keep a day's gaps unless a newer revision is held."""
    values = {"revision": revision, "gaps": gaps}
    statement = insert(order_gaps).values(platform=platform, service_date=service_date, **values)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["platform", "service_date"],
            set_=values,
            where=order_gaps.c.revision < revision,
        )
    )


async def count_gap_days(tx: Transaction, month: Month) -> int:
    """Days of a month and platforms for which totals and orders held still differ."""
    statement = sa.select(sa.func.count()).where(
        order_gaps.c.service_date.between(month.first_day, month.last_day),
        # Where all came, only late, declared and held orders do not differ.
        sa.func.jsonb_path_exists(
            order_gaps.c.gaps, sa.cast('$[*] ? (!(@.kind == "LATE_ARRIVALS"))', JSONPATH)
        ),
    )
    return int((await tx.execute(statement)).scalar_one())


async def latest_month(tx: Transaction) -> Month | None:
    """The newest assessed month."""
    found = (await tx.execute(sa.select(assessment_head.c.latest_month))).scalar_one()
    return None if found is None else Month.of(found)


async def lock_latest_month(tx: Transaction, *, alone: bool = False) -> Month | None:
    """The newest assessed month, locked: shared with other tallies and terms, or alone."""
    statement = sa.select(assessment_head.c.latest_month).with_for_update(read=not alone)
    found = (await tx.execute(statement)).scalar_one()
    return None if found is None else Month.of(found)


async def add_accruals(
    tx: Transaction,
    order_batch: str,
    tallies: Sequence[Tally],
    latest: Month | None,
    now: datetime,
) -> None:
    """Add a batch's tallies, one a cell; a batch that is held already adds nothing."""
    rows = [
        {
            "order_batch": order_batch,
            "pooling_area": tally.pooling_area,
            "industry": tally.industry,
            "service_date": tally.service_date,
            "platform": tally.platform,
            "order_count": tally.order_count,
            "bill_month": bill_month(tally.key.month, latest).first_day,
            "create_time": now,
        }
        for tally in tallies
    ]
    if rows:
        await tx.execute(insert(accruals).on_conflict_do_nothing(), rows)


async def list_accruals(
    tx: Transaction, wanted: AccrualsWanted, latest: Month | None
) -> list[Tally]:
    """Orders counted and not assessed, by platform, pooling area, industry and service date."""
    table = accruals.c
    key = (table.platform, table.pooling_area, table.industry, table.service_date)
    days = table.service_date.between(wanted.month.first_day, wanted.month.last_day)
    statement = sa.select(*key, sa.func.sum(table.order_count)).where(days)
    if latest is not None:
        statement = statement.where(table.bill_month > latest.first_day)
    if wanted.platform:
        statement = statement.where(table.platform == wanted.platform)
    if wanted.after:
        platform, area, industry, day = wanted.after
        last = (platform, area, int(industry), date.fromisoformat(day))
        statement = statement.where(sa.tuple_(*key) > sa.tuple_(*last))
    statement = (
        statement.group_by(*key)
        .having(sa.func.sum(table.order_count) != 0)
        .order_by(*key)
        .limit(wanted.size)
    )
    return [
        Tally(platform, area, industry, day, int(count))
        for platform, area, industry, day, count in await tx.execute(statement)
    ]


async def held_counts(tx: Transaction, platform: str, month: Month) -> dict[Cell, int]:
    """All orders held of a platform and service month, by pooling area and industry."""
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
