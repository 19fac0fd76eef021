"""Counts of rows that break an invariant of enrolment; all are 0."""

from __future__ import annotations

import sqlalchemy as sa

from services.runtime.storage.database import Transaction


async def count_incomplete_enrolments(tx: Transaction) -> int:
    """Enrolments without their worker or their platform."""
    statement = sa.text(
        "select count(*) from enrolment e"
        " where not exists (select from worker w where w.id = e.worker)"
        " or not exists (select from platform p where p.credit_code = e.platform)"
    )
    return int((await tx.execute(statement)).scalar_one())
