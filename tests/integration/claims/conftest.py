"""Claims with the services it asks, enrolment and orders, on real servers."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import pytest
from google.type import date_pb2
from oip.claims.v1 import accidents_pb2, claims_pb2, claims_pb2_grpc, events_pb2
from oip.enrolment.v1 import enrolment_pb2
from oip.orders.v1 import orders_pb2

from services.claims.__main__ import SERVICE as CLAIMS
from services.enrolment.__main__ import SERVICE as ENROLMENT
from services.kernel.identifiers import citizen_check
from services.kernel.periods import SHANGHAI
from services.orders.__main__ import SERVICE as ORDERS
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.rpc.wire import enum_number, moment_to_wire
from tests.support.databases import Databases
from tests.support.stack_client import StackClient, stack_client, with_nats

Claim = claims_pb2.Claim

A, B = "91350100M000100Y43", "91110108MA01ABCD2H"
DAY = date(2025, 7, 15)


def at(text: str, day: date = DAY) -> datetime:
    """`10:20` on the day in Shanghai."""
    hour, minute = text.split(":")
    return datetime(day.year, day.month, day.day, int(hour), int(minute), tzinfo=SHANGHAI)


def number_of_id(request_id: str) -> int:
    """The number in a client's id, which no other id of the client has."""
    return int(request_id.rpartition("-")[2])


async def enrol(client: StackClient, *platforms: str, number: int = 0) -> int:
    """A new worker, or the one with a number, enrolled with these platforms; their id."""
    number = number or number_of_id(client.new_id())
    body = f"44010619900101{number % 1000:03d}"
    for platform in platforms:
        answer = await client.enrolment("platform", platform=platform).EnrolWorkers(
            enrolment_pb2.EnrolWorkersRequest(
                request_id=client.new_id(),
                platform=f"platforms/{platform}",
                rows=[
                    enrolment_pb2.EnrolWorkersRequest.Row(
                        worker_number=f"w{number}",
                        document_number=body + citizen_check(body),
                        enrol_date=date_pb2.Date(year=2025, month=7, day=1),
                    )
                ],
            )
        )
        worker = answer.outcomes[0].worker
    await client.delivered()
    return worker


async def send(
    client: StackClient,
    platform: str,
    worker: int,
    *orders: tuple[str, str, str],
    **changes: object,
) -> None:
    """Order records (number, acceptance, end) of a worker on the day, with what is changed."""
    rows = [
        orders_pb2.OrderRow(
            **{
                "order_no": number,
                "revision": 1,
                "worker": worker,
                "industry": 2,
                "state": 2,
                "accept_time_us": int(at(accept).timestamp() * 1_000_000),
                "end_time_us": int(at(end).timestamp() * 1_000_000),
                "place_of_acceptance": 440106,
                **changes,
            }  # type: ignore[arg-type]
        )
        for number, accept, end in orders
    ]
    request = orders_pb2.UploadOrdersRequest(
        batch_id=client.new_id(),
        platform=f"platforms/{platform}",
        rows=orders_pb2.OrderRows(rows=rows),
    )

    async def batches() -> AsyncIterator[orders_pb2.UploadOrdersRequest]:
        yield request

    async for answer in client.orders("platform", platform=platform).UploadOrders(batches()):
        assert answer.receipt.created_count == len(rows), answer


def agent(client: StackClient, worker: int | str) -> claims_pb2_grpc.ClaimServiceAsyncStub:
    """Claims, called by the agent of a worker: the number, or the resource name."""
    person = worker if isinstance(worker, str) else f"workers/{worker}"
    return client.claims("worker_agent", person=person)


async def report(client: StackClient, worker: int, moment: datetime) -> claims_pb2.AccidentReport:
    """The first report of an accident, by the worker."""
    return await agent(client, worker).ReportAccident(
        claims_pb2.ReportAccidentRequest(
            request_id=client.new_id(),
            worker=f"workers/{worker}",
            accident_time=moment_to_wire(moment),
            place_of_injury="440106",
            description="Collision.",
        )
    )


async def file(
    client: StackClient, worker: int, moment: datetime, **facts: object
) -> claims_pb2.Claim:
    """A claim by the worker."""
    request = claim_request(client, worker, moment, **facts)
    return await agent(client, worker).CreateClaim(request)


def claim_request(
    client: StackClient, worker: int, moment: datetime, **facts: object
) -> claims_pb2.CreateClaimRequest:
    plain = {
        "request_id": client.new_id(),
        "claimant_kind": claims_pb2.WORKER,
        "worker": f"workers/{worker}",
        "accident_time": moment_to_wire(moment),
        "place_of_injury": "440106",
        "description": "Hurt at a crossing.",
    }
    return claims_pb2.CreateClaimRequest(**(plain | facts))  # type: ignore[arg-type]


async def accept(client: StackClient, claim: claims_pb2.Claim) -> claims_pb2.Claim:
    return await client.claims("adjudicator").AcceptClaim(
        claims_pb2.AcceptClaimRequest(request_id=client.new_id(), name=claim.name)
    )


async def request_evidence(
    client: StackClient, claim: claims_pb2.Claim, item: str
) -> claims_pb2.Claim:
    return await client.claims("adjudicator").RequestEvidence(
        claims_pb2.RequestEvidenceRequest(request_id=client.new_id(), name=claim.name, items=[item])
    )


async def determine(
    client: StackClient,
    claim: claims_pb2.Claim,
    enquiry: claims_pb2.DetermineClaimRequest.Enquiry | None = None,
    judgements: tuple[claims_pb2.DetermineClaimRequest.Judgement, ...] = (),
) -> claims_pb2.Claim:
    return await client.claims("adjudicator").DetermineClaim(
        claims_pb2.DetermineClaimRequest(
            request_id=client.new_id(),
            name=claim.name,
            revision=claim.revision,
            enquiry=enquiry or claims_pb2.DetermineClaimRequest.Enquiry(harm_established=True),
            judgements=judgements,
        )
    )


async def determine_at(client: StackClient, worker: int, moment: datetime) -> claims_pb2.Claim:
    """A claim filed, accepted and determined."""
    return await determine(client, await accept(client, await file(client, worker, moment)))


async def add_evidence(
    client: StackClient,
    claim: claims_pb2.Claim,
    kind: int,
    role: str = "worker_agent",
    platform: str = "",
) -> claims_pb2.Evidence:
    person = claim.worker if role == "worker_agent" else ""
    return await client.claims(role, platform=platform, person=person).AddEvidence(
        claims_pb2.AddEvidenceRequest(
            request_id=client.new_id(),
            claim=claim.name,
            kind=enum_number(kind),
            title="a document",
            content_hash=hashlib.sha256(client.new_id().encode()).digest(),
        )
    )


async def get_claim(
    client: StackClient, claim: claims_pb2.Claim, role: str = "adjudicator", platform: str = ""
) -> claims_pb2.Claim:
    request = claims_pb2.GetClaimRequest(name=claim.name)
    return await client.claims(role, platform=platform).GetClaim(request)


async def file_by_platform(
    client: StackClient, worker: int, moment: datetime, platform: str = A, **facts: object
) -> Claim:
    request = claim_request(client, worker, moment, claimant_kind=claims_pb2.PLATFORM, **facts)
    return await client.claims("platform", platform=platform).CreateClaim(request)


async def answer(
    client: StackClient, filing: str, answered: int, code: int, **facts: object
) -> accidents_pb2.Filing:
    request = accidents_pb2.AnswerFilingRequest(
        request_id=client.new_id(),
        name=filing,
        answer=answered,  # type: ignore[arg-type]
        code=code,  # type: ignore[arg-type]
        reason="The police report says so.",
        **facts,  # type: ignore[arg-type]
    )
    return await client.accidents("adjudicator").AnswerFiling(request)


async def distinct(client: StackClient, filing: str, *others: str) -> accidents_pb2.Filing:
    return await answer(
        client,
        filing,
        accidents_pb2.DISTINCT,
        accidents_pb2.TWO_EVENTS,
        distinct_from=list(others),
    )


async def contest(
    client: StackClient, filing: str, role: str = "worker_agent", platform: str = ""
) -> accidents_pb2.Filing:
    whole = await client.claims("adjudicator").GetClaim(claims_pb2.GetClaimRequest(name=filing))
    person = whole.worker if role == "worker_agent" else ""
    return await client.accidents(role, platform=platform, person=person).ContestFiling(
        accidents_pb2.ContestFilingRequest(
            request_id=client.new_id(), name=filing, reason="It was at another crossing."
        )
    )


async def merge(client: StackClient, claim: str, merged: str) -> Claim:
    return await client.accidents("adjudicator").MergeClaims(
        accidents_pb2.MergeClaimsRequest(
            request_id=client.new_id(),
            claim=claim,
            merged_claim=merged,
            code=accidents_pb2.SAME_INJURY,
            reason="One fracture, one picture.",
        )
    )


async def filings(
    client: StackClient,
    claim: str = "",
    *,
    open_only: bool = False,
    role: str = "adjudicator",
    platform: str = "",
) -> list[accidents_pb2.Filing]:
    answered = await client.accidents(role, platform=platform).ListFilings(
        accidents_pb2.ListFilingsRequest(claim=claim, open_only=open_only, page_size=1000)
    )
    return list(answered.filings)


async def two_claims(client: StackClient) -> tuple[int, Claim, Claim]:
    """A worker's two claims on accidents more than a day apart, each within an order of its day."""
    worker = await enrol(client, A)
    order = client.new_id()
    await send(client, A, worker, (order, "10:00", "10:40"))
    first = await file(client, worker, at("10:20"))
    second = await file(client, worker, at("10:00", DAY - timedelta(days=1)))
    return worker, first, second


async def published_determination(client: StackClient, claim: str) -> events_pb2.ClaimDetermined:
    """The last determination of a claim as it was published."""
    events: list[events_pb2.ClaimDetermined] = await client.published(
        "claims", events_pb2.ClaimDetermined
    )
    return [event for event in events if event.claim == claim][-1]


@pytest.fixture(scope="module")
async def client(
    stack: Settings, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[StackClient]:
    folder = tmp_path_factory.mktemp("claims")
    server = NatsServer(folder / "nats")
    await server.start()
    url = await databases.fresh("claims", "enrolment", "orders")
    settings = with_nats(stack, server, url).model_copy(update={"state_dir": folder})
    clock = SetClock(datetime(2025, 7, 16, 1, 0, tzinfo=UTC))
    async with stack_client([ENROLMENT, ORDERS, CLAIMS], settings, clock) as opened:
        for platform in (A, B):
            await opened.enrolment("administrator").RegisterPlatform(
                enrolment_pb2.RegisterPlatformRequest(
                    request_id=opened.new_id(),
                    credit_code=platform,
                    display_name=f"platform {platform[:4]}",
                    industries=[enum_number(2)],
                )
            )
        yield opened
    await server.stop()


@pytest.fixture(autouse=True)
def _morning(request: pytest.FixtureRequest) -> None:
    """Each test begins on the morning after the day of its accidents."""
    if "client" in request.fixturenames:
        client: StackClient = request.getfixturevalue("client")
        client.clock.set(at("09:00", DAY + timedelta(days=1)))
