"""Indexation: bringing awards to the law as published."""

from __future__ import annotations

from dataclasses import dataclass

from services.benefits.commands.awards import grant_awards, lock_claims
from services.benefits.domain import law as rules
from services.benefits.store import cases as case_store
from services.kernel.lawbook import law_version
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class IndexationRound:
    """The result of one call: cases planned, awards granted or changed, cases still to plan."""

    claim_count: int
    award_count: int
    remaining_count: int


async def index_awards(
    tx: Transaction, claim_count: int, context: CommandContext
) -> IndexationRound:
    """Plan up to `claim_count` cases on the law published by today; repeat until none remains.

    An adjustment, a minimum wage or an average wage reaches awards in payment this way.
    """
    version = law_version(rules.LAW, context.today)
    claims = await case_store.list_on_older_law(tx, version, claim_count)
    changed_count = 0
    for worker in await lock_claims(tx, *claims):
        changed_count += await grant_awards(tx, worker, "adjustment", context)
    remaining_count = await case_store.count_on_older_law(tx, version)
    return IndexationRound(len(claims), changed_count, remaining_count)
