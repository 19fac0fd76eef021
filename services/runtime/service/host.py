"""One service with all its parts: database, relay, listener, checks and gRPC server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.kernel.periods import civil_day
from services.runtime.base.clock import Clock
from services.runtime.base.log import logger
from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.settings import Environment, Settings
from services.runtime.base.tasks import end as end_tasks
from services.runtime.events.envelope import Envelope
from services.runtime.events.event_keys import (
    EventSigner,
    load_or_make_signer,
    load_signer,
    trust_of,
)
from services.runtime.events.jetstream import Bus, connect
from services.runtime.events.listener import Listener
from services.runtime.events.outbox import Relay
from services.runtime.events.receiver import Receiver
from services.runtime.events.streams import StreamWatch
from services.runtime.rpc.certificates import thumbprint
from services.runtime.rpc.client import Channels
from services.runtime.rpc.server import RpcServer
from services.runtime.rpc.staff import Admission, StaffRegister
from services.runtime.rpc.tokens import Issuer, Verifier, file_source
from services.runtime.service.context import Service, ServiceContext
from services.runtime.service.erasures import keep_completing
from services.runtime.service.health import Health
from services.runtime.service.key_client import fetch_keys
from services.runtime.service.month_end import keep_ending
from services.runtime.service.operations import OperationsApi, envelope_from_wire
from services.runtime.service.requests import record_reading
from services.runtime.service.restoration import Restoration
from services.runtime.service.risks import Risks, check_calls, check_database, check_nats
from services.runtime.service.staff_copy import STAFF_CHANGED
from services.runtime.service.standing import Standing
from services.runtime.service.tls import client_credentials, server_credentials
from services.runtime.storage import audit, data_keys
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Database
from services.runtime.storage.key_file import KeyFile, make_keys
from services.runtime.storage.key_wrapping import wrapper_of

log = logger("host")


# How long the background waits for an answer of the database before it drops the connection and
# tries again. The listener runs the commands of other events' consumers, which may take longer.
ROUND_SECONDS = 15.0


LISTENER_SECONDS = 30.0


ROLLBACK_SECONDS = 3.0


ROLLBACK_CHECK_SECONDS = 0.02


OnCrash: TypeAlias = Callable[[str, BaseException], None]


@dataclass(frozen=True)
class HostContext:
    """What the services of one process share."""

    settings: Settings
    clock: Clock
    verifier: Verifier
    issuer: Issuer | None
    addresses: dict[str, str]
    on_crash: OnCrash
    risks: Risks
    # Whether each database is compared with what others hold; tests share servers.
    compares: bool = True

    def token_source(self, service: str) -> Callable[[], str]:
        """Tokens for the calls of a service: issued in development, else read from a file."""
        if self.settings.token_file is not None:
            return file_source(self.settings.token_file)
        if self.issuer is None:
            raise StartRefusedError("set OIP_TOKEN_FILE to the file with the token of this service")
        file = self.settings.tls_certificate_file
        certificate = thumbprint(file.read_bytes()) if file is not None else b""
        return self.issuer.source(f"services/{service}", ["service"], certificate=certificate)


class ServiceHost:
    """One service with all its parts; opened, started and stopped together with the others."""

    def __init__(self, service: Service, host_context: HostContext) -> None:
        settings = host_context.settings
        self.service = service
        self.address = self.health_address = ""
        self._host_context = host_context
        self._bus: Bus | None = None
        # The parts that need NATS exist once `open` has connected.
        self._is_built = False
        self._tasks: list[asyncio.Task[None]] = []
        self._making_events: list[asyncio.Task[None]] = []
        database = Database(
            settings.database_of(service.name), service.name, pool_size=settings.pool_size
        )
        self._register = StaffRegister(database)
        self.context = ServiceContext(
            service=service.name,
            database=database,
            clock=host_context.clock,
            cipher=_cipher(settings),
            channels=Channels(
                host_context.addresses,
                host_context.token_source(service.name),
                client_credentials(settings),
            ),
            province=settings.province,
            state_dir=settings.state_dir,
            makes_keys=settings.environment is Environment.DEV,
            in_production=settings.environment is Environment.PRODUCTION,
            limits=settings.limits,
            health_address=lambda: self.health_address,
            forget_staff=self._register.forget,
        )
        self.standing = Standing(service.name)

    async def open(self, address: str) -> None:
        """Check the database and NATS, then listen and answer calls."""
        settings, risks = self._host_context.settings, self._host_context.risks
        host, _, port = address.rpartition(":")
        listen = settings.listen_host or host
        check_calls(risks, settings, listen)
        await self.context.database.check()
        await data_keys.open_service_key(self.context.database, self.context.cipher)
        self._name_missing_law()
        await check_database(risks, self.context.database)
        bus = await connect(settings, self.service.name, self._bus_closed)
        self._bus = bus
        check_nats(risks, settings, bus)
        await bus.wait_until_migrated(self.service.name, self.service.producers)
        self._build_parts(bus)
        self._is_built = True
        self.server.set_health(ready=False, delivers=False)
        bound_port = await self.server.start(
            f"{listen}:{port}",
            server_credentials(settings),
            health_address=f"{listen}:{settings.health_port_of(int(port))}",
        )
        self.address = f"{host}:{bound_port}"
        self.health_address = f"{host}:{self.server.health_port}"
        self._host_context.addresses[self.service.name] = self.address

    def _name_missing_law(self) -> None:
        """Log each parameter without a value in the province today; what needs it is refused."""
        law, province = self.service.law, self.context.province
        today = civil_day(self.context.clock.now())
        for absent in law.missing(today, province) if law else ():
            log.warning(
                "legal_parameter_missing",
                service=self.service.name,
                parameter=absent.name,
                place=province,
                day=str(today),
            )

    def _build_parts(self, bus: Bus) -> None:
        """Everything that needs the connection to NATS, and the server with its methods."""
        service, context, settings = self.service, self.context, self._host_context.settings
        verifier, trust = self._host_context.verifier, trust_of(settings.event_trust_path)
        signer = event_signer(settings, service.name)
        receiver = Receiver(
            context.database.bounded(LISTENER_SECONDS),
            handlers=service.consumed,
            command=context.command,
            trust=trust,
            cipher=context.cipher,
            share=partial(fetch_keys, context.channels),
            clock=context.clock,
            wake=context.wake,
            on_applied=self._forget_staff,
        )
        self._listener = Listener(receiver, bus, self._replay)
        self._relay = Relay(
            context.database.bounded(ROUND_SECONDS),
            bus.publish,
            signer,
            context.clock,
            context.wake,
        )
        self._stream = StreamWatch(service.name, bus.usage)
        self._restoration = Restoration(
            service, context, bus, trust=trust, signer=signer, standing=self.standing
        )
        self.server = RpcServer(
            service.name,
            Admission(verifier, self._register),
            reflect=settings.environment is Environment.DEV,
            require_current=self.standing.require_current,
            record_reading=partial(record_reading, context),
            clock=context.clock,
            limits=settings.limits,
        )
        self._health = Health(
            service.name,
            receiver.producers,
            settings=settings,
            database=context.database,
            bus=bus,
            server=self.server,
            verifier=verifier,
            standing=self.standing,
        )
        service.register(self.server.registrar, context)
        operations = OperationsApi(
            service,
            context,
            self._restoration,
            retry=receiver.retry,
            usage=lambda: self._stream.usage,
            health=self._health,
            handlers=self.server.handlers,
        )
        operations_pb2_grpc.add_OperationsServiceServicer_to_server(
            operations, self.server.registrar
        )

    def _forget_staff(self, batch: Sequence[Envelope]) -> None:
        if any(envelope.subject == STAFF_CHANGED for envelope in batch):
            self._register.forget()

    async def compare(self) -> None:
        """Compare the database with what others hold of it, before anything is published."""
        if self._host_context.compares:
            await self._restoration.compare_first()
        else:
            self.standing.set_differences(())

    def start(self) -> None:
        """Publish and consume, but not while the database is behind what was published."""
        linked = self.context.database.bounded(ROUND_SECONDS)
        self._start_part("audit", audit.keep_linking(linked))
        self._start_part("stream", self._stream.run())
        self._start_part("health", self._health.watch())
        self._start_part("standing", self._keep_standing())

    async def _keep_standing(self) -> None:
        """Run what makes events while the database is current; compare it again and again."""
        while True:
            if self.standing.is_behind:
                await end_tasks(self._making_events)
                self._making_events.clear()
            elif not self._making_events:
                self._make_events()
            self.server.set_serves_changes(serves=not self.standing.is_behind)
            was_behind = self.standing.is_behind
            while self.standing.is_behind == was_behind:
                if self._host_context.compares:
                    await self._restoration.next_comparison()
                else:
                    await asyncio.Event().wait()

    def _make_events(self) -> None:
        self._making_events.append(self._start_part("relay", self._relay.run()))
        if self.service.consumed:
            self._making_events.append(self._start_part("listener", self._listener.run()))
        if self.service.month_end is not None:
            ending = keep_ending(self.context, self.service.month_end)
            self._making_events.append(self._start_part("month end", ending))
        if self.service.erasing is not None:
            completing = keep_completing(self.context, self.service.erasing)
            self._making_events.append(self._start_part("erasures", completing))
        if self.service.background is not None:
            background = self.service.background(self.context)
            self._making_events.append(self._start_part("background", background))

    async def stop_consuming(self) -> None:
        """Report NOT_SERVING and stop the listener; events in progress roll back."""
        if not self._is_built:
            return
        self.server.set_serving(serving=False)
        ending = ("standing", "listener")
        await end_tasks(task for task in self._tasks if task.get_name().endswith(ending))

    async def close(self, grace: float) -> None:
        """Let running calls finish for `grace` seconds, then close everything."""
        if self._is_built:
            await self.server.stop(grace)
        await end_tasks(self._tasks)
        await self.context.closing.aclose()
        await self.context.channels.close()
        await self._wait_for_rollbacks()
        if self._is_built:
            await self._health.close()
        await self.context.database.close()
        if self._bus is not None:
            await self._bus.close()

    async def _wait_for_rollbacks(self) -> None:
        """Wait a bounded time for calls that were ended to roll back."""
        loop = asyncio.get_running_loop()
        end = loop.time() + ROLLBACK_SECONDS
        while self.context.database.checked_out_count and loop.time() < end:  # noqa: ASYNC110 - the pool sends no signal
            await asyncio.sleep(ROLLBACK_CHECK_SECONDS)

    def _start_part(self, part: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        name = f"{self.service.name} {part}"
        task = watched(asyncio.create_task(work, name=name), self._host_context.on_crash)
        self._tasks.append(task)
        return task

    def _bus_closed(self) -> None:
        error = ConnectionError("the connection to NATS was closed")
        self._host_context.on_crash(f"{self.service.name} bus", error)

    async def _replay(
        self, producer: str, epoch: str, from_seq: int
    ) -> AsyncGenerator[Envelope, None]:
        stub = self.context.channels.stub(operations_pb2_grpc.OperationsServiceStub, producer)
        call = stub.Replay(operations_pb2.ReplayRequest(epoch=epoch, from_seq=from_seq))
        try:
            async for message in call:
                yield envelope_from_wire(message)
        finally:
            call.cancel()


def watched(task: asyncio.Task[None], on_crash: OnCrash) -> asyncio.Task[None]:
    """Report a task that ends before it is cancelled: each should run until then."""

    def ended(done: asyncio.Task[None]) -> None:
        if done.cancelled():
            return
        error = done.exception() or RuntimeError("the task ended before it was cancelled")
        log.error("part_crashed", part=done.get_name(), exc_info=error)
        on_crash(done.get_name(), error)

    task.add_done_callback(ended)
    return task


def event_signer(settings: Settings, service: str) -> EventSigner:
    """The signer of a service's events; development makes its key."""
    path = settings.event_key_path(service)
    if settings.environment is Environment.DEV:
        return load_or_make_signer(path, service, settings.event_trust_path)
    return load_signer(path)


def _cipher(settings: Settings) -> ColumnCipher:
    wrapper = wrapper_of(settings.key_wrap_command)
    if settings.environment is Environment.DEV and not settings.keys_path.exists():
        make_keys(settings.keys_path, wrapper)
    return ColumnCipher(KeyFile(settings.keys_path, wrapper))
