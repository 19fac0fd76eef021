"""True-ups: who waits for figures, and what published ones changed; rows are never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.true_ups import TrueUp
from services.benefits.store.tables import (
    awards,
    claims_of_case,
    month_of,
    not_erased,
    number_of,
    true_ups,
)
from services.kernel.money import Fen
from services.runtime.rpc.wire import versions_from_json, versions_to_json
from services.runtime.storage.database import Transaction


async def list_awaited(tx: Transaction) -> list[tuple[str, int]]:
    """The figures that awards wait for, each with the number of awards."""
    each = _each_awaited()
    statement = (
        sa.select(each.c.figure, sa.func.count().label("award_count"))
        .group_by(each.c.figure)
        .order_by(each.c.figure)
    )
    return [(row.figure, row.award_count) for row in await tx.execute(statement)]


async def list_waiting(
    tx: Transaction, figures: Sequence[str], pooling_area: str = "", size: int | None = None
) -> list[str]:
    """The workers with an award that waits for one of these figures."""
    waiting = _waiting(figures, pooling_area)
    statement = sa.select(waiting.c.worker).distinct().order_by(waiting.c.worker).limit(size)
    return list((await tx.execute(statement)).scalars())


async def count_waiting(tx: Transaction, figures: Sequence[str], pooling_area: str) -> int:
    """The number of workers that `list_waiting` lists without a limit."""
    waiting = _waiting(figures, pooling_area)
    statement = sa.select(sa.func.count(waiting.c.worker.distinct()))
    return int((await tx.execute(statement)).scalar_one())


def numbers_waiting(figures: Sequence[str]) -> sa.Select[tuple[int]]:
    """The numbers of the awards that wait for one of these figures."""
    return sa.select(_waiting(figures).c.number)


def _waiting(figures: Sequence[str], pooling_area: str = "") -> sa.Subquery:
    """The awards that wait for one of many figures; joined by hash, not compared one by one."""
    each = _each_awaited()
    wanted = sa.select(sa.func.unnest(sa.literal(list(figures), ARRAY(sa.Text))))
    statement = sa.select(each).where(each.c.figure.in_(wanted))
    if pooling_area:
        statement = statement.where(each.c.pooling_area == pooling_area)
    return statement.subquery()


def _each_awaited() -> sa.Subquery:
    """A row for each award and each figure that it waits for; of erased workers none."""
    return (
        sa.select(
            awards.c.number,
            awards.c.worker,
            awards.c.pooling_area,
            sa.func.unnest(awards.c.awaits).label("figure"),
        )
        .where(sa.func.cardinality(awards.c.awaits) > 0, not_erased(awards))
        .subquery()
    )


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
