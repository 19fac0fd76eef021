"""Bills and days in hospital that were granted, each once over all claims and kinds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import Range

from services.benefits.domain.bills import Bill, Reversal
from services.benefits.domain.stays import Days, GrantedStay
from services.benefits.store.tables import awards, bills, payments, reversals, stays
from services.kernel.money import Fen
from services.runtime.storage import data_keys, revisions
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction

_DAY = timedelta(days=1)


async def insert(
    tx: Transaction, cipher: ColumnCipher, award: str, worker: str, bill: Bill
) -> str | None:
    """Add the bill of an award; if it was granted before, the id of that award, else None.

    A keyed hash of institution and number finds a bill that is granted again; both are encrypted.
    """
    key = None if bill.key is None else cipher.blind_index(f"bill:{bill.key}")
    of_worker = await data_keys.of_person(tx, cipher, worker)
    statement = postgresql.insert(bills).values(
        award=award,
        institution=of_worker.encrypt(bill.institution, _bill_context(award, "institution")),
        bill_number=of_worker.encrypt(bill.number, _bill_context(award, "bill_number")),
        bill_key=key,
        document_hash=bill.document_hash or None,
    )
    added = await tx.execute(statement.on_conflict_do_nothing().returning(bills.c.award))
    if added.first() is not None:
        return None
    same = sa.or_(bills.c.bill_key == key, bills.c.document_hash == (bill.document_hash or None))
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
    tx: Transaction, cipher: ColumnCipher, award: str, worker: str, reversal: Reversal
) -> bool:
    """Reverse an expense and free its bill and its days; False if it was reversed before."""
    of_worker = await data_keys.of_person(tx, cipher, worker)
    statement = postgresql.insert(reversals).values(
        award=award,
        code=reversal.code,
        reason=of_worker.encrypt(reversal.reason, _reversal_context(award)),
        member=reversal.member,
        create_time=reversal.create_time,
    )
    added = await tx.execute(statement.on_conflict_do_nothing().returning(reversals.c.award))
    if added.first() is None:
        return False
    for table in (bills, stays):
        await tx.execute(sa.update(table).where(table.c.award == award).values(reversed=True))
    return True


async def find(tx: Transaction, cipher: ColumnCipher, award: str) -> Bill | None:
    """The bill of an award, if it has one."""
    row = (await tx.execute(sa.select(bills).where(bills.c.award == award))).one_or_none()
    if row is None:
        return None
    cipher = await data_keys.for_rows(tx, cipher, [row])
    return Bill(
        cipher.show(row.institution, _bill_context(award, "institution")),
        cipher.show(row.bill_number, _bill_context(award, "bill_number")),
        bytes(row.document_hash or b""),
    )


async def find_reversal(tx: Transaction, cipher: ColumnCipher, award: str) -> Reversal | None:
    """The reversal of an award, if it was reversed."""
    row = (await tx.execute(sa.select(reversals).where(reversals.c.award == award))).one_or_none()
    if row is None:
        return None
    cipher = await data_keys.for_rows(tx, cipher, [row])
    reason = cipher.show(row.reason, _reversal_context(award))
    return Reversal(row.code, reason, row.member, row.create_time)


def _bill_context(award: str, column: str) -> str:
    return f"bill/{award}/{column}"


def _reversal_context(award: str) -> str:
    return f"expense_reversal/{award}/reason"


def _range(days: Days) -> Range[date]:
    return Range(days.first, days.last + _DAY)
