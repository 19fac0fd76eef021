"""Conclusions of appraisals."""

from __future__ import annotations

from services.grading import events
from services.grading.commands.cases import lock_case
from services.grading.domain import procedure
from services.grading.domain.appraisals import Appraisal, State
from services.grading.store import appraisals as appraisal_store
from services.grading.store import panels as panel_store
from services.runtime.events import outbox
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def conclude_appraisal(
    tx: Transaction, appraisal_id: str, revision: int, context: CommandContext
) -> Appraisal:
    """Conclude on the panel's opinions; `revision` is the one that the committee has read."""
    case = await lock_case(tx, appraisal_id, context)
    concluded = procedure.conclude(
        case.appraisal,
        revision,
        injury=case.injury,
        panel=await panel_store.list_members(tx, case.appraisal),
        opinions=await panel_store.list_opinions(tx, context.cipher, case.appraisal),
        days=case.days,
    )
    await appraisal_store.update(tx, concluded)
    await outbox.add(tx, events.appraisal_concluded(concluded), context.now)
    return concluded


async def republish_conclusion(tx: Transaction, claim: str, context: CommandContext) -> None:
    """Publish the newest conclusion of a claim again.

    Consumers dropped it when the claim was not confirmed, and the person's condition is unchanged.
    """
    concluded = await appraisal_store.lock_newest(tx, claim, State.CONCLUDED)
    if concluded is not None:
        republished = procedure.republish(concluded)
        await appraisal_store.update(tx, republished)
        await outbox.add(tx, events.appraisal_concluded(republished), context.now)
