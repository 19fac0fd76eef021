"""Basic pensions that reduce the disability allowance."""

from __future__ import annotations

from services.benefits.commands.awards import grant_awards, lock_claim
from services.benefits.commands.cases import require_confirmed_case
from services.benefits.domain.award import WORKER, Award
from services.benefits.store import awards as award_store
from services.benefits.store import pensions as pension_store
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.problems import NotFound
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def record_pension(
    tx: Transaction, claim: str, since: Month, pension: Fen, context: CommandContext
) -> Award:
    """Store the worker's basic pension, fen per month; the allowance shrinks to the difference."""
    await lock_claim(tx, claim)
    await require_confirmed_case(tx, claim)
    await pension_store.update(tx, claim, since, pension, context.now)
    await grant_awards(tx, claim, "basic pension", context)
    for paid in await award_store.list_paid_awards(tx, claim):
        if paid.award.beneficiary == WORKER and paid.award.periodic:
            return paid.award
    raise NotFound(name=f"monthly award of {claim}")
