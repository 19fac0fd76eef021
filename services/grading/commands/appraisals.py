"""Changes of appraisals up to their conclusion."""

from __future__ import annotations

from datetime import date

from oip.claims.v1 import claims_pb2
from oip.claims.v1 import events_pb2 as claim_events

from services.grading import events
from services.grading.commands.cases import days_of, lock_case
from services.grading.commands.conclusions import republish_conclusion
from services.grading.domain import procedure
from services.grading.domain.appraisals import (
    OPEN_STATES,
    Appraisal,
    Cause,
    Injury,
    InjuryKind,
    State,
)
from services.grading.domain.problems import NothingToAppraise, OtherAppraisalNewer
from services.grading.store import appraisals as appraisal_store
from services.grading.store import injuries as injury_store
from services.kernel import names
from services.kernel.scheme import AppraisalLevel
from services.runtime.events import outbox
from services.runtime.rpc.wire import date_from_wire
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def on_claim_determined(
    tx: Transaction, event: claim_events.ClaimDetermined, context: CommandContext
) -> None:
    """Open, end or resume the appraisal of a claim. Older revisions are ignored.

    The first appraisal's id comes from the claim, so that repeated, late and reordered events end
    with the same appraisal.
    """
    injury = _injury(event)
    known = await injury_store.lock(tx, injury.claim)
    if known.revision >= injury.revision:
        return
    await injury_store.update(tx, injury)
    newest = await appraisal_store.lock_newest(tx, injury.claim)
    if not injury.appraisable:
        await _end_open(tx, newest, context)
        return
    days = days_of(injury, context)
    if newest is None:
        appraisal_id = names.id_from(injury.claim, "appraisal")
        opened = procedure.open_first(appraisal_id, injury, context.now, days)
        await appraisal_store.insert(tx, opened)
        return
    if newest.state is State.ENDED and newest.cause is Cause.DETERMINATION_WITHDRAWN:
        await appraisal_store.update(tx, procedure.reopen(newest, context.today, days))
    if not known.appraisable:
        await republish_conclusion(tx, injury.claim, context)


async def on_determination_revoked(
    tx: Transaction, event: claim_events.DeterminationRevoked, context: CommandContext
) -> None:
    """End the open appraisal of a claim. Older revisions are ignored."""
    known = await injury_store.lock(tx, event.claim)
    if known.revision >= event.revision:
        return
    injury = Injury(
        event.claim,
        event.revision,
        appraisable=False,
        accident_date=known.accident_date,
        pooling_area=known.pooling_area,
    )
    await injury_store.update(tx, injury)
    await _end_open(tx, await appraisal_store.lock_newest(tx, event.claim), context)


async def open_appraisal(
    tx: Transaction,
    appraisal_id: str,
    context: CommandContext,
    *,
    previous_id: str,
    level: AppraisalLevel,
    application_date: date,
    receive_date: date | None,
) -> Appraisal:
    """Open a re-appraisal or a review, or reopen an appraisal that ended because of absences."""
    claim = (await appraisal_store.get(tx, previous_id)).claim
    injury = await injury_store.lock(tx, claim)
    newest = await appraisal_store.lock_newest(tx, claim)
    assert newest is not None
    if newest.id != previous_id:
        raise OtherAppraisalNewer(field="previous", newest=newest.name)
    if not injury.appraisable:
        raise NothingToAppraise(claim=claim)
    days = days_of(injury, context)
    if newest.state is State.ENDED and level is newest.level:
        reopened = procedure.reopen(newest, application_date, days)
        await appraisal_store.update(tx, reopened)
        return reopened
    opened = procedure.open_next(
        appraisal_id,
        newest,
        level,
        application_date=application_date,
        receive_date=receive_date,
        now=context.now,
        days=days,
    )
    await appraisal_store.insert(tx, opened)
    return opened


async def defer_appraisal(
    tx: Transaction,
    appraisal_id: str,
    context: CommandContext,
    *,
    until: date,
    kind: InjuryKind | None,
    note: str,
) -> Appraisal:
    """Wait for the condition to become stable; a panel that was drawn is released."""
    case = await lock_case(tx, appraisal_id, context)
    deferred = procedure.defer(
        case.appraisal,
        until=until,
        kind=kind,
        accident=case.injury.accident_date,
        days=case.days,
    )
    await appraisal_store.update(tx, deferred)
    await appraisal_store.insert_note(tx, context.cipher, deferred, note, context.now)
    return deferred


async def extend_appraisal(
    tx: Transaction, appraisal_id: str, note: str, context: CommandContext
) -> Appraisal:
    """Extend the time limit of a complex case."""
    case = await lock_case(tx, appraisal_id, context)
    extended = procedure.extend(case.appraisal, case.days)
    await appraisal_store.update(tx, extended)
    await appraisal_store.insert_note(tx, context.cipher, extended, note, context.now)
    return extended


async def record_absence(
    tx: Transaction,
    appraisal_id: str,
    examination: date,
    context: CommandContext,
    *,
    excused: bool,
) -> Appraisal:
    """Record that the worker missed an examination; publish the end if that ends the procedure."""
    case = await lock_case(tx, appraisal_id, context)
    recorded = procedure.record_absence(case.appraisal, examination, case.days, excused=excused)
    await appraisal_store.update(tx, recorded)
    if recorded.state is State.ENDED:
        await outbox.add(tx, events.appraisal_ended(recorded, context.today), context.now)
    return recorded


async def _end_open(tx: Transaction, newest: Appraisal | None, context: CommandContext) -> None:
    """End a claim's newest appraisal if it is open, because there is nothing to appraise."""
    if newest is not None and newest.state in OPEN_STATES:
        ended = procedure.end(newest, Cause.DETERMINATION_WITHDRAWN)
        await appraisal_store.update(tx, ended)
        await outbox.add(tx, events.appraisal_ended(ended, context.today), context.now)


def _injury(event: claim_events.ClaimDetermined) -> Injury:
    confirmed = event.outcome == claims_pb2.Determination.CONFIRMED
    return Injury(
        claim=event.claim,
        revision=event.revision,
        appraisable=confirmed and event.disability_expected and not event.HasField("death_date"),
        accident_date=date_from_wire(event.accident_date, "accident_date")
        if event.HasField("accident_date")
        else None,
        pooling_area=event.pooling_area,
    )
