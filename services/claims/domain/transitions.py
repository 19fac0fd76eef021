"""How a claim moves on: each function is one event of the lifecycle, with its clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime

from services.claims.domain import due_dates
from services.claims.domain.claim import Claim, require_possible
from services.claims.domain.confirmation import Decision
from services.claims.domain.due_dates import SmallInjury
from services.claims.domain.order_records import OrderEvidence
from services.claims.domain.problems import EvidenceRequestedOnce
from services.claims.domain.time_limits import StepClock
from services.kernel.lawbook import Law
from services.kernel.problems import Malformed
from services.kernel.scheme import Survivor

ITEMS_MAX = 50
ITEM_LENGTH_MAX = 200


def request_evidence(claim: Claim, items: tuple[str, ...], day: date, law: Law) -> Claim:
    """Ask once for all that is missing; the check is stopped and the time for the reply runs."""
    if not 1 <= len(items) <= ITEMS_MAX:
        raise Malformed.of("items", f"name 1 to {ITEMS_MAX} things that are missing")
    if any(not 1 <= len(item.strip()) <= ITEM_LENGTH_MAX for item in items):
        raise Malformed.of("items", f"write 1 to {ITEM_LENGTH_MAX} characters for each")
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
    clock = due_dates.determination_clock(day, claim.place_of_injury, law, clear=clear, small=small)
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


def revoke(claim: Claim, day: date, law: Law) -> Claim:
    """The determination is withdrawn; the time for a new one runs."""
    moved = claim.after("revoke")
    return replace(moved, clock=due_dates.determination_clock(day, claim.place_of_injury, law))


def new_records(
    in_evidence: Iterable[OrderEvidence], near: Iterable[OrderEvidence]
) -> tuple[OrderEvidence, ...]:
    """The order records near the accident that are not in evidence yet."""
    known = {order.key for order in in_evidence}
    return tuple(order for order in near if order.key not in known)


def take_in_order_records(claim: Claim) -> Claim:
    """Order records came into evidence, so the claim has to be read again."""
    return replace(claim, revision=claim.revision + 1)


def _paused(clock: StepClock | None, day: date) -> StepClock | None:
    return clock.paused(day) if clock else None


def _resumed(clock: StepClock | None, day: date) -> StepClock | None:
    return clock.resumed(day) if clock else None
