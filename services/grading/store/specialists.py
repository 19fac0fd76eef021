"""The pool of specialists."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert

from services.grading.domain.panels import Specialist, Term
from services.grading.store.tables import specialists, terms
from services.runtime.storage import revisions
from services.runtime.storage.database import Transaction


async def insert(tx: Transaction, specialist: Specialist, now: datetime) -> bool:
    """Add a specialist; False if the number is registered already."""
    row = {
        "id": specialist.id,
        "number": specialist.number,
        "field": specialist.field,
        "provincial": specialist.provincial,
        "member": specialist.member,
        "create_time": now,
    }
    statement = upsert(specialists).values(row).on_conflict_do_nothing()
    return (await tx.execute(statement.returning(specialists.c.id))).first() is not None


async def insert_term(tx: Transaction, specialist: Specialist, term: Term, now: datetime) -> None:
    """Appoint a specialist for a term."""
    row = {
        "specialist": specialist.id,
        "first_day": term.first_day,
        "last_day": term.last_day,
        "create_time": now,
    }
    await tx.execute(sa.insert(terms).values(row))


async def find(tx: Transaction, number: str) -> Specialist | None:
    """The specialist with a committee's number, if registered."""
    statement = selection().where(specialists.c.number == number)
    row = (await tx.execute(statement)).one_or_none()
    specialist = None if row is None else specialist_of(row)
    revisions.note(f"specialists {number}", specialist)
    return specialist


async def get(tx: Transaction, specialist_id: str) -> Specialist | None:
    """The specialist with an id, if registered."""
    statement = selection().where(specialists.c.id == specialist_id)
    row = (await tx.execute(statement)).one_or_none()
    specialist = None if row is None else specialist_of(row)
    revisions.note(f"specialists/{specialist_id}", specialist)
    return specialist


async def list_by_number(tx: Transaction, after: str, size: int) -> list[Specialist]:
    """At most `size` specialists with a number above `after`, in its order."""
    statement = (
        selection().where(specialists.c.number > after).order_by(specialists.c.number).limit(size)
    )
    return [specialist_of(row) for row in await tx.execute(statement)]


async def list_pool(tx: Transaction, day: date, *, provincial: bool) -> list[Specialist]:
    """The specialists of the provincial committee, or of the prefectures', in a term on a day."""
    in_term = sa.select(terms.c.specialist).where(
        terms.c.specialist == specialists.c.id,
        sa.literal(day).between(terms.c.first_day, terms.c.last_day),
    )
    statement = (
        selection()
        .where(specialists.c.provincial == provincial, in_term.exists())
        .order_by(specialists.c.id)
    )
    pool = [specialist_of(row) for row in await tx.execute(statement)]
    revisions.note("specialists of the province" if provincial else "specialists", pool)
    return pool


def selection() -> sa.Select[tuple[Any, ...]]:
    """Specialists with the days of their latest term."""
    own = terms.c.specialist == specialists.c.id
    first = sa.select(sa.func.max(terms.c.first_day)).where(own).scalar_subquery()
    last = sa.select(sa.func.max(terms.c.last_day)).where(own).scalar_subquery()
    return sa.select(specialists, first.label("first_day"), last.label("last_day"))


def specialist_of(row: sa.Row[Any]) -> Specialist:
    """The specialist in a row of the table."""
    term = None if row.first_day is None else Term(row.first_day, row.last_day)
    return Specialist(row.id, row.number, row.field, row.provincial, row.member, term)
