"""What claims publishes: domain values in, event messages out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from google.protobuf.message import Message
from oip.claims.v1 import claims_pb2, events_pb2
from oip.type.v1 import type_pb2

from services.claims.domain.accidents import AnswerCode
from services.claims.domain.claim import Claim
from services.claims.domain.confirmation import Decision
from services.kernel.names import name
from services.runtime.rpc.survivors import survivor_to_wire
from services.runtime.rpc.wire import date_to_wire, enum_number, moment_to_wire
from services.runtime.service.context import Guard
from services.runtime.storage.erasures import Erasure


def _determined(event: events_pb2.ClaimDetermined) -> str:
    outcome = claims_pb2.Determination.Outcome.Name(event.outcome)
    return f"{event.claim}, revision {event.revision}: {outcome}"


def _revoked(event: events_pb2.DeterminationRevoked) -> str:
    return f"{event.claim}, revision {event.revision}: determination withdrawn"


def _merged(event: events_pb2.ClaimsMerged) -> str:
    return f"{event.merged_claim}, revision {event.revision}: merged into {event.claim}"


# Lost in a restore, these keep the same claim from being decided otherwise.
GUARDS: Mapping[type[Message], Guard] = {
    events_pb2.ClaimDetermined: Guard("claim", _determined),
    events_pb2.DeterminationRevoked: Guard("claim", _revoked),
    events_pb2.ClaimsMerged: Guard("merged_claim", _merged),
}


def claim_determined(claim: Claim, decision: Decision, day: date) -> events_pb2.ClaimDetermined:
    """A claim was determined on a day; platform, place and industry are set if it is confirmed."""
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
        accident=name("accidents", claim.accident),
        situation=enum_number(claim.situation.value),
    )
    if claim.death_date is not None:
        event.death_date.CopyFrom(date_to_wire(claim.death_date))
    if decision.attribution is not None:
        event.platform = name("platforms", decision.attribution.platform)
    return event


def determination_revoked(claim: Claim) -> events_pb2.DeterminationRevoked:
    """A determination was withdrawn."""
    return events_pb2.DeterminationRevoked(claim=claim.name, revision=claim.revision)


def claims_merged(
    surviving: Claim, merged: Claim, code: AnswerCode, now: datetime
) -> events_pb2.ClaimsMerged:
    """Two claims turned out to be about one accident."""
    return events_pb2.ClaimsMerged(
        claim=surviving.name,
        merged_claim=merged.name,
        accident=name("accidents", surviving.accident),
        merge_time=moment_to_wire(now),
        reason=code.name,
        revision=merged.revision,
    )


def data_key_erased(key: str) -> events_pb2.DataKeyErased:
    """The data key of an erased person was destroyed."""
    return events_pb2.DataKeyErased(key=key)


def worker_erased(erasure: Erasure) -> events_pb2.WorkerErased:
    """A worker was erased here."""
    return events_pb2.WorkerErased(
        worker=erasure.name,
        code=enum_number(erasure.code),
        document_number=erasure.document_number,
        document_hash=erasure.document_hash,
    )


def month_ended(summary: type_pb2.MonthSummary) -> events_pb2.MonthEnded:
    """A month ended with what the summary counts."""
    return events_pb2.MonthEnded(summary=summary)
