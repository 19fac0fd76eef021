"""What claims publishes: domain values in, event messages out."""

from __future__ import annotations

from datetime import date

from oip.claims.v1 import claims_pb2, events_pb2

from services.claims.domain.claim import Claim
from services.claims.domain.confirmation import Decision
from services.kernel.names import name
from services.kernel.scheme import Survivor
from services.runtime.rpc.wire import date_to_wire, enum_number


def claim_determined(claim: Claim, decision: Decision, day: date) -> events_pb2.ClaimDetermined:
    """A claim was determined on a day; charges, place and industry are set if it is confirmed."""
    event = events_pb2.ClaimDetermined(
        claim=claim.name,
        revision=claim.revision,
        outcome=enum_number(decision.result.value),
        worker=name("workers", claim.worker),
        accident_date=date_to_wire(claim.accident_day),
        pooling_area=claim.pooling_area,
        industry=enum_number(claim.industry.value if claim.industry else 0),
        place_of_injury=claim.place_of_injury,
        disability_expected=decision.disability_expected,
        survivors=[survivor_to_wire(survivor) for survivor in claim.survivors],
        determine_date=date_to_wire(day),
    )
    if claim.death_date is not None:
        event.death_date.CopyFrom(date_to_wire(claim.death_date))
    if decision.attribution is not None:
        event.charges.extend(
            events_pb2.ClaimDetermined.Charge(platform=name("platforms", platform), percent=percent)
            for platform, percent in decision.attribution.by_platform()
        )
    return event


def determination_revoked(claim: Claim) -> events_pb2.DeterminationRevoked:
    """A determination was withdrawn."""
    return events_pb2.DeterminationRevoked(claim=claim.name, revision=claim.revision)


def survivor_to_wire(survivor: Survivor) -> claims_pb2.Survivor:
    """Someone the deceased supported, as messages carry them."""
    assert survivor.birth_date is not None, survivor.survivor_id
    return claims_pb2.Survivor(
        survivor_id=survivor.survivor_id,
        relation=enum_number(survivor.relation.value),
        birth_date=date_to_wire(survivor.birth_date),
        totally_disabled=survivor.totally_disabled,
        alone=survivor.alone,
        male=survivor.male,
    )
