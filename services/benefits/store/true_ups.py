"""True-ups: what published figures changed about provisional awards; rows are never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.true_ups import TrueUp
from services.benefits.store.tables import claims_of_case, month_of, number_of, true_ups
from services.kernel.money import Fen
from services.runtime.rpc.wire import versions_from_json, versions_to_json
from services.runtime.storage.database import Transaction


async def insert(tx: Transaction, records: Sequence[TrueUp], member: str, now: datetime) -> None:
    """Record true-ups; `member` is the person who made them, empty for an event."""
    if not records:
        return
    rows = [
        {
            "id": each.id,
            "award": each.award,
            "claim": each.claim,
            "kind": each.kind.value,
            "pooling_area": each.pooling_area,
            "month": number_of(each.month),
            "before_fen": each.before.count,
            "after_fen": each.after.count,
            "difference_fen": each.difference.count,
            "figures": versions_to_json(each.figures),
            "final": each.is_final,
            "member": member,
            "create_time": now,
        }
        for each in records
    ]
    await tx.execute(sa.insert(true_ups), rows)


async def list_true_ups(
    tx: Transaction, claim: str, pooling_area: str, after: tuple[int] | tuple[()], size: int
) -> list[tuple[int, TrueUp]]:
    """True-ups by number, after a number: of all, of the case of a claim, or of an area."""
    statement = sa.select(true_ups).order_by(true_ups.c.number).limit(size)
    if claim:
        statement = statement.where(true_ups.c.claim.in_(claims_of_case(claim)))
    if pooling_area:
        statement = statement.where(true_ups.c.pooling_area == pooling_area)
    if after:
        statement = statement.where(true_ups.c.number > after[0])
    return [
        (
            row.number,
            TrueUp(
                id=row.id,
                award=row.award,
                claim=row.claim,
                kind=BenefitKind(row.kind),
                pooling_area=row.pooling_area,
                month=month_of(row.month),
                before=Fen(row.before_fen),
                after=Fen(row.after_fen),
                difference=Fen(row.difference_fen),
                figures=versions_from_json(row.figures),
                is_final=row.final,
                member=row.member,
                create_time=row.create_time,
            ),
        )
        for row in await tx.execute(statement)
    ]
