"""Grading on a real PostgreSQL and a real nats-server; what claims tells comes from the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from google.protobuf.message import Message
from oip.grading.v1 import grading_pb2_grpc

from services.grading.__main__ import SERVICE
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.events import jetstream as buses
from services.runtime.events.envelope import Envelope
from services.runtime.events.jetstream import Bus
from services.runtime.rpc.client import Channels
from services.runtime.rpc.tokens import Issuer
from services.runtime.service.context import ServiceContext
from services.runtime.service.serve import serving
from tests.support.databases import Databases


@dataclass
class Grading:
    """The running service, its clock, and what reaches it from outside."""

    context: ServiceContext
    clock: SetClock
    bus: Bus
    addresses: dict[str, str]
    issuer: Issuer
    opened: list[Channels] = field(default_factory=list)
    told_count: int = 0

    def stub(self, *roles: str) -> grading_pb2_grpc.GradingServiceAsyncStub:
        """The service as someone with these roles sees it."""
        channels = Channels(self.addresses, self.issuer.source("test", roles))
        self.opened.append(channels)
        return channels.stub(grading_pb2_grpc.GradingServiceStub, "grading")

    async def hear(self, event: Message) -> None:
        """Publish an event of claims."""
        self.told_count += 1
        await self.bus.publish(
            Envelope(
                "claims",
                "first",
                self.told_count,
                event.DESCRIPTOR.full_name,
                event.SerializeToString(deterministic=True),
            )
        )


@pytest.fixture
def clock() -> SetClock:
    return SetClock(datetime(2025, 9, 1, 1, 0, tzinfo=UTC))


@pytest.fixture
async def grading(
    stack: Settings, databases: Databases, nats_server: NatsServer, clock: SetClock
) -> AsyncIterator[Grading]:
    settings = stack.model_copy(
        update={
            "nats_url": nats_server.url,
            "nats_monitor_url": nats_server.monitor_url,
            "database_url": await databases.fresh("grading"),
        }
    )
    bus = await buses.connect(settings, "grading", on_closed=lambda: None)
    await bus.declare_stream("claims")
    issuer = Issuer.at(settings.signing_key_path, settings.jwks_path, clock)
    async with serving(
        SERVICE, settings, clock, bus, addresses={"grading": "127.0.0.1:0"}, grace=0.5
    ) as running:
        made = Grading(running, clock, bus, dict(context.channels.addresses), issuer)
        yield made
        for channels in made.opened:
            await channels.close()
    await bus.close()


Until = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]
