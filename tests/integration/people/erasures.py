"""A worker whose case has gone through every service, and the erasure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from oip.benefits.v1 import benefits_pb2
from oip.claims.v1 import claims_pb2
from oip.enrolment.v1 import enrolment_pb2
from oip.grading.v1 import grading_pb2
from oip.type.v1 import type_pb2

from services.cli.verify import check_all
from services.kernel.periods import Month
from services.runtime.rpc.wire import date_to_wire, enum_number, month_to_wire
from tests.integration.claims.conftest import accept, agent, at, claim_request, enrol, send
from tests.integration.people.world import ORDER
from tests.support.appraisals import apply, register, specialist
from tests.support.platforms import SWIFT
from tests.support.stack_client import StackClient, refused

HOLDERS = ("claims", "grading", "benefits")
DOCUMENT = hashlib.sha256(b"the paper").digest()
ERASED = "PERSON_ERASED"
MONTH = Month(2025, 11)


@dataclass
class Person:
    """A worker with the names of all that is stored, and the words that were used."""

    worker: str
    number: int
    claim: str = ""
    filed: claims_pb2.CreateClaimRequest = field(default_factory=claims_pb2.CreateClaimRequest)
    appraisal: str = ""
    award: str = ""


async def hurt(client: StackClient, number: int) -> Person:
    """A worker with a claim that nobody has decided."""
    worker = await enrol(client, SWIFT, number=number)
    await send(client, SWIFT, worker, (f"{ORDER}-{number}", "10:00", "10:40"))
    await client.delivered()
    request = claim_request(client, worker, at("10:20"), description=word(number, "description"))
    claim = await agent(client, worker).CreateClaim(request)
    return Person(f"workers/{worker}", number, claim.name, request)


def word(number: int, what: str) -> str:
    return f"{what} of {number}"


async def confirmed(client: StackClient, number: int) -> Person:
    person = await hurt(client, number)
    await agent(client, person.worker).AddEvidence(
        claims_pb2.AddEvidenceRequest(
            request_id=client.new_id(),
            claim=person.claim,
            kind=claims_pb2.Evidence.DIAGNOSIS,
            title=word(number, "title"),
            content_hash=bytes(32),
        )
    )
    await determine(client, person)
    return person


async def determine(client: StackClient, person: Person) -> None:
    claim = await get_claim(client, person)
    claim = await accept(client, claim)
    enquiry = claims_pb2.DetermineClaimRequest.Enquiry(
        harm_established=True, disability_expected=True
    )
    await client.claims("adjudicator").DetermineClaim(
        claims_pb2.DetermineClaimRequest(
            request_id=client.new_id(), name=claim.name, revision=claim.revision, enquiry=enquiry
        )
    )
    await client.delivered()


async def get_claim(client: StackClient, person: Person) -> claims_pb2.Claim:
    request = claims_pb2.GetClaimRequest(name=person.claim)
    return await client.claims("adjudicator").GetClaim(request)


async def appraised(client: StackClient, person: Person) -> None:
    """Grade 10 without care: one grant, paid once."""
    stub = client.grading("appraiser")
    opened = await apply(client, person.claim)
    person.appraisal = opened.name
    assert await obstacles(client, person) == "APPRAISAL_OPEN"
    await stub.ExtendAppraisal(
        grading_pb2.ExtendAppraisalRequest(
            request_id=client.new_id(), name=opened.name, reason=word(person.number, "note")
        )
    )
    drawn = await stub.DrawPanel(
        grading_pb2.DrawPanelRequest(request_id=client.new_id(), name=opened.name)
    )
    for seat in drawn.panel:
        request = grading_pb2.RecordOpinionRequest(
            request_id=client.new_id(),
            name=opened.name,
            opinion=grading_pb2.Opinion(
                specialist=seat.name, impairments=[grading_pb2.Opinion.Impairment(item="10.5")]
            ),
        )
        seen = await specialist(client, seat).RecordOpinion(request)
    await stub.ConcludeAppraisal(
        grading_pb2.ConcludeAppraisalRequest(
            request_id=client.new_id(), name=opened.name, revision=seen.revision
        )
    )
    await client.delivered()


async def paid(client: StackClient, person: Person) -> None:
    stub = client.benefits("fund_officer")
    award = await stub.GrantExpense(bill(client, person, "1"))
    person.award = award.name
    assert await obstacles(client, person) == "AWARD_IN_PAYMENT"
    await stub.InstructPayments(
        benefits_pb2.InstructPaymentsRequest(request_id=client.new_id(), month=month_to_wire(MONTH))
    )
    await client.delivered()


def bill(client: StackClient, person: Person, part: str) -> benefits_pb2.GrantExpenseRequest:
    return benefits_pb2.GrantExpenseRequest(
        request_id=client.new_id(),
        claim=person.claim,
        kind=benefits_pb2.MEDICAL_BENEFIT,
        expense_date=date_to_wire(date(2025, 7, 20)),
        allowed_cost_fen=50_000,
        bill_number=f"{person.number}-{part}",
        institution="First Hospital",
    )


def erasing(client: StackClient, person: Person, **fields: Any) -> enrolment_pb2.EraseWorkerRequest:
    plain = {
        "request_id": client.new_id(),
        "name": person.worker,
        "code": type_pb2.RETENTION_ENDED,
        "document_number": "粤社保 2025-17",
        "document_hash": DOCUMENT,
    }
    return enrolment_pb2.EraseWorkerRequest(**{**plain, **fields})


async def erase(client: StackClient, person: Person) -> enrolment_pb2.Erasure:
    erasure = await client.enrolment("administrator").EraseWorker(erasing(client, person))
    await client.delivered()
    return erasure


async def obstacles(client: StackClient, person: Person) -> str:
    """Why the worker may not be erased now."""
    await client.delivered()
    stub = client.enrolment("administrator")
    problem = await refused(stub.EraseWorker(erasing(client, person)))
    assert problem.reason == "WORKER_HAS_OPEN_CASES", problem
    return problem.metadata["obstacles"]


async def live_keys(client: StackClient, service: str) -> int:
    return int((await client.rows(service, "select count(wrapped) from data_key"))[0][0])


async def copies(client: StackClient, service: str, producer: str) -> int:
    question = "select count(wrapped) from producer_key where producer = :producer"
    return int((await client.rows(service, question, producer=producer))[0][0])


async def events_of(client: StackClient, service: str) -> list[Any]:
    question = "select pub_seq, payload, signature, fingerprint from outbox order by id"
    return [tuple(map(bytes, row[1:])) for row in await client.rows(service, question)]


async def verified(client: StackClient) -> list[str]:
    """The invariants that do not hold, of the services and between them."""
    names = list(client.services)
    verification = await check_all(client.channels("administrator"), names)
    return [f"{name} {check.invariant}" for name, check in verification.rows if not check.holds]


async def register_swift(client: StackClient) -> None:
    """A platform, and specialists who can be drawn."""
    await client.enrolment("administrator").RegisterPlatform(
        enrolment_pb2.RegisterPlatformRequest(
            request_id=client.new_id(),
            credit_code=SWIFT,
            display_name="Swift",
            industries=[enum_number(2)],
        )
    )
    await client.delivered()
    await register(client.grading("appraiser"), 5)
