"""One client for tests of services: calls by role, a set clock, events in and out, rows, checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import grpc
import pytest
import sqlalchemy as sa
from google.protobuf import symbol_database
from google.protobuf.message import Message
from oip.benefits.v1 import benefits_pb2_grpc
from oip.claims.v1 import claims_pb2_grpc
from oip.enrolment.v1 import enrolment_pb2_grpc
from oip.fund.v1 import fund_pb2_grpc
from oip.grading.v1 import grading_pb2_grpc
from oip.operations.v1 import operations_pb2_grpc
from oip.orders.v1 import orders_pb2_grpc
from oip.premiums.v1 import premiums_pb2_grpc

from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.events import jetstream
from services.runtime.events.envelope import Envelope
from services.runtime.rpc.client import Channels, RemoteProblem, problem_of
from services.runtime.service.context import Service, ServiceContext, producer_of
from services.runtime.service.serve import event_signer
from services.runtime.service.stack import Stack, stack
from services.runtime.storage.database import Database

Stub = TypeVar("Stub")

NINE_IN_SHANGHAI = 1  # hour in UTC


class StackClient:
    """A client of a running stack: it calls, publishes, and reads rows."""

    def __init__(self, running: Stack, clock: SetClock, services: Iterable[Service]) -> None:
        self.stack = running
        self.clock = clock
        self.services = {service.name: service for service in services}
        self._channels: dict[tuple[str, tuple[str, ...], str], Channels] = {}
        self._request_count = 0
        self._published: Counter[str] = Counter()
        self._bus: jetstream.Bus | None = None

    # Calls

    def channels(self, *roles: str, subject: str = "test", platform: str = "") -> Channels:
        """Channels with a token of these roles, opened once and closed with the client."""
        key = (subject, roles, platform)
        if key not in self._channels:
            self._channels[key] = self.stack.channels(subject, *roles, platform=platform)
        return self._channels[key]

    def enrolment(
        self, *roles: str, subject: str = "test", platform: str = ""
    ) -> enrolment_pb2_grpc.EnrolmentServiceAsyncStub:
        channels = self.channels(*roles, subject=subject, platform=platform)
        return channels.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")

    def orders(
        self, *roles: str, subject: str = "test", platform: str = ""
    ) -> orders_pb2_grpc.OrderServiceAsyncStub:
        channels = self.channels(*roles, subject=subject, platform=platform)
        return channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")

    def premiums(
        self, *roles: str, subject: str = "test", platform: str = ""
    ) -> premiums_pb2_grpc.PremiumServiceAsyncStub:
        channels = self.channels(*roles, subject=subject, platform=platform)
        return channels.stub(premiums_pb2_grpc.PremiumServiceStub, "premiums")

    def claims(
        self, *roles: str, subject: str = "test", platform: str = ""
    ) -> claims_pb2_grpc.ClaimServiceAsyncStub:
        channels = self.channels(*roles, subject=subject, platform=platform)
        return channels.stub(claims_pb2_grpc.ClaimServiceStub, "claims")

    def grading(
        self, *roles: str, subject: str = "test", platform: str = ""
    ) -> grading_pb2_grpc.GradingServiceAsyncStub:
        channels = self.channels(*roles, subject=subject, platform=platform)
        return channels.stub(grading_pb2_grpc.GradingServiceStub, "grading")

    def benefits(
        self, *roles: str, subject: str = "test", platform: str = ""
    ) -> benefits_pb2_grpc.BenefitServiceAsyncStub:
        channels = self.channels(*roles, subject=subject, platform=platform)
        return channels.stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")

    def fund(
        self, *roles: str, subject: str = "test", platform: str = ""
    ) -> fund_pb2_grpc.FundServiceAsyncStub:
        channels = self.channels(*roles, subject=subject, platform=platform)
        return channels.stub(fund_pb2_grpc.FundServiceStub, "fund")

    def operations(
        self, service: str, *roles: str, subject: str = "test"
    ) -> operations_pb2_grpc.OperationsServiceAsyncStub:
        channels = self.channels(*(roles or ("administrator",)), subject=subject)
        return channels.stub(operations_pb2_grpc.OperationsServiceStub, service)

    def new_id(self) -> str:
        """A request id that this client has not used."""
        self._request_count += 1
        return f"request-{self._request_count}"

    def set_day(self, day: date) -> None:
        """Set the clock to nine in the morning of a day in Shanghai."""
        self.clock.set(datetime(day.year, day.month, day.day, NINE_IN_SHANGHAI, tzinfo=UTC))

    # Events

    async def consume(self, service: str, event: Message) -> None:
        """Let an event take effect as the listener of a service does, without the bus."""
        context = self.context(service)
        handler = self.services[service].handlers[type(event)]
        async with context.database.begin() as tx:
            await handler(tx, event, context.command(f"services/{producer_of(type(event))}"))

    async def publish(self, event: Message) -> None:
        """Publish an event over JetStream as its producer would."""
        producer = producer_of(type(event))
        if self._bus is None:
            self._bus = await jetstream.connect(self.stack.settings, "test", on_closed=_nothing)
        await self._bus.declare_stream(producer)
        self._published[producer] += 1
        subject, payload = event.DESCRIPTOR.full_name, event.SerializeToString(deterministic=True)
        number = self._published[producer]
        envelope = Envelope(producer, "first", number, subject, payload)
        await self._bus.publish(event_signer(self.stack.settings, producer).sign(envelope))

    async def published(self, service: str, *kinds: type[Message]) -> list[Any]:
        """What a service has published so far, in order; only these kinds if any is named."""
        rows = await self.rows(service, "select subject, payload from outbox order by id")
        symbols = symbol_database.Default()
        events = [symbols.GetSymbol(row.subject).FromString(row.payload) for row in rows]
        return [event for event in events if not kinds or isinstance(event, kinds)]

    async def delivered(self) -> None:
        """Wait until every event that was published has been consumed."""
        await self.stack.wait_until_delivered()

    # Rows

    def context(self, service: str) -> ServiceContext:
        """The running service."""
        return self.stack.contexts[service]

    def database(self, service: str) -> Database:
        """The service's database."""
        return self.context(service).database

    async def rows(self, service: str, question: str, **values: Any) -> list[Any]:
        """The rows of a question to a service's database, under its own role."""
        async with self.database(service).begin() as tx:
            return list((await tx.execute(sa.text(question), values)).all())

    async def broken(self, service: str) -> list[str]:
        """The codes of the invariants of a service that do not hold."""
        async with self.database(service).begin() as tx:
            checks = await self.services[service].checks(tx, self.context(service))
        return [check.invariant for check in checks if not check.holds]

    async def close(self) -> None:
        """Close every channel and the bus."""
        for channels in self._channels.values():
            await channels.close()
        if self._bus is not None:
            await self._bus.close()


async def refused(call: Awaitable[Any]) -> RemoteProblem:
    """The problem with which a call is refused; fails if it is not."""
    with pytest.raises(grpc.RpcError) as caught:
        await call
    return problem_of(caught.value)


@asynccontextmanager
async def stack_client(
    services: Iterable[Service], settings: Settings, clock: SetClock
) -> AsyncIterator[StackClient]:
    """A stack of these services and its client, while the block runs."""
    started = tuple(services)
    async with stack(started, settings, clock=clock, any_port=True, grace=0.5) as running:
        client = StackClient(running, clock, started)
        try:
            yield client
        finally:
            await client.close()


def with_nats(settings: Settings, server: NatsServer, database_url: str) -> Settings:
    """Settings with another nats-server and another database."""
    update = {
        "nats_url": server.url,
        "nats_monitor_url": server.monitor_url,
        "database_url": database_url,
    }
    return settings.model_copy(update=update)


def _nothing() -> None:
    """The bus may close: the test ends."""
