"""Suspensions of awards; what the officer wrote is encrypted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from services.benefits.domain.award import Award
from services.benefits.store import awards as award_store
from services.benefits.store.tables import awards, month_of, month_or_none, number_of, suspensions
from services.kernel.periods import Month
from services.runtime.storage import data_keys
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


async def insert(
    tx: Transaction,
    cipher: ColumnCipher,
    award: Award,
    first_month: Month,
    *,
    reason: str,
    now: datetime,
) -> None:
    """Stop payment from a month on; a repeat for the same month replaces the reason."""
    number = await _number(tx, award.id)
    of_worker = await data_keys.of_person(tx, cipher, award.worker)
    encrypted = of_worker.encrypt(reason, _suspension_context(award.worker, first_month))
    statement = postgresql.insert(suspensions).values(
        number=number,
        first_month=number_of(first_month),
        reason=encrypted,
        create_time=now,
    )
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["number", "first_month"],
            set_={"resume_month": None, "reason": encrypted},
        )
    )


@dataclass(frozen=True)
class StoredSuspension:
    """Months of an award that are not paid; without a month of resumption it lasts."""

    first_month: Month
    resume_month: Month | None
    reason: str


async def list_of_award(
    tx: Transaction, cipher: ColumnCipher, award: Award
) -> list[StoredSuspension]:
    """The suspensions of an award, oldest first."""
    statement = (
        sa.select(suspensions)
        .join(awards, awards.c.number == suspensions.c.number)
        .where(awards.c.id == award.id)
        .order_by(suspensions.c.first_month)
    )
    rows = (await tx.execute(statement)).all()
    cipher = await data_keys.for_rows(tx, cipher, rows)
    return [
        StoredSuspension(
            month_of(row.first_month),
            month_or_none(row.resume_month),
            cipher.show(row.reason, _suspension_context(award.worker, month_of(row.first_month))),
        )
        for row in rows
    ]


def _suspension_context(worker: str, first_month: Month) -> str:
    """Of the worker and the month: a suspension moves along when two awards become one."""
    return f"suspension/{worker}/{first_month}/reason"


async def find_open(tx: Transaction, award: str) -> Month | None:
    """The first unpaid month of the open suspension; None without one."""
    number = await _number(tx, award)
    statement = sa.select(suspensions.c.first_month).where(
        suspensions.c.number == number, suspensions.c.resume_month.is_(None)
    )
    return month_or_none((await tx.execute(statement)).scalar_one_or_none())


async def update_resumed(tx: Transaction, award: str, resume_month: Month) -> None:
    """End the open suspension from a month on; the next run checks the months since."""
    number = await _number(tx, award)
    await tx.execute(
        sa.update(suspensions)
        .where(suspensions.c.number == number, suspensions.c.resume_month.is_(None))
        .values(resume_month=number_of(resume_month))
    )
    await award_store.insert_backfill(tx, number)


async def update_merged(tx: Transaction, worker: str, now: datetime) -> None:
    """Let the open suspension of a merged award count for the award into which it was merged.

    That of the merged award stays on record without a month.
    """
    await tx.execute(
        sa.text(
            "with moved as ("
            "  update suspension s set resume_month = s.first_month"
            "  from award m join award carrying on carrying.id = m.merged_into"
            "  where m.worker = :worker and s.number = m.number and s.resume_month is null"
            "  returning carrying.number, s.first_month, s.reason)"
            " insert into suspension (number, first_month, reason, create_time)"
            " select distinct on (number) number, first_month, reason, :now from moved"
            " where not exists (select from suspension o"
            "  where o.number = moved.number and o.resume_month is null)"
            " order by number, first_month"
            " on conflict (number, first_month) do update set resume_month = null"
        ),
        {"worker": worker, "now": now},
    )


async def _number(tx: Transaction, award: str) -> int:
    statement = sa.select(awards.c.number).where(awards.c.id == award)
    return int((await tx.execute(statement)).scalar_one())
