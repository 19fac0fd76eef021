"""Changes of a case: determinations from claims and conclusions from grading."""

from __future__ import annotations

from oip.claims.v1 import claims_pb2
from oip.claims.v1 import events_pb2 as claims_events
from oip.grading.v1 import events_pb2 as grading_events

from services.benefits.commands.awards import grant_awards, lock_claim
from services.benefits.domain.case import Case, CaseState, Conclusion
from services.benefits.domain.problems import CaseNotConfirmed
from services.benefits.store import cases as case_store
from services.kernel.scheme import AppraisalLevel, CareDependence, Relation, Survivor
from services.runtime.rpc.wire import date_from_wire
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def on_claim_determined(
    tx: Transaction, event: claims_events.ClaimDetermined, context: CommandContext
) -> None:
    """Store a determination and grant what follows from it; an older revision changes nothing."""
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
        survivors=tuple(_survivor(survivor) for survivor in event.survivors),
    )
    await lock_claim(tx, case.claim)
    if await case_store.update(tx, case, event.revision, event.worker, context.now):
        await grant_awards(tx, case.claim, "determination", context)


async def on_determination_revoked(
    tx: Transaction, event: claims_events.DeterminationRevoked, context: CommandContext
) -> None:
    """Store a revocation: awards end, and what was paid is marked for recovery."""
    await lock_claim(tx, event.claim)
    if await case_store.update_revoked(tx, event.claim, event.revision, context.now):
        await grant_awards(tx, event.claim, "determination withdrawn", context)


async def on_appraisal_concluded(
    tx: Transaction, event: grading_events.AppraisalConcluded, context: CommandContext
) -> None:
    """Store an appraisal's conclusion and grant what follows from it.

    The conclusion may come before the determination; then the grant follows the determination.
    """
    conclusion = Conclusion(
        appraisal=event.appraisal,
        level=AppraisalLevel(event.level),
        grade=event.grade,
        care=CareDependence(event.care_dependence or CareDependence.NONE.value),
        conclude_date=date_from_wire(event.conclude_date, "conclude_date"),
    )
    await lock_claim(tx, event.claim)
    if await case_store.update_conclusion(tx, event.claim, conclusion, event.revision, context.now):
        reason = conclusion.level.name.lower().replace("_", "-")
        await grant_awards(tx, event.claim, reason, context)


async def require_confirmed_case(tx: Transaction, claim: str) -> Case:
    """The case of a claim; raises CaseNotConfirmed before its confirmation."""
    case = await case_store.find(tx, claim)
    if case is None or case.state is not CaseState.CONFIRMED:
        raise CaseNotConfirmed(claim=claim)
    return case


def _survivor(message: claims_pb2.Survivor) -> Survivor:
    return Survivor(
        survivor_id=message.survivor_id,
        relation=Relation(message.relation),
        birth_date=date_from_wire(message.birth_date, "birth_date")
        if message.HasField("birth_date")
        else None,
        male=message.male,
        totally_disabled=message.totally_disabled,
        alone=message.alone,
    )
