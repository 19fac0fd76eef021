"""Bills with their lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from services.kernel.money import Fen
from services.kernel.periods import Month
from services.premiums.domain.bills import (
    Allotment,
    AreaPremium,
    Bill,
    BilledTotal,
    BillState,
    Due,
)
from services.premiums.domain.lines import Line, LineKind
from services.premiums.domain.tallies import LineKey
from services.premiums.store.tables import bills, lines, receipt_parts, receipts
from services.runtime.rpc.wire import findings_from_json
from services.runtime.storage import listing, revisions
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class BillFilter:
    """The bills, or the receipts of bills, that a list shows; empty fields do not restrict it."""

    platform: str = ""
    month: Month | None = None
    states: tuple[BillState, ...] = ()
    newest_first: bool = False


@dataclass(frozen=True)
class BillSummary:
    """A bill without its lines, as lists show it."""

    platform: str
    month: Month
    premium: Fen
    due: date
    state: BillState
    revision: int
    create_time: datetime
    received: Fen
    surcharge_received: Fen


async def find(tx: Transaction, platform: str, month: Month, *, lock: bool = False) -> Bill | None:
    """A bill with its dues, areas and receipts; None if the caller may see none."""
    statement = sa.select(bills).where(
        bills.c.platform == platform, bills.c.month == month.first_day
    )
    row = (await tx.execute(statement.with_for_update() if lock else statement)).one_or_none()
    if row is None:
        return None
    bill = (await _whole(tx, [row]))[0]
    revisions.note(bill.name, bill)
    return bill


async def find_any(tx: Transaction, platform: str, month: Month) -> bool:
    """Whether a platform has a bill of the month."""
    statement = sa.select(bills.c.platform).where(
        bills.c.platform == platform, bills.c.month == month.first_day
    )
    return (await tx.execute(statement)).first() is not None


async def list_of_platform(tx: Transaction, platform: str) -> list[Bill]:
    """All bills of a platform, oldest first."""
    statement = sa.select(bills).where(bills.c.platform == platform).order_by(bills.c.month)
    return await _whole(tx, (await tx.execute(statement)).all())


async def list_of_month(tx: Transaction, month: Month, platforms: Iterable[str]) -> list[Bill]:
    """The bills of a month of these platforms, by platform."""
    statement = (
        sa.select(bills)
        .where(bills.c.month == month.first_day, bills.c.platform.in_(sorted(platforms)))
        .order_by(bills.c.platform)
    )
    return await _whole(tx, (await tx.execute(statement)).all())


async def list_summaries(
    tx: Transaction, query: BillFilter, after: Sequence[Any] = (), size: int = 100
) -> list[BillSummary]:
    """Bills by month and platform, or newest first; `after` is the last key of the page before."""
    received = (
        sa.select(
            receipts.c.platform,
            receipts.c.month,
            sa.func.sum(receipts.c.premium_fen).label("received"),
            sa.func.sum(receipts.c.surcharge_fen).label("surcharge"),
        )
        .group_by(receipts.c.platform, receipts.c.month)
        .subquery()
    )
    statement = (
        _matching(query)
        .add_columns(
            sa.func.coalesce(received.c.received, 0).label("received"),
            sa.func.coalesce(received.c.surcharge, 0).label("surcharge"),
        )
        .outerjoin(
            received,
            sa.and_(received.c.platform == bills.c.platform, received.c.month == bills.c.month),
        )
    )
    last = (after[0].first_day, after[1]) if after else ()
    key = (bills.c.month, bills.c.platform)
    statement = listing.page_of_rows(statement, key, last, size, newest_first=query.newest_first)
    return [
        BillSummary(
            row.platform,
            Month.of(row.month),
            Fen(row.premium_fen),
            row.due_date,
            BillState(row.state),
            row.revision,
            row.create_time,
            Fen(int(row.received)),
            Fen(int(row.surcharge)),
        )
        for row in await tx.execute(statement)
    ]


async def count_bills(tx: Transaction, query: BillFilter) -> int:
    """The number of bills."""
    return await listing.count_rows(tx, _matching(query))


def _matching(query: BillFilter) -> sa.Select[Any]:
    statement = sa.select(bills)
    if query.platform:
        statement = statement.where(bills.c.platform == query.platform)
    if query.month:
        statement = statement.where(bills.c.month == query.month.first_day)
    if query.states:
        statement = statement.where(bills.c.state.in_([state.value for state in query.states]))
    return statement


async def list_lines(tx: Transaction, platform: str, month: Month) -> list[Line]:
    """A bill's lines, the month's own first, then by service month, area, industry."""
    statement = (
        sa.select(lines)
        .where(lines.c.platform == platform, lines.c.month == month.first_day)
        .order_by(lines.c.service_month.desc(), lines.c.pooling_area, lines.c.industry, lines.c.id)
    )
    return [
        Line(
            key=LineKey(row.platform, row.pooling_area, row.industry, Month.of(row.service_month)),
            order_count=row.order_count,
            base=row.base,
            band=row.band,
            markup=row.markup,
            premium=Fen(row.premium_fen),
            due=row.due_date,
            kind=LineKind(row.kind),
            findings=findings_from_json(row.findings),
        )
        for row in await tx.execute(statement)
    ]


async def list_totals(
    tx: Transaction, month: Month, platforms: Iterable[str]
) -> dict[str, list[BilledTotal]]:
    """Per platform, the sums of its bill by pooling area and industry."""
    statement = (
        sa.select(
            lines.c.platform,
            lines.c.pooling_area,
            lines.c.industry,
            sa.func.sum(lines.c.order_count),
            sa.func.sum(lines.c.premium_fen),
        )
        .where(lines.c.month == month.first_day, lines.c.platform.in_(sorted(platforms)))
        .group_by(lines.c.platform, lines.c.pooling_area, lines.c.industry)
        .order_by(lines.c.platform, lines.c.pooling_area, lines.c.industry)
    )
    totals: dict[str, list[BilledTotal]] = defaultdict(list)
    for platform, area, industry, count, fen in await tx.execute(statement):
        totals[platform].append(BilledTotal(area, industry, int(count), Fen(int(fen))))
    return totals


async def update_state(tx: Transaction, bill: Bill) -> None:
    """Store the state and the revision of a bill."""
    await tx.execute(
        sa.update(bills)
        .where(bills.c.platform == bill.platform, bills.c.month == bill.month.first_day)
        .values(state=bill.state.value, revision=bill.revision)
    )


async def lock_all(tx: Transaction, platform: str) -> None:
    """Lock all bills of a platform, so that one set-off of it runs at a time."""
    statement = (
        sa.select(bills.c.month)
        .where(bills.c.platform == platform)
        .order_by(bills.c.month)
        .with_for_update()
    )
    await tx.execute(statement)


async def _whole(tx: Transaction, rows: Sequence[sa.Row[tuple[object, ...]]]) -> list[Bill]:
    keys = [(row.platform, row.month) for row in rows]
    if not keys:
        return []
    dues: dict[tuple[str, date], list[Due]] = defaultdict(list)
    areas: dict[tuple[str, date], dict[str, list[int]]] = defaultdict(dict)
    allotments: dict[tuple[str, date], list[Allotment]] = defaultdict(list)
    in_lines = sa.tuple_(lines.c.platform, lines.c.month).in_(keys)
    grouped = (lines.c.platform, lines.c.month, lines.c.pooling_area, lines.c.due_date)
    fen = sa.func.sum(lines.c.premium_fen)
    by_due = sa.select(*grouped, fen).where(in_lines).group_by(*grouped).order_by(*grouped)
    for platform, month, area, due, amount in await tx.execute(by_due):
        dues[platform, month].append(Due(due, Fen(int(amount))))
        areas[platform, month].setdefault(area, [0, 0])[0] += int(amount)
    table = receipt_parts.c
    by_area = (
        sa.select(table.platform, table.month, table.pooling_area, sa.func.sum(table.premium_fen))
        .where(sa.tuple_(table.platform, table.month).in_(keys))
        .group_by(table.platform, table.month, table.pooling_area)
    )
    for platform, month, area, amount in await tx.execute(by_area):
        areas[platform, month].setdefault(area, [0, 0])[1] += int(amount)
    mirror = receipts.alias()
    on_bills = (
        sa.select(receipts)
        .where(
            sa.tuple_(receipts.c.platform, receipts.c.month).in_(keys),
            # A receipt and its mirror are as if neither had been recorded.
            receipts.c.reverses.is_(None),
            ~sa.exists().where(mirror.c.reverses == receipts.c.id),
        )
        .order_by(receipts.c.receipt_date, receipts.c.create_time, receipts.c.id)
    )
    for row in await tx.execute(on_bills):
        allotments[row.platform, row.month].append(
            Allotment(
                row.receipt_date,
                Fen(row.premium_fen),
                Fen(row.surcharge_fen),
                Fen(row.credit_fen),
            )
        )
    return [
        Bill(
            platform=row.platform,
            month=Month.of(row.month),
            due=row.due_date,
            state=BillState(row.state),
            revision=row.revision,
            dues=_by_day(dues[row.platform, row.month]),
            areas=tuple(
                AreaPremium(area, Fen(premium), Fen(received))
                for area, (premium, received) in sorted(areas[row.platform, row.month].items())
            ),
            allotments=tuple(allotments[row.platform, row.month]),
        )
        for row in rows
    ]


def _by_day(dues: Iterable[Due]) -> tuple[Due, ...]:
    sums: dict[date, int] = defaultdict(int)
    for due in dues:
        sums[due.due] += due.premium.count
    return tuple(Due(day, Fen(count)) for day, count in sorted(sums.items()))
