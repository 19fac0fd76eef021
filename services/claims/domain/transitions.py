"""How a claim moves on: each function is one event of the lifecycle, with its clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime

from services.claims.domain import due_dates
from services.claims.domain.claim import Claim, ClaimState, reported_death, require_possible
from services.claims.domain.confirmation import Decision
from services.claims.domain.due_dates import SmallInjury
from services.claims.domain.order_records import OrderEvidence
from services.claims.domain.problems import EvidenceRequestedOnce
from services.claims.domain.time_limits import StepClock
from services.kernel.lawbook import Law
from services.kernel.problems import FieldMissing, Malformed
from services.kernel.scheme import Survivor


def request_evidence(claim: Claim, items: tuple[str, ...], day: date, law: Law) -> Claim:
    """Ask once for all that is missing; the check is stopped and the time for the reply runs."""
    if not all(item.strip() for item in items):
        raise FieldMissing.of("items")
    moved = claim.after("request_evidence")
    if claim.requested_evidence:
        raise EvidenceRequestedOnce(claim=claim.name)
    return replace(
        moved,
        clock=_paused(claim.clock, day),
        reply=due_dates.evidence_reply(day, claim.place_of_injury, law),
        requested_evidence=items,
    )


def add_evidence(claim: Claim, day: date) -> Claim:
    """A document came in; it answers an evidence request, if one is open."""
    moved = claim.after("add_evidence")
    if claim.reply is None:
        return moved
    return replace(moved, clock=_resumed(claim.clock, day), reply=None)


def accept(
    claim: Claim, day: date, law: Law, *, clear: bool = False, small: SmallInjury | None = None
) -> Claim:
    """The documents are complete, or taken as they are (受理); the determination's time runs."""
    moved = claim.after("accept")
    clock = due_dates.first_determination_clock(claim, day, law, clear=clear, small=small)
    return replace(moved, clock=clock, reply=None)


def record_death(
    claim: Claim, death_date: date, survivors: tuple[Survivor, ...], now: datetime
) -> Claim:
    """The worker died of the injury after the claim was filed."""
    moved = claim.after("record_death")
    require_possible(claim.accident_time, claim.place_of_injury, death_date, len(survivors), now)
    return replace(moved, death_date=death_date, survivors=survivors)


def stay(claim: Claim, day: date) -> Claim:
    """Another body has to conclude first; the time limit is stopped."""
    return replace(claim.after("stay"), clock=_paused(claim.clock, day))


def resume(claim: Claim, day: date) -> Claim:
    """The other body has concluded; the time runs on from the next day."""
    return replace(claim.after("resume"), clock=_resumed(claim.clock, day))


def determine(claim: Claim, decision: Decision) -> Claim:
    """The claim with what was decided."""
    attribution = decision.attribution
    return replace(
        claim.after("determine"),
        clock=None,
        death_date=decision.death_date,
        pooling_area=attribution.pooling_area if attribution else claim.pooling_area,
        industry=attribution.industry if attribution else claim.industry,
    )


def revoke(claim: Claim, filings: Iterable[Claim], day: date, law: Law) -> Claim:
    """The determination is withdrawn; the time for a new one runs.

    A death that one of its further filings reported meanwhile is taken over.
    """
    moved = _with_death(claim.after("revoke"), filings)
    clock = due_dates.determination_clock(
        day, claim.place_of_injury, law, accident=claim.accident_day
    )
    return replace(moved, clock=clock)


def open_filing(claim: Claim, accident: str, day: date, law: Law) -> Claim:
    """A new claim opens its accident; the documents are checked."""
    clock = due_dates.document_check(day, claim.place_of_injury, law)
    return replace(claim, accident=accident, clock=clock)


def join_filing(claim: Claim, surviving_id: str) -> Claim:
    """A new filing is part of the claim that its accident has already."""
    return replace(claim, state=ClaimState.MERGED, merged_into=surviving_id)


def question_filing(claim: Claim) -> Claim:
    """Whether a new filing is about the accident of another claim is for a person; no time runs."""
    return replace(claim, state=ClaimState.PENDING)


def take_in_filing(claim: Claim, filing: Claim) -> Claim:
    """A further filing is part of the claim, which has to be read again.

    A death that only the further filing reports is taken over while the claim is open. Of a
    determined claim an alert says it until the determination is withdrawn.
    """
    return _with_death(claim.after("take_in_filing"), [filing])


def answer_same(filing: Claim, surviving_id: str) -> Claim:
    """A person found the filing to be about the accident of another claim."""
    if filing.state is ClaimState.MERGED and filing.merged_into != surviving_id:
        raise Malformed.of(
            "claim",
            "PART_OF_ANOTHER",
            "it is part of another claim; answer that it is distinct first",
            "已并入其他申请; 请先答复为不同事故",
        )
    return replace(filing.after("answer_same"), merged_into=surviving_id)


def answer_distinct(filing: Claim, accident: str, day: date, law: Law) -> Claim:
    """A person found the filing to be about an accident of its own; its documents are checked."""
    moved = replace(filing.after("answer_distinct"), merged_into="", requested_evidence=())
    return open_filing(moved, accident, day, law)


def merge(claim: Claim, surviving_id: str) -> Claim:
    """The claim ends: it is about the accident of another one."""
    moved = claim.after("merge")
    return replace(moved, accident="", merged_into=surviving_id, clock=None, reply=None)


def release_filing(claim: Claim) -> Claim:
    """A filing is not part of the claim any more, which has to be read again."""
    return replace(claim, revision=claim.revision + 1)


def move_filing(filing: Claim, whole_id: str) -> Claim:
    """A filing follows the claim that it was part of before a merge."""
    return replace(filing, merged_into=whole_id, revision=filing.revision + 1)


def new_records(
    in_evidence: Iterable[OrderEvidence], near: Iterable[OrderEvidence]
) -> tuple[OrderEvidence, ...]:
    """The order records near the accident that are not in evidence yet."""
    known = {order.key for order in in_evidence}
    return tuple(order for order in near if order.key not in known)


def take_in_order_records(claim: Claim) -> Claim:
    """Order records came into evidence, so the claim has to be read again."""
    return replace(claim, revision=claim.revision + 1)


def _with_death(claim: Claim, filings: Iterable[Claim]) -> Claim:
    """The claim with the death that its further filings report, if it is open and has none."""
    death = reported_death(claim, filings)
    if death is None or not claim.allows("record_death"):
        return claim
    return replace(claim, death_date=death.death_date, survivors=death.survivors)


def _paused(clock: StepClock | None, day: date) -> StepClock | None:
    return clock.paused(day) if clock else None


def _resumed(clock: StepClock | None, day: date) -> StepClock | None:
    return clock.resumed(day) if clock else None
