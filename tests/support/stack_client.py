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
from oip.claims.v1 import accidents_pb2_grpc, claims_pb2_grpc
from oip.enrolment.v1 import enrolment_pb2_grpc
from oip.fund.v1 import fund_pb2_grpc
from oip.grading.v1 import grading_pb2_grpc
from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from oip.orders.v1 import orders_pb2_grpc
from oip.premiums.v1 import premiums_pb2_grpc
from oip.staff.v1 import staff_pb2_grpc

from services.demo.second_persons import SigningChannels
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.events import jetstream, personal_fields
from services.runtime.events.envelope import Envelope
from services.runtime.rpc.client import Channels, RemoteProblem, problem_of
from services.runtime.service.common_invariants import common_checks
from services.runtime.service.context import Check, Service, ServiceContext, producer_of
from services.runtime.service.host import event_signer
from services.runtime.service.stack import Stack, stack
from services.runtime.storage import data_keys
from services.runtime.storage.database import Database, retrying

Stub = TypeVar("Stub")

OFFICERS = ("adjudicator", "appraiser", "fund_officer", "fund_approver", "administrator")
FILERS = ("worker_agent", "platform")
NINE_IN_SHANGHAI = 1  # hour in UTC


class StackClient:
    """A client of a running stack: it calls, publishes, and reads rows."""

    def __init__(self, running: Stack, clock: SetClock, services: Iterable[Service]) -> None:
        self.stack = running
        self.clock = clock
        self.services = {service.name: service for service in services}
        self._channels: dict[tuple[str, tuple[str, ...], str, str], Channels] = {}
        self._request_count = 0
        self._published: Counter[str] = Counter()
        self._buses: dict[str, jetstream.Bus] = {}
        # Whether a call that needs a second signature gets it from another person.
        self.signs = True

    # Calls

    def channels(
        self, *roles: str, subject: str = "test", platform: str = "", **claims: Any
    ) -> Channels:
        """Channels with a token of these roles, opened once and closed with the client.

        `claims` are further claims of the token, such as `person`.
        """
        if subject == "test" and roles and roles[0] in FILERS:
            subject = roles[0]  # nobody decides what they filed
        key = (subject, roles, platform, repr(claims))
        if key not in self._channels:
            source = self.stack.issuer.source(subject, roles, platform, **claims)
            self._channels[key] = SigningChannels(self.stack.addresses, source, self._sign)
        return self._channels[key]

    def enrolment(
        self, *roles: str, subject: str = "test", platform: str = "", **claims: Any
    ) -> enrolment_pb2_grpc.EnrolmentServiceAsyncStub:
        channels = self.channels(*roles, subject=subject, platform=platform, **claims)
        return channels.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")

    def orders(
        self, *roles: str, subject: str = "test", platform: str = "", **claims: Any
    ) -> orders_pb2_grpc.OrderServiceAsyncStub:
        channels = self.channels(*roles, subject=subject, platform=platform, **claims)
        return channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")

    def premiums(
        self, *roles: str, subject: str = "test", platform: str = "", **claims: Any
    ) -> premiums_pb2_grpc.PremiumServiceAsyncStub:
        channels = self.channels(*roles, subject=subject, platform=platform, **claims)
        return channels.stub(premiums_pb2_grpc.PremiumServiceStub, "premiums")

    def claims(
        self, *roles: str, subject: str = "test", platform: str = "", **claims: Any
    ) -> claims_pb2_grpc.ClaimServiceAsyncStub:
        channels = self.channels(*roles, subject=subject, platform=platform, **claims)
        return channels.stub(claims_pb2_grpc.ClaimServiceStub, "claims")

    def accidents(
        self, *roles: str, subject: str = "test", platform: str = "", **claims: Any
    ) -> accidents_pb2_grpc.AccidentServiceAsyncStub:
        channels = self.channels(*roles, subject=subject, platform=platform, **claims)
        return channels.stub(accidents_pb2_grpc.AccidentServiceStub, "claims")

    def grading(
        self, *roles: str, subject: str = "test", platform: str = "", **claims: Any
    ) -> grading_pb2_grpc.GradingServiceAsyncStub:
        channels = self.channels(*roles, subject=subject, platform=platform, **claims)
        return channels.stub(grading_pb2_grpc.GradingServiceStub, "grading")

    def benefits(
        self, *roles: str, subject: str = "test", platform: str = "", **claims: Any
    ) -> benefits_pb2_grpc.BenefitServiceAsyncStub:
        channels = self.channels(*roles, subject=subject, platform=platform, **claims)
        return channels.stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")

    def fund(
        self, *roles: str, subject: str = "test", platform: str = "", **claims: Any
    ) -> fund_pb2_grpc.FundServiceAsyncStub:
        channels = self.channels(*roles, subject=subject, platform=platform, **claims)
        return channels.stub(fund_pb2_grpc.FundServiceStub, "fund")

    def staff(
        self, *roles: str, subject: str = "test", platform: str = ""
    ) -> staff_pb2_grpc.StaffServiceAsyncStub:
        channels = self.channels(*roles, subject=subject, platform=platform)
        return channels.stub(staff_pb2_grpc.StaffServiceStub, "staff")

    def operations(
        self, service: str, *roles: str, subject: str = "test"
    ) -> operations_pb2_grpc.OperationsServiceAsyncStub:
        channels = self.channels(*(roles or ("administrator",)), subject=subject)
        return channels.stub(operations_pb2_grpc.OperationsServiceStub, service)

    async def sign(
        self, service: str, name: str, digest: bytes, subject: str = "second", *roles: str
    ) -> operations_pb2.PendingAct:
        """Sign a pending act as another person, with the roles of all officers if none is named."""
        stub = self.operations(service, *(roles or OFFICERS), subject=subject)
        return await stub.SignAct(
            operations_pb2.SignActRequest(request_id=self.new_id(), name=name, hash=digest)
        )

    async def sign_waiting(self, service: str, subject: str = "second") -> None:
        """Sign all acts of a service that wait, as another person."""
        waiting = (
            "select id, hash from pending_act where withdraw_time is null"
            " and id not in (select pending_act from act_signature) order by create_time"
        )
        for row in await self.rows(service, waiting):
            await self.sign(service, f"pendingActs/{row.id}", bytes(row.hash), subject)

    async def _sign(self, service: str, problem: RemoteProblem) -> bool:
        if self.signs:
            digest = bytes.fromhex(problem.metadata["hash"])
            await self.sign(service, problem.metadata["pending_act"], digest)
        return self.signs

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
        handler = self.services[service].consumed[type(event)]
        async with context.database.begin() as tx:
            await handler(tx, event, context.command(f"services/{producer_of(type(event))}"))

    async def publish(self, event: Message) -> None:
        """Publish an event over JetStream as its producer would."""
        producer = producer_of(type(event))
        if producer not in self._buses:
            self._buses[producer] = await jetstream.connect(
                self.stack.settings, producer, on_closed=_nothing
            )
        self._published[producer] += 1
        subject, payload = event.DESCRIPTOR.full_name, event.SerializeToString(deterministic=True)
        number = self._published[producer]
        envelope = Envelope(producer, "first", number, subject, payload)
        signed = event_signer(self.stack.settings, producer).sign(envelope)
        await self._buses[producer].publish(signed)

    async def published(self, service: str, *kinds: type[Message]) -> list[Any]:
        """What a service has published so far, in order; only these kinds if any is named.

        Unless it is named, MonthEnded is left out: it comes with the clock.
        """
        rows = await self.rows(service, "select subject, payload from outbox order by id")
        symbols = symbol_database.Default()
        sent = [symbols.GetSymbol(row.subject).FromString(row.payload) for row in rows]
        cipher = self.context(service).cipher
        async with self.database(service).begin() as tx:
            keys = await data_keys.list_of_persons(tx, cipher, map(personal_fields.key_of, sent))
        cipher = cipher.knowing(keys)
        events = [
            personal_fields.open_sealed(cipher, event) if personal_fields.key_of(event) else event
            for event in sent
        ]
        return [
            event
            for event in events
            if (isinstance(event, kinds) if kinds else event.DESCRIPTOR.name != "MonthEnded")
        ]

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

    async def broken_common(self, service: str) -> list[str]:
        """The codes of the invariants of every service that do not hold in this one."""

        async def attempt() -> list[Check]:
            # One snapshot: audit rows are linked in the background meanwhile.
            async with self.database(service).begin(serializable=True) as tx:
                return await common_checks(tx, self.context(service))

        checks = await retrying(attempt)
        return [check.invariant for check in checks if not check.holds]

    async def close(self) -> None:
        """Close every channel and every bus."""
        for channels in self._channels.values():
            await channels.close()
        for bus in self._buses.values():
            await bus.close()


async def refused(call: Awaitable[Any]) -> RemoteProblem:
    """The problem with which a call is refused; fails if it is not."""
    with pytest.raises(grpc.RpcError) as caught:
        await call
    return problem_of(caught.value)


@asynccontextmanager
async def stack_client(
    services: Iterable[Service], settings: Settings, clock: SetClock, *, compares: bool = True
) -> AsyncIterator[StackClient]:
    """A stack of these services and its client, while the block runs.

    `compares` is false where the nats-server holds events of other databases.
    """
    started = tuple(services)
    async with stack(
        started, settings, clock=clock, any_port=True, grace=0.5, compares=compares
    ) as running:
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
        "nats_key_dir": server.key_dir,
        "database_url": database_url,
    }
    return settings.model_copy(update=update)


def _nothing() -> None:
    """The bus may close: the test ends."""
