"""A service that is killed, paused and started again on one database, and what must be true then.

Calls whose outcome is unknown are repeated under their request ids; then each change is counted
once, by SQL, and the invariants of the service hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import nats.errors
from google.protobuf.message import Message

from services.__main__ import all_services
from services.runtime.base.clock import SystemClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.events.envelope import Envelope, stream_of
from services.runtime.events.jetstream import (
    EPOCH_HEADER,
    ID_HEADER,
    KEY_HEADER,
    PRODUCER_HEADER,
    SEQ_HEADER,
    SIGNATURE_HEADER,
    Bus,
    connect,
    migrate_streams,
)
from services.runtime.rpc.client import RemoteProblem, problem_of
from services.runtime.rpc.tokens import Issuer
from services.runtime.service.context import producer_of
from services.runtime.service.host import event_signer
from tests.support.fault_cases import CHANGES, FaultCase
from tests.support.killed_orders import ask, until
from tests.support.neighbours import Neighbour, start_neighbours
from tests.support.service_process import ServiceProcess, service_process

CALL_SECONDS = 120
ANSWER_SECONDS = 5
LOAD_ROUNDS = 15
# Where a service ends the month before; it does so once.
MONTH_END = "month_end.before_commit"
_SIGN = "oip.operations.v1.SignActRequest"
# Published by nobody else; consumers acknowledge and drop what they do not know.
PAYLOAD = b""
_OPEN = """
select count(*) from pg_stat_activity where datname = current_database()
    and application_name = %s and state like 'idle in transaction%%'
"""


@dataclass
class FaultRun:
    """All lives of one service; what was done is remembered over them."""

    case: FaultCase
    settings: Settings
    server: NatsServer
    neighbours: dict[str, Neighbour]
    epoch: str = field(default_factory=lambda: secrets.token_hex(6))
    # The response of each call, once there is one.
    responses: dict[int, Message | None] = field(default_factory=dict)
    # Whether the work of a month was asked for.
    month_asked: bool = False
    # Why calls had no response; for the reader of a failed test.
    refusals: list[str] = field(default_factory=list)
    event_count: int = 0
    own_count: int = 0

    @property
    def service(self) -> str:
        """Its name."""
        return self.case.service

    @asynccontextmanager
    async def living(self, **environment: str) -> AsyncIterator[ServiceProcess]:
        """One life of the service."""
        addresses = {
            f"OIP_{name.upper()}_ADDRESS": one.address for name, one in self.neighbours.items()
        }
        async with service_process(
            self.service, self.settings, **{**addresses, **environment}
        ) as serving:
            yield serving

    async def change(self, serving: ServiceProcess, count: int) -> None:
        """New calls one after the other, until one has no answer."""
        for _ in range(count):
            number = len(self.responses)
            self.responses[number] = None
            await self._call(serving, number)
            if self.responses[number] is None:
                return

    async def change_at_once(self, serving: ServiceProcess, copies: int) -> None:
        """A new call, sent several times at once under its request id."""
        number = len(self.responses)
        self.responses[number] = None
        await asyncio.gather(*(self._call(serving, number) for _ in range(copies)))

    async def work_month(self, serving: ServiceProcess) -> bool:
        """Ask for the work after which the service ends a month; whether it is done."""
        month = self.case.month
        if month is None:
            return True
        self.month_asked = True
        return await self._answer(lambda: month(serving)) is not None

    async def refusal(
        self, serving: ServiceProcess, number: int, *, id_of: int | None = None
    ) -> RemoteProblem:
        """Why a change is refused; fails if it is not."""
        try:
            await self.case.send(serving, number, id_of=id_of)
        except RemoteProblem as problem:
            return problem
        except grpc.aio.AioRpcError as error:
            return problem_of(error)
        raise AssertionError("it is not refused")

    async def _call(self, serving: ServiceProcess, number: int) -> None:
        response = await self._answer(lambda: self.case.send(serving, number))
        if response is not None:
            assert self.responses[number] is None or self.responses[number] == response
            self.responses[number] = response

    async def _answer(self, call: Callable[[], Awaitable[Message]]) -> Message | None:
        """The answer to a call; None if there is none in time.

        A service that has not compared its database yet is busy.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while True:
                    try:
                        return await call()
                    except grpc.aio.AioRpcError as error:
                        if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                            raise
                    await asyncio.sleep(0.1)
        except (grpc.RpcError, RemoteProblem, TimeoutError) as error:
            self.refusals.append(str(error))
            return None

    async def publish(self, count: int) -> None:
        """New events for the service, by their producer, which keeps them for a replay."""
        if self.case.event is None:
            return
        for _ in range(count):
            await self._publish(self.case.event(self.event_count))
            self.event_count += 1

    async def before(self) -> None:
        """Publish what has to be consumed before the first call, and have it consumed."""
        if not self.case.before:
            return
        for event in self.case.before:
            await self._publish(event)

        async def is_consumed() -> bool:
            count = f"select count(*) >= {len(self.case.before)} from {self.service}.inbox"
            return await ask(self.settings.database_url, count) == [(True,)]

        # The month that is over is left for a life of the tests, one of which dies there.
        async with self.living(OIP_FAILPOINT=f"{MONTH_END}:raise"):
            await until(is_consumed)

    async def _publish(self, event: Message) -> None:
        signed = self._sign(event)
        with contextlib.suppress(nats.errors.Error, TimeoutError, OSError):
            await self.send(signed)

    def _sign(self, event: Message) -> Envelope:
        """The event with its number, kept for a replay."""
        producer = self.neighbours[producer_of(type(event))]
        name = event.DESCRIPTOR.full_name
        envelope = Envelope(
            producer_of(type(event)),
            self.epoch,
            len(producer.published) + 1,
            name,
            event.SerializeToString(deterministic=True),
        )
        signed = event_signer(self.settings, envelope.producer).sign(envelope)
        producer.published.append(signed)
        return signed

    async def publish_disordered(self, chance: random.Random, count: int, copies: int) -> None:
        """New events in any order, each several times, past the server's own check for doubles."""
        assert self.case.event is not None
        fresh = []
        for _ in range(count):
            fresh.append(self._sign(self.case.event(self.event_count)))
            self.event_count += 1
        sent = fresh * copies
        chance.shuffle(sent)
        async with self.bus(sent[0].producer) as bus:
            for envelope in sent:
                headers = {
                    PRODUCER_HEADER: envelope.producer,
                    EPOCH_HEADER: envelope.epoch,
                    SEQ_HEADER: str(envelope.pub_seq),
                    KEY_HEADER: envelope.key_id,
                    SIGNATURE_HEADER: envelope.signature.hex(),
                }
                await bus.js.publish(envelope.subject, envelope.payload, headers=headers)

    async def send(self, *envelopes: Envelope) -> None:
        """Send events over NATS, as their producers do."""
        for envelope in envelopes:
            async with self.bus(envelope.producer) as bus:
                await bus.publish(envelope)

    @asynccontextmanager
    async def bus(self, user: str) -> AsyncIterator[Bus]:
        """A connection as a producer."""
        bus = await connect(self.settings, user, on_closed=lambda: None)
        try:
            yield bus
        finally:
            await bus.close()

    async def write_own(self, count: int) -> None:
        """Events that the service has to publish, as its commands write them."""
        await ask(
            f"{self.settings.database_url}?options=-csearch_path%3D{self.service}",
            f"insert into {self.service}.outbox (subject, payload, create_time)"
            f" select 'oip.{self.service}.v1.FaultTested', %s, now()"
            " from generate_series(1, %s::bigint)",
            PAYLOAD,
            count,
        )
        self.own_count += count

    @asynccontextmanager
    async def loaded(self, serving: ServiceProcess) -> AsyncIterator[None]:
        """Calls and events come while the block runs and the service lives."""
        stop = asyncio.Event()

        async def load() -> None:
            for _ in range(LOAD_ROUNDS):
                if stop.is_set() or serving.process.returncode is not None:
                    return
                await self.write_own(1)
                await self.publish(2)
                await self.change(serving, 2)

        load_task = asyncio.create_task(load())
        try:
            yield
        finally:
            stop.set()
            # PostgreSQL or NATS may be away while the test writes to them.
            with contextlib.suppress(Exception):
                await load_task

    async def resolve(self, serving: ServiceProcess) -> None:
        """Repeat each call without a response until it has one; repeat all others once."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                for number in self.responses:
                    await self._call(serving, number)
                    while self.responses[number] is None:
                        await asyncio.sleep(0.2)
                        await self._call(serving, number)
                if self.month_asked:
                    await until(lambda: self.work_month(serving))
        except TimeoutError as error:
            raise AssertionError(f"no answer; the last refusals: {self.refusals[-3:]}") from error

    async def finish(self, serving: ServiceProcess, seconds: float = 120.0) -> None:
        """All calls are answered, all events are consumed and published."""
        await self.resolve(serving)
        await until(self._is_consumed, seconds)
        await until(self._is_published, seconds)

    async def check(self, serving: ServiceProcess, seconds: float = 120.0) -> None:
        """Every call and event took effect once, and every event of the service is published."""
        await self.finish(serving, seconds)
        assert await self.count(self.case.called) == len(self.responses)
        changed = f"select count(*) from {self.service}.command where request_id like '{CHANGES}%'"
        assert await self.count(changed) == len(self.responses)
        # A signature is a call of its own, once for each act that waited.
        signed = f"select count(*) from {self.service}.command where method = '{_SIGN}'"
        signatures = f"select count(*) from {self.service}.act_signature"
        assert await self.count(signed) == await self.count(signatures)
        await self._check_numbers()
        assert await serving.broken() == []
        await until(self._nothing_is_open)
        assert serving.process.returncode is None

    async def _check_numbers(self) -> None:
        """The numbers of published events have no gap, and JetStream has each once."""
        rows = await self._rows(f"select pub_seq from {self.service}.outbox order by pub_seq")
        assert [number for (number,) in rows] == list(range(1, len(rows) + 1))
        ((epoch,),) = await self._rows(f"select epoch from {self.service}.outbox_counter")
        async with self.bus(self.service) as bus:
            state = (await bus.js.stream_info(stream_of(self.service))).state
            sent = []
            for number in range(max(1, state.first_seq), state.last_seq + 1):
                headers = (await bus.js.get_msg(stream_of(self.service), number)).headers or {}
                if headers.get(EPOCH_HEADER) == epoch:
                    sent.append(headers[ID_HEADER])
        assert sorted(sent) == sorted(
            f"{self.service}:{epoch}:{number + 1}" for number in range(len(rows))
        )

    async def _is_consumed(self) -> bool:
        if not self.case.consumed:
            return True
        return await self.count(self.case.consumed) == self.event_count

    async def _is_published(self) -> bool:
        unsent = f"select count(*) from {self.service}.outbox where send_time is null"
        return await self.count(unsent) == 0

    async def _nothing_is_open(self) -> bool:
        return await ask(self.settings.database_url, _OPEN, f"oip_{self.service}") == [(0,)]

    async def count(self, statement: str) -> int:
        """The number that a statement finds in the service's database."""
        ((count,),) = await self._rows(statement)
        return int(count)

    async def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        return await ask(self.settings.database_url, statement)


@asynccontextmanager
async def fault_run(
    case: FaultCase, settings: Settings, server: NatsServer
) -> AsyncIterator[FaultRun]:
    """A run on this database and this NATS, with everything the service needs around it."""
    here = settings.model_copy(
        update={
            "nats_url": server.url,
            "nats_monitor_url": server.monitor_url,
            "nats_key_dir": server.key_dir,
        }
    )
    issuer = Issuer.at(here.signing_key_path, here.jwks_path, SystemClock())
    producers = {each.name: each.producers for each in all_services()}
    consumed = producers[case.service]
    neighbours = await start_neighbours({*case.asks, *consumed}, issuer.verifier())
    for producer in consumed:
        event_signer(here, producer)
    await migrate_streams(here, producers)
    run = FaultRun(case, here, server, neighbours)
    try:
        await run.before()
        yield run
    finally:
        for neighbour in neighbours.values():
            await neighbour.stop()
