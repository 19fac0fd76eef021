"""Bills and days in hospital that were granted, each once over all claims and kinds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import Range

from services.benefits.domain.bills import Bill
from services.benefits.domain.stays import Days, GrantedStay
from services.benefits.store.tables import awards, bills, payments, reversals, stays
from services.kernel.money import Fen
from services.runtime.storage import revisions
from services.runtime.storage.database import Transaction

_DAY = timedelta(days=1)


async def insert(tx: Transaction, award: str, bill: Bill) -> str | None:
    """Add the bill of an award; if it was granted before, the id of that award, else None."""
    statement = postgresql.insert(bills).values(
        award=award,
        institution=bill.institution,
        bill_number=bill.number,
        bill_key=bill.key,
        document_hash=bill.document_hash or None,
    )
    added = await tx.execute(statement.on_conflict_do_nothing().returning(bills.c.award))
    if added.first() is not None:
        return None
    same = sa.or_(
        bills.c.bill_key == bill.key, bills.c.document_hash == (bill.document_hash or None)
    )
    earlier = sa.select(bills.c.award).where(same, sa.not_(bills.c.reversed))
    earlier = earlier.order_by(bills.c.award).limit(1)
    return str((await tx.execute(earlier)).scalar_one())


async def list_stays(tx: Transaction, worker: str, days: Days) -> list[GrantedStay]:
    """The days in hospital granted to a worker that overlap others, by day."""
    statement = (
        sa.select(stays.c.days, stays.c.award)
        .where(stays.c.worker == worker, stays.c.days.overlaps(_range(days)))
        .where(sa.not_(stays.c.reversed))
        .order_by(stays.c.days)
    )
    found = [
        GrantedStay(Days(row.days.lower, row.days.upper - _DAY), f"awards/{row.award}")
        for row in await tx.execute(statement)
    ]
    revisions.note(f"{worker}/stays", found)
    return found


async def insert_stays(tx: Transaction, award: str, worker: str, days: Iterable[Days]) -> None:
    """Add days in hospital that an award grants."""
    rows = [{"award": award, "worker": worker, "days": _range(each)} for each in days]
    await tx.execute(sa.insert(stays), rows)


async def find_paid(tx: Transaction, award: str) -> Fen:
    """The sum paid for an expense so far, withheld sums included."""
    paid = sa.func.coalesce(sa.func.sum(payments.c.amount_fen + payments.c.withheld_fen), 0)
    statement = (
        sa.select(paid)
        .join(awards, awards.c.number == payments.c.number)
        .where(sa.or_(awards.c.id == award, awards.c.adjusts == award))
    )
    sum_ = Fen(int((await tx.execute(statement)).scalar_one()))
    revisions.note(f"awards/{award}/payments", sum_)
    return sum_


async def insert_reversal(
    tx: Transaction, award: str, code: int, reason: str, *, member: str, now: datetime
) -> bool:
    """Reverse an expense and free its bill and its days; False if it was reversed before."""
    statement = postgresql.insert(reversals).values(
        award=award, code=code, reason=reason, member=member, create_time=now
    )
    added = await tx.execute(statement.on_conflict_do_nothing().returning(reversals.c.award))
    if added.first() is None:
        return False
    for table in (bills, stays):
        await tx.execute(sa.update(table).where(table.c.award == award).values(reversed=True))
    return True


def _range(days: Days) -> Range[date]:
    return Range(days.first, days.last + _DAY)
