"""Benefits on a real PostgreSQL and a real nats-server; what others tell comes from the test."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
from google.protobuf.message import Message
from oip.benefits.v1 import benefits_pb2 as pb
from oip.benefits.v1 import benefits_pb2_grpc
from oip.claims.v1 import claims_pb2
from oip.claims.v1 import events_pb2 as claims_events
from oip.grading.v1 import events_pb2 as grading_events
from oip.grading.v1 import grading_pb2
from oip.type.v1 import type_pb2

from services.benefits.__main__ import SERVICE
from services.benefits.consumers import HANDLERS
from services.kernel.periods import Month
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.events import jetstream as buses
from services.runtime.events.envelope import Envelope
from services.runtime.events.jetstream import Bus
from services.runtime.rpc.client import Channels, RemoteProblem, problem_of
from services.runtime.rpc.tokens import Issuer
from services.runtime.rpc.wire import date_to_wire, enum_number, month_to_wire
from services.runtime.service.context import ServiceContext
from services.runtime.service.serve import serving
from tests.support.databases import Databases

AREA = "440100"


@dataclass
class Benefits:
    """The running service, its clock, and what reaches it from outside."""

    context: ServiceContext
    clock: SetClock
    bus: Bus
    issuer: Issuer
    opened: list[Channels] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)

    def stub(self, *roles: str) -> benefits_pb2_grpc.BenefitServiceAsyncStub:
        """The service as someone with these roles sees it; a fund officer by default."""
        source = self.issuer.source("test", roles or ("fund_officer",))
        channels = Channels(self.context.channels.addresses, source)
        self.opened.append(channels)
        return channels.stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")

    def on(self, day: date) -> None:
        """Set the clock to nine in the morning of a day in Shanghai."""
        self.clock.set(datetime(day.year, day.month, day.day, 1, tzinfo=UTC))

    async def hear(self, producer: str, event: Message) -> None:
        """Let an event take effect, as the listener does."""
        handler = HANDLERS[producer][type(event)]
        async with self.context.database.begin() as tx:
            await handler(tx, event, self.clock.now())

    async def publish(self, producer: str, event: Message) -> None:
        """Publish an event as its producer would."""
        self.told[producer] += 1
        subject, payload = event.DESCRIPTOR.full_name, event.SerializeToString(deterministic=True)
        await self.bus.publish(Envelope(producer, "first", self.told[producer], subject, payload))

    async def awards(self, claim: str = "claims/c1") -> dict[tuple[str, str], pb.Award]:
        """The awards of a claim by kind and beneficiary, corrections apart."""
        answer = await self.stub().ListAwards(pb.ListAwardsRequest(claim=claim))
        return {
            (pb.BenefitKind.Name(award.kind), award.beneficiary): award
            for award in answer.awards
            if not award.adjusts
        }

    async def run(self, month: Month, request_id: str = "") -> pb.PaymentRun:
        """Instruct a month's payments."""
        return await self.stub().InstructPayments(
            pb.InstructPaymentsRequest(
                request_id=request_id or f"run-{month}-{self.clock.now().isoformat()[:16]}",
                month=month_to_wire(month),
            )
        )

    async def instructions(self, award: str = "") -> list[tuple[str, str, int]]:
        """What was instructed: award, month, fen."""
        answer = await self.stub().ListPaymentInstructions(
            pb.ListPaymentInstructionsRequest(award=award, page_size=1000)
        )
        return [
            (one.award, f"{one.month.year}-{one.month.month:02d}", one.amount_fen)
            for one in answer.payment_instructions
        ]

    async def broken(self) -> list[str]:
        """The invariants that do not hold."""
        async with self.context.database.begin() as tx:
            return [check.invariant for check in await SERVICE.verify(tx) if not check.holds]

    async def rows(self, question: str, **given: Any) -> list[Any]:
        """What the database says."""
        async with self.context.database.begin() as tx:
            return list((await tx.execute(sa.text(question), given)).all())


def determined(claim: str = "claims/c1", **given: Any) -> claims_events.ClaimDetermined:
    """A confirmed claim: an accident in Guangzhou on 1 July 2025, unless `given` otherwise."""
    days = {name: date_to_wire(day) for name, day in given.items() if name.endswith("_date")}
    plain = {
        "revision": 3,
        "outcome": claims_pb2.Determination.CONFIRMED,
        "worker": "workers/7",
        "pooling_area": AREA,
        "industry": type_pb2.INSTANT_DELIVERY,
        "accident_date": date_to_wire(date(2025, 7, 1)),
        "determine_date": date_to_wire(date(2025, 7, 20)),
    }
    return claims_events.ClaimDetermined(claim=claim, **{**plain, **given, **days})


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


def survivor(
    survivor_id: str,
    relation: claims_pb2.Survivor.Relation.ValueType,
    birth: date,
    *,
    alone: bool = False,
) -> claims_pb2.Survivor:
    """A survivor as claims tells of them."""
    return claims_pb2.Survivor(
        survivor_id=survivor_id, relation=relation, birth_date=date_to_wire(birth), alone=alone
    )


async def refused(call: Awaitable[Any]) -> RemoteProblem:
    """The problem that a call is answered with."""
    with pytest.raises(grpc.RpcError) as caught:
        await call
    return problem_of(caught.value)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(datetime(2025, 8, 20, 1, 0, tzinfo=UTC))


@pytest.fixture
async def benefits(
    stack: Settings, databases: Databases, nats_server: NatsServer, clock: SetClock
) -> AsyncIterator[Benefits]:
    settings = stack.model_copy(
        update={
            "nats_url": nats_server.url,
            "nats_monitor_url": nats_server.monitor_url,
            "database_url": await databases.fresh("benefits"),
        }
    )
    bus = await buses.connect(settings, "benefits", on_closed=lambda: None)
    for producer in HANDLERS:
        await bus.declare_stream(producer)
    issuer = Issuer.at(settings.signing_key_path, settings.jwks_path, clock)
    async with serving(
        SERVICE, settings, clock, bus, addresses={"benefits": "127.0.0.1:0"}, grace=0.5
    ) as running:
        made = Benefits(running, clock, bus, issuer)
        yield made
        for channels in made.opened:
            await channels.close()
    await bus.close()
