"""Events that benefits consumes, and the calls that most tests make."""

from __future__ import annotations

from datetime import date
from typing import Any

from oip.benefits.v1 import benefits_pb2 as pb
from oip.claims.v1 import claims_pb2
from oip.claims.v1 import events_pb2 as claims_events
from oip.grading.v1 import events_pb2 as grading_events
from oip.grading.v1 import grading_pb2
from oip.type.v1 import type_pb2

from services.kernel.periods import Month
from services.runtime.rpc.wire import date_to_wire, enum_number, month_to_wire
from tests.support.stack_client import StackClient

AREA = "440100"


async def consume(client: StackClient, *events: Any) -> None:
    """Let events take effect in benefits, in this order."""
    for event in events:
        await client.consume("benefits", event)


async def awards_of(
    client: StackClient, claim: str = "claims/c1"
) -> dict[tuple[str, str], pb.Award]:
    """The awards of a claim by kind and beneficiary, without corrections."""
    answer = await client.benefits("fund_officer").ListAwards(pb.ListAwardsRequest(claim=claim))
    return {
        (pb.BenefitKind.Name(award.kind), award.beneficiary): award
        for award in answer.awards
        if not award.adjusts
    }


async def run_payments(client: StackClient, month: Month, request_id: str = "") -> pb.PaymentRun:
    """Instruct the payments of a month."""
    return await client.benefits("fund_officer").InstructPayments(
        pb.InstructPaymentsRequest(
            request_id=request_id or client.new_id(), month=month_to_wire(month)
        )
    )


async def instructions(client: StackClient, award: str = "") -> list[tuple[str, str, int]]:
    """The instructions: award, month, fen."""
    answer = await client.benefits("fund_officer").ListPaymentInstructions(
        pb.ListPaymentInstructionsRequest(award=award, page_size=1000)
    )
    return [
        (
            instruction.award,
            f"{instruction.month.year}-{instruction.month.month:02d}",
            instruction.amount_fen,
        )
        for instruction in answer.payment_instructions
    ]


def determined(claim: str = "claims/c1", **fields: Any) -> claims_events.ClaimDetermined:
    """A confirmed claim: an accident in Guangzhou on 1 July 2025, unless `fields` say otherwise."""
    days = {name: date_to_wire(day) for name, day in fields.items() if name.endswith("_date")}
    defaults = {
        "revision": 3,
        "outcome": claims_pb2.Determination.CONFIRMED,
        "worker": "workers/7",
        "pooling_area": AREA,
        "industry": type_pb2.INSTANT_DELIVERY,
        "accident_date": date_to_wire(date(2025, 7, 1)),
        "determine_date": date_to_wire(date(2025, 7, 20)),
    }
    return claims_events.ClaimDetermined(claim=claim, **{**defaults, **fields, **days})


def concluded(
    grade: int,
    care: grading_pb2.CareDependence.ValueType = grading_pb2.NONE,
    *,
    claim: str = "claims/c1",
    day: date = date(2025, 8, 3),
    level: int = 1,
    revision: int = 5,
) -> grading_events.AppraisalConcluded:
    """A conclusion of 3 August 2025."""
    return grading_events.AppraisalConcluded(
        appraisal=f"appraisals/{claim.partition('/')[2]}-{level}",
        revision=revision,
        claim=claim,
        level=enum_number(level),
        grade=grade,
        care_dependence=care,
        conclude_date=date_to_wire(day),
    )


def conclusion_revoked(
    *, claim: str = "claims/c1", level: int = 1, revision: int = 6
) -> grading_events.AppraisalRevoked:
    """The conclusion of an appraisal is revoked."""
    return grading_events.AppraisalRevoked(
        appraisal=f"appraisals/{claim.partition('/')[2]}-{level}",
        revision=revision,
        claim=claim,
        revoke_date=date_to_wire(date(2025, 10, 1)),
    )


def survivor(
    survivor_id: str,
    relation: claims_pb2.Survivor.Relation.ValueType,
    birth: date,
    *,
    alone: bool = False,
) -> claims_pb2.Survivor:
    """A survivor as claims publishes it."""
    return claims_pb2.Survivor(
        survivor_id=survivor_id,
        relation=relation,
        birth_date=date_to_wire(birth),
        alone=alone,
        supported=True,
        support_document_hash=bytes(32),
    )


def life_event_request(client: StackClient, **fields: Any) -> pb.RecordLifeEventRequest:
    """A death on 10 September 2025, unless `fields` say otherwise."""
    defaults = {
        "request_id": client.new_id(),
        "claim": "claims/c1",
        "state": pb.LifeEvent.DEAD,
        "document_hash": bytes(32),
        "reason": "certificate 17 of the district hospital",
    }
    day = fields.pop("day", date(2025, 9, 10))
    message = pb.RecordLifeEventRequest(**{**defaults, **fields})
    if day is not None:
        message.day.CopyFrom(date_to_wire(day))
    return message


async def record_life_event(client: StackClient, **fields: Any) -> pb.LifeEvent:
    """Record a life event, with a second person's signature."""
    return await client.benefits("fund_officer").RecordLifeEvent(
        life_event_request(client, **fields)
    )


def appraisal_ended(
    cause: grading_pb2.Appraisal.EndCause.ValueType = grading_pb2.Appraisal.WORKER_REFUSED,
    applicant: grading_pb2.Applicant.ValueType = grading_pb2.AGENCY,
    *,
    claim: str = "claims/c1",
    day: date = date(2025, 10, 20),
    revision: int = 4,
) -> grading_events.AppraisalEnded:
    """A review that the agency applied for, and that the worker refused on 20 October 2025."""
    return grading_events.AppraisalEnded(
        appraisal=f"appraisals/{claim.partition('/')[2]}-3",
        revision=revision,
        claim=claim,
        cause=cause,
        end_date=date_to_wire(day),
        level=grading_pb2.Appraisal.REVIEW,
        applicant=applicant,
    )


def appraisal_resumed(
    *, claim: str = "claims/c1", revision: int = 5
) -> grading_events.AppraisalResumed:
    """The end of that review is taken back."""
    return grading_events.AppraisalResumed(
        appraisal=f"appraisals/{claim.partition('/')[2]}-3", revision=revision, claim=claim
    )
