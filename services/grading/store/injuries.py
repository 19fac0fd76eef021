"""The injury of each claim, as last determined."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert

from services.grading.domain.appraisals import OPEN_STATES, Injury, State
from services.grading.store.tables import appraisals, injuries
from services.kernel.problems import NotFound
from services.runtime.storage.database import Transaction


async def lock(tx: Transaction, claim: str) -> Injury:
    """The injury of a claim, locked; revision 0 before any event was consumed."""
    statement = sa.select(injuries).where(injuries.c.claim == claim).with_for_update()
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        first = {
            "claim": claim,
            "revision": 0,
            "appraisable": False,
            "pooling_area": "",
            "worker": "",
            "invited": False,
            "platform": "",
        }
        await tx.execute(upsert(injuries).values(first).on_conflict_do_nothing())
        row = (await tx.execute(statement)).one()
    return _injury(row)


async def lock_known(tx: Transaction, claim: str) -> Injury:
    """The injury of a claim, locked; raises NotFound for one that the caller does not see."""
    statement = sa.select(injuries).where(injuries.c.claim == claim).with_for_update()
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise NotFound(name=claim)
    return _injury(row)


async def list_invited(tx: Transaction, after: str, size: int) -> list[Injury]:
    """At most `size` injuries whose appraisal is invited, neither open nor concluded, by claim."""
    states = [state.name for state in (*OPEN_STATES, State.CONCLUDED)]
    applied = sa.select(appraisals.c.id).where(
        appraisals.c.claim == injuries.c.claim, appraisals.c.state.in_(states)
    )
    statement = (
        sa.select(injuries)
        .where(injuries.c.invited, injuries.c.claim > after, ~applied.exists())
        .order_by(injuries.c.claim)
        .limit(size)
    )
    return [_injury(row) for row in await tx.execute(statement)]


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
            worker=injury.worker,
            invited=injury.invited,
            platform=injury.platform,
        )
    )


def _injury(row: sa.Row[Any]) -> Injury:
    return Injury(
        row.claim,
        row.revision,
        row.appraisable,
        row.accident_date,
        row.pooling_area,
        row.worker,
        row.invited,
        row.platform,
    )
