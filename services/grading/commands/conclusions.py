"""Conclusions of appraisals: reached, served, corrected, revoked."""

from __future__ import annotations

from services.grading import events
from services.grading.commands.cases import lock_case
from services.grading.domain import conclusions, procedure
from services.grading.domain.appraisals import OPEN_STATES, Appraisal, Cause, Service, State
from services.grading.domain.conclusions import Correction
from services.grading.store import appraisals as appraisal_store
from services.grading.store import ciphers
from services.grading.store import conclusions as conclusion_store
from services.grading.store import panels as panel_store
from services.runtime.events import outbox, personal_fields
from services.runtime.service import signatures
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def conclude_appraisal(
    tx: Transaction, appraisal_id: str, revision: int, context: CommandContext
) -> Appraisal:
    """Conclude on the panel's opinions; `revision` is the one that the committee has read."""
    case = await lock_case(tx, appraisal_id, context)
    concluded = conclusions.conclude(
        case.appraisal,
        revision,
        injury=case.injury,
        panel=await panel_store.list_members(tx, case.appraisal),
        opinions=await panel_store.list_opinions(tx, context.cipher, case.appraisal),
        days=case.days,
    )
    await appraisal_store.update(tx, context.cipher, concluded)
    await _publish(tx, concluded, context)
    return concluded


async def serve_conclusion(
    tx: Transaction, appraisal_id: str, service: Service, context: CommandContext
) -> Appraisal:
    """Record the service of the conclusion; a repeat changes nothing.

    One person records a service; two change the record, because a day decides a time limit.
    """
    case = await lock_case(tx, appraisal_id, context)
    earlier = await conclusion_store.list_services(tx, case.appraisal)
    is_correction = any(each.recipient is service.recipient for each in earlier)
    if service in earlier or not is_correction:
        signatures.note_act("")
    if service in earlier:
        return case.appraisal
    served = conclusions.serve(case.appraisal, service, case.days)
    await appraisal_store.update(tx, context.cipher, served)
    await conclusion_store.insert_service(tx, served, service, context.now)
    return served


async def correct_conclusion(
    tx: Transaction,
    appraisal_id: str,
    revision: int,
    correction: Correction,
    context: CommandContext,
) -> Appraisal:
    """Correct a wrong conclusion; `revision` is the one that the committee has read."""
    case = await lock_case(tx, appraisal_id, context)
    corrected = conclusions.correct(
        case.appraisal,
        revision,
        correction,
        followers=await appraisal_store.list_followers(tx, context.cipher, case.appraisal),
        days=case.days,
    )
    await appraisal_store.update(tx, context.cipher, corrected)
    await appraisal_store.insert_note(tx, context.cipher, corrected, correction.reason, context.now)
    await conclusion_store.insert_correction(tx, context.cipher, corrected, correction, context.now)
    await _publish(tx, corrected, context)
    return corrected


async def revoke_conclusion(
    tx: Transaction, appraisal_id: str, revision: int, reason: str, context: CommandContext
) -> Appraisal:
    """Revoke a conclusion; an open appraisal that contests or reviews it ends."""
    case = await lock_case(tx, appraisal_id, context)
    followers = await appraisal_store.list_followers(tx, context.cipher, case.appraisal)
    revoked = conclusions.revoke(case.appraisal, revision, followers=followers, day=case.days.day)
    await appraisal_store.update(tx, context.cipher, revoked)
    await appraisal_store.insert_note(tx, context.cipher, revoked, reason, context.now)
    for follower in followers:
        if follower.state in OPEN_STATES:
            ended = procedure.end(follower, Cause.CONCLUSION_REVOKED)
            await appraisal_store.update(tx, context.cipher, ended)
            await outbox.add(tx, events.appraisal_ended(ended, context.today), context.now)
    await outbox.add(tx, events.appraisal_revoked(revoked, context.today), context.now)
    return revoked


async def republish_conclusion(tx: Transaction, claim: str, context: CommandContext) -> None:
    """Publish the newest conclusion of a claim again.

    Consumers dropped it when the claim was not confirmed, and the person's condition is unchanged.
    """
    concluded = await appraisal_store.lock_newest(tx, context.cipher, claim, State.CONCLUDED)
    if concluded is not None:
        republished = conclusions.republish(concluded)
        await appraisal_store.update(tx, context.cipher, republished)
        await _publish(tx, republished, context)


async def _publish(tx: Transaction, concluded: Appraisal, context: CommandContext) -> None:
    cipher = await ciphers.get_of_claim(tx, context.cipher, concluded.claim)
    event = personal_fields.seal(cipher, events.appraisal_concluded(concluded))
    await outbox.add(tx, event, context.now)
