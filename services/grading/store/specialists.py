"""The pool of specialists."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert

from services.grading.domain.panels import Specialist
from services.grading.store.tables import specialists
from services.runtime.storage.database import Transaction


async def insert(tx: Transaction, specialist: Specialist, now: datetime) -> None:
    """Add a specialist, unless the number is registered already."""
    row = {
        "id": specialist.id,
        "number": specialist.number,
        "field": specialist.field,
        "provincial": specialist.provincial,
        "create_time": now,
    }
    await tx.execute(upsert(specialists).values(row).on_conflict_do_nothing())


async def find(tx: Transaction, number: str) -> Specialist | None:
    """The specialist with a committee's number, if registered."""
    statement = sa.select(specialists).where(specialists.c.number == number)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else specialist_of(row)


async def list_by_number(tx: Transaction, after: str, size: int) -> list[Specialist]:
    """At most `size` specialists with a number above `after`, in its order."""
    statement = (
        sa.select(specialists)
        .where(specialists.c.number > after)
        .order_by(specialists.c.number)
        .limit(size)
    )
    return [specialist_of(row) for row in await tx.execute(statement)]


async def list_pool(tx: Transaction, *, provincial: bool) -> list[Specialist]:
    """The specialists of the provincial committee, or of the prefectures', by id."""
    statement = (
        sa.select(specialists)
        .where(specialists.c.provincial == provincial)
        .order_by(specialists.c.id)
    )
    return [specialist_of(row) for row in await tx.execute(statement)]


def specialist_of(row: sa.Row[Any]) -> Specialist:
    """The specialist in a row of the table."""
    return Specialist(row.id, row.number, row.field, row.provincial)
