"""Awards brought to the law as published: indexation, and the true-up of provisional ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.benefits.commands.awards import (
    grant_awards,
    list_outdated,
    lock_claims,
    plan_awards,
)
from services.benefits.domain import law as rules
from services.benefits.domain.true_ups import TrueUp, true_ups
from services.benefits.store import cases as case_store
from services.benefits.store import true_ups as true_up_store
from services.kernel.lawbook import law_version
from services.kernel.money import ZERO, Fen
from services.kernel.periods import Month
from services.runtime.service import signatures
from services.runtime.service.context import CommandContext
from services.runtime.storage import revisions
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class IndexationRound:
    """The result of one call: cases planned, awards granted or changed, cases still to plan."""

    claim_count: int
    award_count: int
    remaining_count: int


@dataclass(frozen=True)
class TrueUpRound:
    """The result of one call: workers planned, what changed, workers still to plan."""

    worker_count: int
    true_ups: tuple[TrueUp, ...]
    remaining_count: int


async def index_awards(
    tx: Transaction, claim_count: int, context: CommandContext
) -> IndexationRound:
    """Plan up to `claim_count` cases on the law published by today; repeat until none remains.

    An adjustment, a minimum wage or an average wage reaches awards in payment this way.
    """
    version = law_version(rules.LAW, context.today)
    claims = await case_store.list_on_older_law(tx, version, claim_count)
    changed_count, moved = 0, ZERO
    for worker in await lock_claims(tx, *claims):
        replanned = await grant_awards(tx, worker, "adjustment", context)
        changed_count += replanned.changed_count
        moved = moved + replanned.moved
    _note(f"awards/{version}", (claims, changed_count, moved), moved)
    remaining_count = await case_store.count_on_older_law(tx, version)
    return IndexationRound(len(claims), changed_count, remaining_count)


async def true_up_awards(
    tx: Transaction, pooling_area: str, worker_count: int, context: CommandContext
) -> TrueUpRound:
    """Plan the awards of up to `worker_count` workers who wait for figures.

    Repeat it until none remains. What was paid too little becomes back pay, what was paid too much
    a recovery; an award whose figures are all published is final.
    """
    figures = await list_outdated(tx, context)
    workers = await true_up_store.list_waiting(tx, figures, pooling_area, worker_count)
    await lock_claims(tx, *await case_store.list_claims(tx, workers))
    records: list[TrueUp] = []
    moved = ZERO
    for worker in workers:
        replanned = await grant_awards(tx, worker, "true-up", context)
        records += replanned.true_ups
        moved = moved + replanned.moved
    _note("trueUps", (workers, records, moved), moved)
    remaining_count = await true_up_store.count_waiting(tx, figures, pooling_area)
    return TrueUpRound(len(workers), tuple(records), remaining_count)


async def preview_true_ups(
    tx: Transaction, workers: Iterable[str], context: CommandContext
) -> dict[str, TrueUp]:
    """What a true-up of workers would change today, by the id of the award; changes nothing."""
    previews: dict[str, TrueUp] = {}
    for worker in sorted(set(workers)):
        for plan in await plan_awards(tx, worker, "true-up", context):
            month = Month.of(context.today)
            previews |= {each.award: each for each in true_ups(plan.awards, plan.changes, month)}
    return previews


def _note(resource: str, effect: object, moved: Fen) -> None:
    """Note what an act does; without money that moves, one person is enough."""
    revisions.note(resource, effect)
    if moved:
        signatures.note_sum(moved)
    else:
        signatures.note_act("")
