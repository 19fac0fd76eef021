"""The injury of each claim, as last determined."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert

from services.grading.domain.appraisals import Injury
from services.grading.store.tables import injuries
from services.runtime.storage.database import Transaction


async def lock(tx: Transaction, claim: str) -> Injury:
    """The injury of a claim, locked; revision 0 before any event was consumed."""
    first = {"claim": claim, "revision": 0, "appraisable": False, "pooling_area": ""}
    await tx.execute(upsert(injuries).values(first).on_conflict_do_nothing())
    statement = sa.select(injuries).where(injuries.c.claim == claim).with_for_update()
    row = (await tx.execute(statement)).one()
    return Injury(row.claim, row.revision, row.appraisable, row.accident_date, row.pooling_area)


async def update(tx: Transaction, injury: Injury) -> None:
    """Save an injury; the caller holds its lock."""
    await tx.execute(
        sa.update(injuries)
        .where(injuries.c.claim == injury.claim)
        .values(
            revision=injury.revision,
            appraisable=injury.appraisable,
            accident_date=injury.accident_date,
            pooling_area=injury.pooling_area,
        )
    )
