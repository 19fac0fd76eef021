"""Mergers of claims as claims published them: which claim ended, and in which other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.benefits.store.tables import mergers
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class Merger:
    """A claim that ended, the claim that survived, and the accident of the surviving one.

    `revision` is that of the ended claim; events about it with a higher one come after the merger.
    """

    merged_claim: str
    revision: int
    claim: str
    accident: str
    merge_time: datetime
    reason: str


async def update(tx: Transaction, merger: Merger, now: datetime) -> bool:
    """Store a merger; False if an equal or newer one of the claim is stored."""
    row = {
        "revision": merger.revision,
        "claim": merger.claim,
        "accident": merger.accident,
        "merge_time": merger.merge_time,
        "reason": merger.reason,
        "create_time": now,
    }
    statement = (
        insert(mergers)
        .values(merged_claim=merger.merged_claim, **row)
        .on_conflict_do_update(
            index_elements=["merged_claim"], set_=row, where=mergers.c.revision < merger.revision
        )
        .returning(mergers.c.merged_claim)
    )
    return (await tx.execute(statement)).first() is not None


async def update_undone(tx: Transaction, claim: str, revision: int) -> None:
    """Remove the merger of a claim that goes on by itself with a higher revision."""
    statement = sa.delete(mergers).where(
        mergers.c.merged_claim == claim, mergers.c.revision < revision
    )
    await tx.execute(statement)


async def find_last(tx: Transaction, claim: str) -> Merger | None:
    """The last merger on the way from a claim to the one that survives; None if it survives."""
    last, passed = None, {claim}
    while True:
        statement = sa.select(mergers).where(mergers.c.merged_claim == claim)
        row = (await tx.execute(statement)).one_or_none()
        if row is None or row.claim in passed:
            return last
        claim = row.claim
        passed.add(claim)
        last = Merger(
            row.merged_claim, row.revision, row.claim, row.accident, row.merge_time, row.reason
        )


async def list_merged(tx: Transaction, claim: str) -> list[str]:
    """The claims that ended in a claim, also by way of others."""
    rows = await tx.execute(
        sa.text(
            "with recursive ended (claim) as ("
            "  select merged_claim from merger where claim = :claim"
            "  union select m.merged_claim from merger m join ended e on m.claim = e.claim)"
            " select claim from ended where claim <> :claim order by claim"
        ),
        {"claim": claim},
    )
    return list(rows.scalars())
