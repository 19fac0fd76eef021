"""Changes of a case: determinations from claims and conclusions from grading."""

from __future__ import annotations

from collections.abc import Iterable

from oip.claims.v1 import claims_pb2
from oip.claims.v1 import events_pb2 as claims_events
from oip.grading.v1 import events_pb2 as grading_events

from services.benefits.commands.awards import grant_awards, lock_claims
from services.benefits.domain.case import (
    Applicant,
    AppraisalEnd,
    Case,
    CaseState,
    Conclusion,
    EndCause,
    leading_case,
)
from services.benefits.domain.problems import CaseNotConfirmed
from services.benefits.store import awards as award_store
from services.benefits.store import cases as case_store
from services.benefits.store import mergers as merger_store
from services.benefits.store.mergers import Merger
from services.kernel.scheme import AppraisalLevel, CareDependence
from services.runtime.rpc.survivors import survivor_from_wire
from services.runtime.rpc.wire import date_from_wire, moment_from_wire
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def on_claim_determined(
    tx: Transaction, event: claims_events.ClaimDetermined, context: CommandContext
) -> None:
    """Store a determination and grant what follows from it; an older revision changes nothing.

    A determination of another claim about the same accident makes no second set of awards: both
    claims are one case, and the leading one decides. A claim that was merged decides again only
    with a determination that is newer than the merger, which is thereby undone.
    """
    workers = await lock_claims(tx, event.claim, worker=event.worker)
    await merger_store.update_undone(tx, event.claim, event.revision)
    merger = await merger_store.find_last(tx, event.claim)
    confirmed = event.outcome == claims_pb2.Determination.CONFIRMED
    case = Case(
        claim=event.claim,
        state=CaseState.CONFIRMED if confirmed else CaseState.REFUSED,
        pooling_area=event.pooling_area,
        industry=int(event.industry),
        accident_date=date_from_wire(event.accident_date, "accident_date"),
        determine_date=date_from_wire(event.determine_date, "determine_date"),
        death_date=date_from_wire(event.death_date, "death_date")
        if event.HasField("death_date")
        else None,
        survivors=tuple(survivor_from_wire(survivor) for survivor in event.survivors),
        worker=event.worker,
        accident=merger.accident if merger else event.accident or event.claim,
        is_relapse=event.situation == claims_pb2.RELAPSE,
    )
    if await case_store.update(tx, context.cipher, case, event.revision, context.now):
        await award_store.update_accident(tx, case.claim, case.worker, case.accident)
        await _grant(tx, workers, "determination", context)


async def on_determination_revoked(
    tx: Transaction, event: claims_events.DeterminationRevoked, context: CommandContext
) -> None:
    """Store a revocation: awards end, and what was paid is marked for recovery."""
    workers = await lock_claims(tx, event.claim)
    if await case_store.update_revoked(tx, event.claim, event.revision, context.now):
        await _grant(tx, workers, "determination withdrawn", context)


async def on_claims_merged(
    tx: Transaction, event: claims_events.ClaimsMerged, context: CommandContext
) -> None:
    """Make two claims one case, as if there had been one claim from the start.

    Payments of the claim that ended count for the entitlements of the surviving one; what is too
    much is recovered. The event may come before or after the determinations; where the merged claim
    was determined again since, it changes nothing.
    """
    workers = set(await lock_claims(tx, event.claim, event.merged_claim))
    merger = Merger(
        merged_claim=event.merged_claim,
        revision=event.revision,
        claim=event.claim,
        accident=event.accident or event.claim,
        merge_time=moment_from_wire(event.merge_time, "merge_time"),
        reason=event.reason,
    )
    if await case_store.find_revision(tx, event.merged_claim) > event.revision:
        return
    if not await merger_store.update(tx, merger, context.now):
        return
    last = await merger_store.find_last(tx, event.merged_claim) or merger
    for claim in (last.claim, *await merger_store.list_merged(tx, last.claim)):
        worker = await case_store.update_accident(tx, claim, last.accident)
        await award_store.update_accident(tx, claim, worker, last.accident)
        workers |= {worker} - {""}
    await _grant(tx, sorted(workers), "claims merged", context)


async def on_appraisal_concluded(
    tx: Transaction, event: grading_events.AppraisalConcluded, context: CommandContext
) -> None:
    """Store an appraisal's conclusion, or its correction, and grant what follows from it.

    The conclusion may come before the determination; then the grant follows the determination.
    """
    conclusion = Conclusion(
        appraisal=event.appraisal,
        level=AppraisalLevel(event.level),
        grade=event.grade,
        care=CareDependence(event.care_dependence or CareDependence.NONE.value),
        conclude_date=date_from_wire(event.conclude_date, "conclude_date"),
    )
    workers = await lock_claims(tx, event.claim)
    if await case_store.update_conclusion(tx, event.claim, conclusion, event.revision, context.now):
        reason = conclusion.level.name.lower().replace("_", "-")
        await _grant(tx, workers, reason, context)


async def on_appraisal_ended(
    tx: Transaction, event: grading_events.AppraisalEnded, context: CommandContext
) -> None:
    """Store the end of an appraisal; if the worker refused it, monthly benefits rest.

    Any other end leaves the benefits as they are: the conclusion in force stands, and what ends
    with the determination comes from claims.
    """
    end = AppraisalEnd(
        appraisal=event.appraisal,
        cause=EndCause(event.cause),
        applicant=Applicant(event.applicant),
        end_date=date_from_wire(event.end_date, "end_date"),
    )
    workers = await lock_claims(tx, event.claim)
    if await case_store.update_appraisal_end(tx, event.claim, end, event.revision, context.now):
        await _grant(tx, workers, "appraisal ended", context)


async def on_appraisal_resumed(
    tx: Transaction, event: grading_events.AppraisalResumed, context: CommandContext
) -> None:
    """Take back the end of an appraisal: benefits are what they are without it, to the fen."""
    workers = await lock_claims(tx, event.claim)
    if await case_store.update_appraisal_resumed(
        tx, event.claim, event.appraisal, event.revision, context.now
    ):
        await _grant(tx, workers, "appraisal resumed", context)


async def on_appraisal_revoked(
    tx: Transaction, event: grading_events.AppraisalRevoked, context: CommandContext
) -> None:
    """Store a revocation: awards become what they are without the conclusion, to the fen."""
    workers = await lock_claims(tx, event.claim)
    if await case_store.update_revoked_conclusion(
        tx, event.claim, event.appraisal, event.revision, context.now
    ):
        await _grant(tx, workers, "conclusion revoked", context)


async def require_confirmed_case(tx: Transaction, claim: str, context: CommandContext) -> Case:
    """The leading claim of a claim's case; raises CaseNotConfirmed before a confirmation."""
    cases = await case_store.list_of_claim(tx, context.cipher, claim)
    case = leading_case(cases) if cases else None
    if case is None or case.state is not CaseState.CONFIRMED:
        raise CaseNotConfirmed(claim=claim)
    return case


async def _grant(
    tx: Transaction, workers: Iterable[str], reason: str, context: CommandContext
) -> None:
    for worker in workers:
        await grant_awards(tx, worker, reason, context)
