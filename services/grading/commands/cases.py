"""An appraisal with its injury, both locked, and the days that apply to it today."""

from __future__ import annotations

from dataclasses import dataclass

from services.grading.domain.appraisals import Appraisal, Injury
from services.grading.domain.law import law_in
from services.grading.domain.times import Days
from services.grading.store import appraisals as appraisal_store
from services.grading.store import injuries as injury_store
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class Case:
    """What a command on one appraisal loads."""

    appraisal: Appraisal
    injury: Injury
    days: Days


async def lock_case(tx: Transaction, appraisal_id: str, context: CommandContext) -> Case:
    """The case of an appraisal; raises NotFound. Every command locks the claim first."""
    claim = (await appraisal_store.get(tx, context.cipher, appraisal_id)).claim
    injury = await injury_store.lock(tx, claim)
    appraisal = await appraisal_store.lock(tx, context.cipher, appraisal_id)
    return Case(appraisal, injury, days_of(injury, context))


def days_of(injury: Injury, context: CommandContext) -> Days:
    """The law of the injury's pooling area today, and the province's working days."""
    return Days(law_in(injury.pooling_area), context.today, context.calendar)
