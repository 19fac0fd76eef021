"""Changes of appraisals up to their conclusion, by claims and by the committee."""

from __future__ import annotations

from datetime import date

from oip.claims.v1 import claims_pb2
from oip.claims.v1 import events_pb2 as claim_events

from services.grading import events
from services.grading.commands.cases import days_of, lock_case
from services.grading.commands.conclusions import republish_conclusion
from services.grading.commands.panels import commit_draw
from services.grading.domain import procedure
from services.grading.domain.appraisals import (
    OPEN_STATES,
    Appraisal,
    Cause,
    Injury,
    InjuryKind,
    State,
)
from services.grading.domain.procedure import Absence
from services.grading.store import appraisals as appraisal_store
from services.grading.store import injuries as injury_store
from services.runtime.events import outbox
from services.runtime.rpc.wire import date_from_wire
from services.runtime.service.context import CommandContext
from services.runtime.storage import revisions
from services.runtime.storage.database import Transaction

# What claims end, claims can begin again.
ENDED_BY_CLAIMS = (Cause.DETERMINATION_WITHDRAWN, Cause.CLAIMS_MERGED)


async def on_claim_determined(
    tx: Transaction, event: claim_events.ClaimDetermined, context: CommandContext
) -> None:
    """Store the injury of a claim; older revisions are ignored.

    A confirmation opens nothing: one that expects a disability invites an application. It resumes
    an appraisal that claims had ended; any other determination ends an open one.
    """
    injury = _injury(event)
    known = await injury_store.lock(tx, injury.claim)
    if known.revision >= injury.revision:
        return
    await injury_store.update(tx, injury)
    newest = await appraisal_store.lock_newest(tx, context.cipher, injury.claim)
    if not injury.appraisable:
        await _end_open(tx, newest, Cause.DETERMINATION_WITHDRAWN, context)
        return
    if newest is not None and newest.state is State.ENDED and newest.cause in ENDED_BY_CLAIMS:
        resumed = procedure.resume(newest, days_of(injury, context))
        await appraisal_store.update(tx, context.cipher, resumed)
        await commit_draw(tx, resumed, context)
        await outbox.add(tx, events.appraisal_resumed(resumed), context.now)
    if not known.appraisable:
        await republish_conclusion(tx, injury.claim, context)


async def on_determination_revoked(
    tx: Transaction, event: claim_events.DeterminationRevoked, context: CommandContext
) -> None:
    """End the open appraisal of a claim. Older revisions are ignored."""
    cause = Cause.DETERMINATION_WITHDRAWN
    await _end_claim(tx, event.claim, event.revision, cause, context)


async def on_claims_merged(
    tx: Transaction, event: claim_events.ClaimsMerged, context: CommandContext
) -> None:
    """End the open appraisal of the merged claim. Older revisions are ignored.

    A concluded one stays readable and does not count: benefits follow the surviving claim.
    """
    await _end_claim(tx, event.merged_claim, event.revision, Cause.CLAIMS_MERGED, context)


async def adjourn_appraisal(
    tx: Transaction, appraisal_id: str, until: date, note: str, context: CommandContext
) -> Appraisal:
    """Adjourn the examination for a further check; the panel stays."""
    case = await lock_case(tx, appraisal_id, context)
    adjourned = procedure.adjourn(case.appraisal, until, case.days)
    await appraisal_store.update(tx, context.cipher, adjourned)
    await appraisal_store.insert_note(tx, context.cipher, adjourned, note, context.now)
    return adjourned


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
    await appraisal_store.update(tx, context.cipher, deferred)
    await commit_draw(tx, deferred, context)
    await appraisal_store.insert_note(tx, context.cipher, deferred, note, context.now)
    return deferred


async def extend_appraisal(
    tx: Transaction, appraisal_id: str, note: str, context: CommandContext
) -> Appraisal:
    """Extend the time limit of a complex case."""
    case = await lock_case(tx, appraisal_id, context)
    extended = procedure.extend(case.appraisal, case.days)
    await appraisal_store.update(tx, context.cipher, extended)
    await appraisal_store.insert_note(tx, context.cipher, extended, note, context.now)
    return extended


async def record_absence(
    tx: Transaction, appraisal_id: str, absence: Absence, context: CommandContext
) -> Appraisal:
    """Record what kept the panel from its examination; publish the end if it ends the appraisal."""
    case = await lock_case(tx, appraisal_id, context)
    recorded = procedure.record_absence(case.appraisal, absence, case.days)
    await appraisal_store.update(tx, context.cipher, recorded)
    if recorded.state is State.ENDED:
        await outbox.add(tx, events.appraisal_ended(recorded, context.today), context.now)
    return recorded


async def resume_appraisal(
    tx: Transaction, appraisal_id: str, reason: str, context: CommandContext
) -> Appraisal:
    """Take back the end of an appraisal that was recorded by mistake, and publish that."""
    case = await lock_case(tx, appraisal_id, context)
    newest = await appraisal_store.lock_newest(tx, context.cipher, case.appraisal.claim)
    assert newest is not None
    revisions.note(f"{newest.claim}/appraisals", newest.number)
    procedure.require_resumable(case.appraisal, newest, appraisable=case.injury.appraisable)
    resumed = procedure.resume(case.appraisal, case.days)
    await appraisal_store.update(tx, context.cipher, resumed)
    await appraisal_store.insert_note(tx, context.cipher, resumed, reason, context.now)
    await commit_draw(tx, resumed, context)
    await outbox.add(tx, events.appraisal_resumed(resumed), context.now)
    return resumed


async def _end_claim(
    tx: Transaction, claim: str, revision: int, cause: Cause, context: CommandContext
) -> None:
    """There is nothing to appraise in a claim any more, as of a revision of it."""
    known = await injury_store.lock(tx, claim)
    if known.revision >= revision:
        return
    injury = Injury(
        claim,
        revision,
        appraisable=False,
        accident_date=known.accident_date,
        pooling_area=known.pooling_area,
        worker=known.worker,
        platform=known.platform,
    )
    await injury_store.update(tx, injury)
    newest = await appraisal_store.lock_newest(tx, context.cipher, claim)
    await _end_open(tx, newest, cause, context)


async def _end_open(
    tx: Transaction, newest: Appraisal | None, cause: Cause, context: CommandContext
) -> None:
    """End a claim's newest appraisal if it is open, because there is nothing to appraise."""
    if newest is not None and newest.state in OPEN_STATES:
        ended = procedure.end(newest, cause)
        await appraisal_store.update(tx, context.cipher, ended)
        await outbox.add(tx, events.appraisal_ended(ended, context.today), context.now)


def _injury(event: claim_events.ClaimDetermined) -> Injury:
    confirmed = event.outcome == claims_pb2.Determination.CONFIRMED
    appraisable = confirmed and not event.HasField("death_date")
    return Injury(
        claim=event.claim,
        revision=event.revision,
        appraisable=appraisable,
        accident_date=date_from_wire(event.accident_date, "accident_date")
        if event.HasField("accident_date")
        else None,
        pooling_area=event.pooling_area,
        worker=event.worker,
        invited=appraisable and event.disability_expected,
        platform=event.platform.partition("/")[2],
    )
