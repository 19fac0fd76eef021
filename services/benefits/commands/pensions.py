"""Basic pensions that reduce the disability allowance."""

from __future__ import annotations

from services.benefits.commands.awards import grant_awards, lock_claims
from services.benefits.commands.cases import require_confirmed_case
from services.benefits.domain.award import WORKER, Award
from services.benefits.store import awards as award_store
from services.benefits.store import pensions as pension_store
from services.kernel.money import Fen
from services.kernel.periods import MONTHS_PER_YEAR, Month
from services.kernel.phrases import Phrase
from services.kernel.problems import NotFound, require_within
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def record_pension(
    tx: Transaction, claim: str, since: Month, pension: Fen, context: CommandContext
) -> Award:
    """Store the worker's basic pension, fen per month; the allowance shrinks to the difference.

    A pension from before the accident is recorded from the month of the accident.
    """
    await lock_claims(tx, claim)
    case = await require_confirmed_case(tx, claim, context)
    require_within(
        "first_month",
        since,
        Month.of(case.accident_date),
        Month.of(context.today).plus(MONTHS_PER_YEAR),
    )
    await pension_store.update(tx, case.claim, since, pension, context.now)
    await grant_awards(tx, case.worker, "basic pension", context)
    for paid in await award_store.list_paid_awards(tx, context.cipher, case.worker):
        award = paid.award
        of_case = award.accident == case.accident and not award.merged_into
        if of_case and award.beneficiary == WORKER and award.periodic:
            return award
    raise NotFound(
        name=Phrase.of(
            "MONTHLY_AWARD", "monthly award of {claim}", "{claim} 的按月待遇", claim=claim
        )
    )
