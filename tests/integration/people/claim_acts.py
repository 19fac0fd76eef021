"""How the acts of claims are made, and what disturbs them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from oip.claims.v1 import accidents_pb2, claims_pb2
from oip.enrolment.v1 import enrolment_pb2

from services.runtime.rpc.wire import date_to_wire, enum_number
from tests.integration.claims.conftest import accept, at, enrol, file, send
from tests.integration.people.made import MAKER, Call, Made
from tests.support.platforms import SWIFT
from tests.support.stack_client import StackClient

Enquiry = claims_pb2.DetermineClaimRequest.Enquiry


# Claims


async def filed(client: StackClient, number: int) -> Any:
    """A claim of a new worker of SWIFT, under an order; filed by the worker."""
    if not await client.rows("enrolment", "select from platform limit 1"):
        await client.enrolment("administrator").RegisterPlatform(
            enrolment_pb2.RegisterPlatformRequest(
                request_id=client.new_id(),
                credit_code=SWIFT,
                display_name="Swift",
                industries=[enum_number(2)],
            )
        )
        await client.delivered()
    worker = await enrol(client, SWIFT, number=number)
    await send(client, SWIFT, worker, (client.new_id(), "10:00", "10:40"))
    return await file(client, worker, at("10:20"))


def stay(client: StackClient, name: str) -> Call:
    request = claims_pb2.StayClaimRequest(
        request_id=client.new_id(), name=name, reason="a court decides first"
    )
    return lambda: client.claims("adjudicator").StayClaim(request)


def determination(enquiry: Enquiry, *, death: bool = False) -> Any:
    async def prepare(client: StackClient, number: int) -> Made:
        claim = await filed(client, number)
        if death:
            await record_death(client, "test", claim.name)()
        claim = await accept(client, claim)
        stub = client.claims("adjudicator", subject=MAKER)
        request = claims_pb2.DetermineClaimRequest(
            request_id=client.new_id(), name=claim.name, revision=claim.revision, enquiry=enquiry
        )
        return Made("claims", lambda: stub.DetermineClaim(request), stay(client, claim.name))

    return prepare


refusal = determination(Enquiry(harm_established=False))
with_death = determination(Enquiry(harm_established=True), death=True)
with_disability = determination(Enquiry(harm_established=True, disability_expected=True))


def record_death(client: StackClient, subject: str, name: str) -> Call:
    request = claims_pb2.RecordDeathRequest(
        request_id=client.new_id(), name=name, death_date=date_to_wire(date(2025, 7, 20))
    )
    return lambda: client.claims("adjudicator", subject=subject).RecordDeath(request)


async def death(client: StackClient, number: int) -> Made:
    claim = await filed(client, number)
    return Made("claims", record_death(client, MAKER, claim.name), lambda: accept(client, claim))


async def revoke(client: StackClient, number: int) -> Made:
    claim = await accept(client, await filed(client, number))
    determined = await client.claims("adjudicator").DetermineClaim(
        claims_pb2.DetermineClaimRequest(
            request_id=client.new_id(),
            name=claim.name,
            revision=claim.revision,
            enquiry=Enquiry(harm_established=True),
        )
    )

    def revocation(subject: str) -> Call:
        request = claims_pb2.RevokeDeterminationRequest(
            request_id=client.new_id(), name=determined.name, reason="an error"
        )
        return lambda: client.claims("adjudicator", subject=subject).RevokeDetermination(request)

    return Made("claims", revocation(MAKER), revocation("test"))


async def distinct(client: StackClient, number: int) -> Made:
    first = await filed(client, number)
    worker = first.worker.removeprefix("workers/")
    second = await file(client, int(worker), at("12:20"))

    def answer(subject: str, **fields: Any) -> Call:
        request = accidents_pb2.AnswerFilingRequest(
            request_id=client.new_id(),
            name=second.name,
            reason="The police report says so.",
            **fields,
        )
        return lambda: client.accidents("adjudicator", subject=subject).AnswerFiling(request)

    two = {"answer": accidents_pb2.DISTINCT, "code": accidents_pb2.TWO_EVENTS}
    same = {"answer": accidents_pb2.SAME, "code": accidents_pb2.OTHER_TIME_REPORTED}
    return Made("claims", answer(MAKER, distinct_from=[first.name], **two), answer("test", **same))


async def merge(client: StackClient, number: int) -> Made:
    first = await filed(client, number)
    worker = int(first.worker.removeprefix("workers/"))
    second = await file(client, worker, at("10:20") - timedelta(days=3))
    request = accidents_pb2.MergeClaimsRequest(
        request_id=client.new_id(),
        claim=first.name,
        merged_claim=second.name,
        code=accidents_pb2.SAME_INJURY,
        reason="One fracture, one picture.",
    )
    stub = client.accidents("adjudicator", subject=MAKER)
    await accept(client, second)
    return Made("claims", lambda: stub.MergeClaims(request), stay(client, second.name))
