"""Claims beside the services they ask: enrolment and orders, on real servers."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from oip.claims.v1 import claims_pb2, claims_pb2_grpc, events_pb2
from oip.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from sqlalchemy import text

from services.claims.__main__ import SERVICE as CLAIMS
from services.enrolment.__main__ import SERVICE as ENROLMENT
from services.kernel.identifiers import citizen_check
from services.kernel.periods import SHANGHAI
from services.orders.__main__ import SERVICE as ORDERS
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.rpc.client import Channels
from services.runtime.rpc.wire import date_to_wire, enum_number, moment_to_wire
from services.runtime.service.stack import Stack
from services.runtime.service.stack import stack as start_stack
from tests.support.databases import Databases

Stub = TypeVar("Stub")

A, B = "91350100M000100Y43", "91110108MA01ABCD2H"
DAY = date(2025, 7, 15)


def at(text: str, day: date = DAY) -> datetime:
    """`10:20` on the day in Shanghai."""
    hour, minute = text.split(":")
    return datetime(day.year, day.month, day.day, int(hour), int(minute), tzinfo=SHANGHAI)


@dataclass
class Office:
    """Three services, a clock, and people with tokens."""

    stack: Stack
    clock: SetClock
    opened: dict[tuple[str, ...], Channels] = field(default_factory=dict)
    count: int = 0

    def as_(self, role: str, platform: str = "") -> Channels:
        key = (role, platform)
        if key not in self.opened:
            self.opened[key] = self.stack.channels(f"{role}-1", role, platform=platform)
        return self.opened[key]

    def claims(self, role: str, platform: str = "") -> claims_pb2_grpc.ClaimServiceAsyncStub:
        return self.as_(role, platform).stub(claims_pb2_grpc.ClaimServiceStub, "claims")

    def new_id(self) -> str:
        self.count += 1
        return f"test-{self.count}"

    async def enrol(self, *platforms: str) -> int:
        """A new worker, enrolled with these platforms; their id."""
        self.count += 1
        body = f"44010619900101{self.count % 1000:03d}"
        for platform in platforms:
            stub = self.as_("platform", platform).stub(
                enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment"
            )
            answer = await stub.EnrolWorkers(
                enrolment_pb2.EnrolWorkersRequest(
                    request_id=self.new_id(),
                    platform=f"platforms/{platform}",
                    rows=[
                        enrolment_pb2.EnrolWorkersRequest.Row(
                            worker_number=f"w{self.count}",
                            document_number=body + citizen_check(body),
                            enrol_date=date_to_wire(date(2025, 7, 1)),
                        )
                    ],
                )
            )
            worker = answer.outcomes[0].worker
        await self.stack.wait_until_delivered()
        return worker

    async def send(
        self, platform: str, worker: int, *orders: tuple[str, str, str], **changes: object
    ) -> None:
        """Order records (number, acceptance, end) of a worker on the day, with what is changed."""
        stub = self.as_("platform", platform).stub(orders_pb2_grpc.OrderServiceStub, "orders")
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
            batch_id=self.new_id(),
            platform=f"platforms/{platform}",
            rows=orders_pb2.OrderRows(rows=rows),
        )

        async def batches() -> AsyncIterator[orders_pb2.UploadOrdersRequest]:
            yield request

        async for answer in stub.UploadOrders(batches()):
            assert answer.receipt.created_count == len(rows), answer

    async def file(self, worker: int, moment: datetime, **facts: object) -> claims_pb2.Claim:
        """A claim by the worker."""
        return await self.claims("worker_agent").CreateClaim(
            self.claim_request(worker, moment, **facts)
        )

    def claim_request(
        self, worker: int, moment: datetime, **facts: object
    ) -> claims_pb2.CreateClaimRequest:
        filled = {
            "request_id": self.new_id(),
            "claimant_kind": claims_pb2.WORKER,
            "worker": f"workers/{worker}",
            "accident_time": moment_to_wire(moment),
            "place_of_injury": "440106",
            "description": "Hurt at a crossing.",
        }
        return claims_pb2.CreateClaimRequest(**(filled | facts))  # type: ignore[arg-type]

    async def accept(self, claim: claims_pb2.Claim) -> claims_pb2.Claim:
        return await self.claims("adjudicator").AcceptClaim(
            claims_pb2.AcceptClaimRequest(request_id=self.new_id(), name=claim.name)
        )

    async def determine(
        self,
        claim: claims_pb2.Claim,
        enquiry: claims_pb2.DetermineClaimRequest.Enquiry | None = None,
        judgements: tuple[claims_pb2.DetermineClaimRequest.Judgement, ...] = (),
    ) -> claims_pb2.Claim:
        return await self.claims("adjudicator").DetermineClaim(
            claims_pb2.DetermineClaimRequest(
                request_id=self.new_id(),
                name=claim.name,
                revision=claim.revision,
                enquiry=enquiry or claims_pb2.DetermineClaimRequest.Enquiry(harm_established=True),
                judgements=judgements,
            )
        )

    async def add(
        self, claim: claims_pb2.Claim, kind: int, role: str = "worker_agent", platform: str = ""
    ) -> claims_pb2.Evidence:
        return await self.claims(role, platform).AddEvidence(
            claims_pb2.AddEvidenceRequest(
                request_id=self.new_id(),
                claim=claim.name,
                kind=enum_number(kind),
                title="a document",
                content_hash=hashlib.sha256(self.new_id().encode()).digest(),
            )
        )


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """The reason in the answer's ErrorInfo."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                told = error_details_pb2.ErrorInfo()
                if detail.Unpack(told):
                    return str(told.reason)
    return ""


async def told(office: Office, claim: str) -> events_pb2.ClaimDetermined:
    """The last determination of a claim as the other services hear of it."""
    async with office.stack.running["claims"].database.begin() as tx:
        rows = await tx.execute(
            text("select payload from outbox where subject = :subject order by id desc"),
            {"subject": events_pb2.ClaimDetermined.DESCRIPTOR.full_name},
        )
        events = [events_pb2.ClaimDetermined.FromString(row.payload) for row in rows]
    return next(event for event in events if event.claim == claim)


@pytest.fixture(scope="module")
async def office(
    stack: Settings, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    folder = tmp_path_factory.mktemp("claims")
    server = NatsServer(folder / "nats")
    await server.start()
    settings = stack.model_copy(
        update={
            "state_dir": folder,
            "nats_url": server.url,
            "nats_monitor_url": server.monitor_url,
            "database_url": await databases.fresh("claims", "enrolment", "orders"),
        }
    )
    clock = SetClock(datetime(2025, 7, 16, 1, 0, tzinfo=UTC))
    async with start_stack(
        [ENROLMENT, ORDERS, CLAIMS], settings, clock=clock, any_port=True, grace=0.5
    ) as running:
        made = Office(running, clock)
        for platform in (A, B):
            await (
                made.as_("administrator")
                .stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
                .RegisterPlatform(
                    enrolment_pb2.RegisterPlatformRequest(
                        request_id=made.new_id(),
                        credit_code=platform,
                        display_name=f"platform {platform[:4]}",
                        industries=[enum_number(2)],
                    )
                )
            )
        yield made
        for channels in made.opened.values():
            await channels.close()
    await server.stop()


@pytest.fixture(autouse=True)
def _morning(request: pytest.FixtureRequest) -> None:
    """Each test of an office begins on the morning after the day of its accidents."""
    if "office" in request.fixturenames:
        office: Office = request.getfixturevalue("office")
        office.clock.set(at("09:00", DAY + timedelta(days=1)))
