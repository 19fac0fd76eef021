"""Bills with their lines and receipts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from services.kernel.money import Fen, total
from services.kernel.periods import Month
from services.premiums.domain.assessing import Line, LineKind
from services.premiums.domain.paying import Area, Bill, BillState, Due, Paid, Part, Receipt, Told
from services.premiums.domain.terms import LineKey
from services.premiums.store.tables import bills, lines, receipt_parts, receipts
from services.runtime.rpc.wire import findings_from_json, findings_to_json
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class Wanted:
    """Which bills or receipts a list is asked for."""

    platform: str = ""
    month: Month | None = None
    after: tuple[str, ...] = ()
    size: int = 100


@dataclass(frozen=True)
class HeldBill:
    """A bill as lists show it."""

    platform: str
    month: Month
    premium: Fen
    due: date
    state: BillState
    revision: int
    create_time: datetime
    received: Fen
    surcharge_received: Fen


async def get_bill(
    tx: Transaction, platform: str, month: Month, *, lock: bool = False
) -> Bill | None:
    """A bill with its dues, areas and receipts; None if there is none the caller may see."""
    statement = sa.select(bills).where(
        bills.c.platform == platform, bills.c.month == month.first_day
    )
    row = (await tx.execute(statement.with_for_update() if lock else statement)).one_or_none()
    return None if row is None else (await _whole(tx, [row]))[0]


async def bills_of(tx: Transaction, platform: str) -> list[Bill]:
    """All bills of a platform, oldest first."""
    statement = sa.select(bills).where(bills.c.platform == platform).order_by(bills.c.month)
    return await _whole(tx, (await tx.execute(statement)).all())


async def bills_of_month(tx: Transaction, month: Month, platforms: Iterable[str]) -> list[Bill]:
    """The bills of a month of these platforms, by platform."""
    statement = (
        sa.select(bills)
        .where(bills.c.month == month.first_day, bills.c.platform.in_(sorted(platforms)))
        .order_by(bills.c.platform)
    )
    return await _whole(tx, (await tx.execute(statement)).all())


async def list_bills(tx: Transaction, wanted: Wanted) -> list[HeldBill]:
    """Bills by month and platform."""
    paid = (
        sa.select(
            receipts.c.platform,
            receipts.c.month,
            sa.func.sum(receipts.c.premium_fen).label("received"),
            sa.func.sum(receipts.c.surcharge_fen).label("surcharge"),
        )
        .group_by(receipts.c.platform, receipts.c.month)
        .subquery()
    )
    statement = sa.select(
        bills,
        sa.func.coalesce(paid.c.received, 0).label("received"),
        sa.func.coalesce(paid.c.surcharge, 0).label("surcharge"),
    ).outerjoin(paid, sa.and_(paid.c.platform == bills.c.platform, paid.c.month == bills.c.month))
    if wanted.platform:
        statement = statement.where(bills.c.platform == wanted.platform)
    if wanted.month:
        statement = statement.where(bills.c.month == wanted.month.first_day)
    if wanted.after:
        last = (date.fromisoformat(wanted.after[0]), wanted.after[1])
        statement = statement.where(sa.tuple_(bills.c.month, bills.c.platform) > sa.tuple_(*last))
    statement = statement.order_by(bills.c.month, bills.c.platform).limit(wanted.size)
    return [
        HeldBill(
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


async def create_time_of(tx: Transaction, platform: str, month: Month) -> datetime:
    """When a bill was made."""
    statement = sa.select(bills.c.create_time).where(
        bills.c.platform == platform, bills.c.month == month.first_day
    )
    found: datetime = (await tx.execute(statement)).scalar_one()
    return found


async def lines_of(tx: Transaction, platform: str, month: Month) -> list[Line]:
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


async def told_of_month(
    tx: Transaction, month: Month, platforms: Iterable[str]
) -> dict[str, list[Told]]:
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
    found: dict[str, list[Told]] = defaultdict(list)
    for platform, area, industry, count, fen in await tx.execute(statement):
        found[platform].append(Told(area, industry, int(count), Fen(int(fen))))
    return found


async def add_receipt(tx: Transaction, receipt: Receipt, now: datetime) -> None:
    """Record a receipt with its parts."""
    assert receipt.amount == receipt.premium + receipt.surcharge + receipt.credit
    for name in ("premium", "surcharge", "credit"):
        parts = total(getattr(part, name) for part in receipt.parts)
        assert parts == getattr(receipt, name), name
    await tx.execute(
        sa.insert(receipts).values(
            id=receipt.id,
            platform=receipt.platform,
            month=receipt.month.first_day,
            receipt_date=receipt.day,
            amount_fen=receipt.amount.count,
            premium_fen=receipt.premium.count,
            surcharge_fen=receipt.surcharge.count,
            credit_fen=receipt.credit.count,
            bank_reference=receipt.bank_reference,
            findings=findings_to_json(receipt.findings),
            create_time=now,
        )
    )
    if receipt.parts:
        await tx.execute(
            sa.insert(receipt_parts),
            [
                {
                    "receipt": receipt.id,
                    "pooling_area": part.pooling_area,
                    "platform": receipt.platform,
                    "month": receipt.month.first_day,
                    "premium_fen": part.premium.count,
                    "surcharge_fen": part.surcharge.count,
                    "credit_fen": part.credit.count,
                }
                for part in receipt.parts
            ],
        )


async def save_state(tx: Transaction, bill: Bill) -> None:
    """Keep how far a bill is paid."""
    await tx.execute(
        sa.update(bills)
        .where(bills.c.platform == bill.platform, bills.c.month == bill.month.first_day)
        .values(state=bill.state.value, revision=bill.revision)
    )


async def lock_bank_reference(tx: Transaction, bank_reference: str) -> None:
    """Let one receipt of a bank reference be recorded at a time, whatever bill it is for."""
    lock = sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(bank_reference, 0)))
    await tx.execute(lock)


async def find_receipt(tx: Transaction, bank_reference: str) -> Receipt | None:
    """The receipt with a bank reference."""
    statement = sa.select(receipts).where(receipts.c.bank_reference == bank_reference)
    found = await _receipts(tx, (await tx.execute(statement)).all())
    return found[0] if found else None


async def list_receipts(tx: Transaction, wanted: Wanted) -> list[Receipt]:
    """Receipts by day of payment."""
    statement = sa.select(receipts)
    if wanted.platform:
        statement = statement.where(receipts.c.platform == wanted.platform)
    if wanted.month:
        statement = statement.where(receipts.c.month == wanted.month.first_day)
    if wanted.after:
        last = (date.fromisoformat(wanted.after[0]), wanted.after[1])
        key = sa.tuple_(receipts.c.receipt_date, receipts.c.id)
        statement = statement.where(key > sa.tuple_(*last))
    statement = statement.order_by(receipts.c.receipt_date, receipts.c.id).limit(wanted.size)
    return await _receipts(tx, (await tx.execute(statement)).all())


async def credit_of(tx: Transaction, platform: str) -> dict[str, Fen]:
    """The credit a platform holds, by pooling area."""
    parts = receipt_parts.c
    statement = (
        sa.select(parts.pooling_area, sa.func.sum(parts.credit_fen))
        .where(parts.platform == platform)
        .group_by(parts.pooling_area)
        .having(sa.func.sum(parts.credit_fen) != 0)
        .order_by(parts.pooling_area)
    )
    return {area: Fen(int(fen)) for area, fen in await tx.execute(statement)}


async def lock_bills_of(tx: Transaction, platform: str) -> None:
    """Let one set-off of a platform run at a time."""
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
    paid: dict[tuple[str, date], list[Paid]] = defaultdict(list)
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
    held = (
        sa.select(receipts)
        .where(sa.tuple_(receipts.c.platform, receipts.c.month).in_(keys))
        .order_by(receipts.c.receipt_date, receipts.c.create_time, receipts.c.id)
    )
    for row in await tx.execute(held):
        paid[row.platform, row.month].append(
            Paid(
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
                Area(area, Fen(premium), Fen(received))
                for area, (premium, received) in sorted(areas[row.platform, row.month].items())
            ),
            paid=tuple(paid[row.platform, row.month]),
        )
        for row in rows
    ]


def _by_day(dues: Iterable[Due]) -> tuple[Due, ...]:
    found: dict[date, int] = defaultdict(int)
    for due in dues:
        found[due.due] += due.premium.count
    return tuple(Due(day, Fen(count)) for day, count in sorted(found.items()))


async def _receipts(tx: Transaction, rows: Sequence[sa.Row[tuple[object, ...]]]) -> list[Receipt]:
    if not rows:
        return []
    parts: dict[str, list[Part]] = defaultdict(list)
    statement = (
        sa.select(receipt_parts)
        .where(receipt_parts.c.receipt.in_([row.id for row in rows]))
        .order_by(receipt_parts.c.receipt, receipt_parts.c.pooling_area)
    )
    for row in await tx.execute(statement):
        parts[row.receipt].append(
            Part(
                row.pooling_area,
                Fen(row.premium_fen),
                Fen(row.surcharge_fen),
                Fen(row.credit_fen),
            )
        )
    return [
        Receipt(
            platform=row.platform,
            month=Month.of(row.month),
            day=row.receipt_date,
            amount=Fen(row.amount_fen),
            premium=Fen(row.premium_fen),
            surcharge=Fen(row.surcharge_fen),
            credit=Fen(row.credit_fen),
            parts=tuple(parts[row.id]),
            bank_reference=row.bank_reference,
            id=row.id,
            findings=findings_from_json(row.findings),
        )
        for row in rows
    ]
