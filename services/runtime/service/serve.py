"""Runs a service: starts, watches and stops its database, relay, listener and gRPC server.

Production runs one service per process (`run`), development and tests run all of them on one event
loop (`serving_all`). If a part fails, the process ends and its orchestrator restarts it: a service
that does not consume or publish must not look alive.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.runtime.base import log as logs
from services.runtime.base.clock import Clock, SystemClock
from services.runtime.base.log import logger
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
from services.runtime.rpc.client import Channels
from services.runtime.rpc.server import RpcServer, watch_loop
from services.runtime.rpc.tokens import Issuer, Verifier, file_source
from services.runtime.service.context import Service, ServiceContext
from services.runtime.service.operations import OperationsApi, envelope_from_wire
from services.runtime.storage import audit
from services.runtime.storage.crypto import ColumnCipher, load_keys, load_or_make_keys
from services.runtime.storage.database import Database

log = logger("serve")

GRACE_SECONDS = 10.0
# After the grace period the process ends even if something still hangs.
WATCHDOG_SECONDS = GRACE_SECONDS + 5
ROLLBACK_SECONDS = 3.0
ROLLBACK_CHECK_SECONDS = 0.02
EXIT_FAILED = 1

OnCrash: TypeAlias = Callable[[str, BaseException], None]


@dataclass(frozen=True)
class HostContext:
    """What the services of one process share."""

    settings: Settings
    clock: Clock
    bus: Bus
    verifier: Verifier
    issuer: Issuer | None
    addresses: dict[str, str]
    on_crash: OnCrash

    def token_source(self, service: str) -> Callable[[], str]:
        """Tokens for the calls of a service: issued in development, else read from a file."""
        if self.settings.token_file is not None:
            return file_source(self.settings.token_file)
        if self.issuer is None:
            message = "set OIP_TOKEN_FILE to the file with the token of this service"
            raise ValueError(message)
        return self.issuer.source(f"services/{service}", ["service"])


class ServiceHost:
    """One service with all its parts; opened, started and stopped together with the others."""

    def __init__(self, service: Service, host_context: HostContext) -> None:
        settings = host_context.settings
        self.service = service
        self.address = ""
        self._host_context = host_context
        self._tasks: list[asyncio.Task[None]] = []
        database = Database(
            settings.database_of(service.name), service.name, pool_size=settings.pool_size
        )
        self.context = ServiceContext(
            service=service.name,
            database=database,
            clock=host_context.clock,
            cipher=_cipher(settings),
            channels=Channels(
                host_context.addresses,
                host_context.token_source(service.name),
                _client_credentials(settings),
            ),
            province=settings.province,
            state_dir=settings.state_dir,
            makes_keys=settings.environment is Environment.DEV,
        )
        receiver = Receiver(
            database,
            handlers=service.handlers,
            command=self.context.command,
            trust=trust_of(settings.event_trust_path),
            clock=host_context.clock,
            wake=self.context.wake,
        )
        self._listener = Listener(receiver, host_context.bus, self._replay)
        signer = event_signer(settings, service.name)
        self._relay = Relay(
            database, host_context.bus.publish, signer, host_context.clock, self.context.wake
        )
        reflect = settings.environment is Environment.DEV
        self.server = RpcServer(service.name, host_context.verifier, reflect=reflect)
        service.register(self.server.registrar, self.context)
        operations_pb2_grpc.add_OperationsServiceServicer_to_server(
            OperationsApi(service, self.context, receiver.retry), self.server.registrar
        )

    async def open(self, address: str) -> None:
        """Check the database, then listen and answer calls."""
        await self.context.database.check()
        await self._host_context.bus.declare_stream(self.service.name)
        host, _, port = address.rpartition(":")
        listen = self._host_context.settings.listen_host or host
        bound_port = await self.server.start(
            f"{listen}:{port}", _server_credentials(self._host_context.settings)
        )
        self.address = f"{host}:{bound_port}"
        self._host_context.addresses[self.service.name] = self.address

    def start(self) -> None:
        """Publish and consume."""
        self._start_part("relay", self._relay.run())
        if self.service.handlers:
            self._start_part("listener", self._listener.run())
        self._start_part("audit", audit.keep_linking(self.context.database))
        if self.service.background is not None:
            self._start_part("background", self.service.background(self.context))

    async def stop_consuming(self) -> None:
        """Report NOT_SERVING and stop the listener; events in progress roll back."""
        await self.server.set_serving(serving=False)
        await end_tasks(task for task in self._tasks if task.get_name().endswith("listener"))

    async def close(self, grace: float) -> None:
        """Let running calls finish for `grace` seconds, then close everything."""
        await self.server.stop(grace)
        await end_tasks(self._tasks)
        await self.context.closing.aclose()
        await self.context.channels.close()
        await self._wait_for_rollbacks()
        await self.context.database.close()

    async def _wait_for_rollbacks(self) -> None:
        """Wait a bounded time for calls that were ended to roll back."""
        loop = asyncio.get_running_loop()
        end = loop.time() + ROLLBACK_SECONDS
        while self.context.database.checked_out_count and loop.time() < end:  # noqa: ASYNC110 - the pool sends no signal
            await asyncio.sleep(ROLLBACK_CHECK_SECONDS)

    def _start_part(self, part: str, work: Coroutine[Any, Any, None]) -> None:
        name = f"{self.service.name} {part}"
        self._tasks.append(
            _watched(asyncio.create_task(work, name=name), self._host_context.on_crash)
        )

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


@asynccontextmanager
async def serving(
    service: Service, settings: Settings, clock: Clock, bus: Bus, **options: Any
) -> AsyncIterator[ServiceContext]:
    """Run one service while the block runs; see `serving_all` for the options."""
    async with serving_all([service], settings, clock, bus, **options) as contexts:
        yield contexts[service.name]


@asynccontextmanager
async def serving_all(
    services: Iterable[Service],
    settings: Settings,
    clock: Clock,
    bus: Bus,
    *,
    addresses: Mapping[str, str] | None = None,
    grace: float = GRACE_SECONDS,
    on_crash: OnCrash | None = None,
) -> AsyncIterator[dict[str, ServiceContext]]:
    """Run services on this event loop while the block runs, each with a gRPC server.

    Each listens on its address in `addresses` (default: the settings); port 0 takes a free port.
    All services listen before any of them consumes, so that each knows the addresses of all.
    """
    issuer, verifier = _tokens(settings, clock)
    known = settings.addresses
    host_context = HostContext(
        settings, clock, bus, verifier, issuer, known, on_crash or _end_process
    )
    hosts: list[ServiceHost] = []
    lag: asyncio.Task[None] | None = None
    try:
        for service in services:
            host = ServiceHost(service, host_context)
            hosts.append(host)
            await host.open((addresses or known)[service.name])
        for host in hosts:
            host.start()
        watch = watch_loop([host.server for host in hosts])
        lag = _watched(asyncio.create_task(watch, name="loop lag"), host_context.on_crash)
        log.info("serving", addresses={host.service.name: host.address for host in hosts})
        yield {host.service.name: host.context for host in hosts}
    finally:
        if lag is not None:
            await end_tasks([lag])
        await asyncio.gather(*(host.stop_consuming() for host in hosts))
        await asyncio.gather(*(host.close(grace) for host in hosts))
        log.info("stopped", services=[host.service.name for host in hosts])


def run(service: Service) -> None:
    """The main function of a service: serve until SIGTERM or SIGINT, then shut down."""
    settings = Settings()
    logs.configure(quiet=settings.quiet)
    if not settings.database_of(service.name) or not settings.nats_url:
        sys.exit(
            "Set OIP_DATABASE_URL and OIP_NATS_URL to the servers to use, "
            "or start everything with `python -m services`."
        )
    sys.exit(asyncio.run(_run(service, settings)))


async def _run(service: Service, settings: Settings) -> int:
    crashed: list[str] = []
    stop = stop_signal()

    def on_crash(part: str, _error: BaseException) -> None:
        crashed.append(part)
        stop.set()

    try:
        bus = await connect(settings, service.name)
        async with serving(service, settings, SystemClock(), bus, on_crash=on_crash):
            keep_what_is_loaded()
            await stop.wait()
            arm_watchdog()
        await bus.close()
    except Exception as error:
        log.exception("service_failed", service=service.name, error=str(error))
        return EXIT_FAILED
    return EXIT_FAILED if crashed else 0


def keep_what_is_loaded() -> None:
    """Exclude the objects loaded at the start from garbage collection.

    Each full collection over them delayed all calls by 100 ms.
    """
    gc.collect()
    gc.freeze()


def stop_signal() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def arm_watchdog(seconds: float = WATCHDOG_SECONDS) -> threading.Timer:
    """End the process after `seconds`, even if the event loop hangs."""

    def end() -> None:
        log.error("stop_took_too_long", seconds=seconds)
        os._exit(EXIT_FAILED)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    return timer


def _watched(task: asyncio.Task[None], on_crash: OnCrash) -> asyncio.Task[None]:
    """Report a task that ends before it is cancelled: each should run until then."""

    def ended(done: asyncio.Task[None]) -> None:
        if done.cancelled():
            return
        error = done.exception() or RuntimeError("the task ended before it was cancelled")
        log.error("part_crashed", part=done.get_name(), exc_info=error)
        on_crash(done.get_name(), error)

    task.add_done_callback(ended)
    return task


def _end_process(_part: str, _error: BaseException) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _tokens(settings: Settings, clock: Clock) -> tuple[Issuer | None, Verifier]:
    if settings.environment is Environment.DEV:
        issuer = Issuer.at(settings.signing_key_path, settings.jwks_path, clock)
        return issuer, issuer.verifier()
    return None, Verifier.from_file(settings.jwks_path, clock)


def event_signer(settings: Settings, service: str) -> EventSigner:
    """The signer of a service's events; development makes its key."""
    path = settings.event_key_path(service)
    if settings.environment is Environment.DEV:
        return load_or_make_signer(path, service, settings.event_trust_path)
    return load_signer(path)


def _cipher(settings: Settings) -> ColumnCipher:
    if settings.environment is Environment.DEV:
        return ColumnCipher(load_or_make_keys(settings.keys_path))
    return ColumnCipher(load_keys(settings.keys_path))


def _server_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """TLS if a certificate is set; mutual TLS if an authority is set too."""
    if settings.tls_certificate_file is None or settings.tls_key_file is None:
        return None
    key_pair = (settings.tls_key_file.read_bytes(), settings.tls_certificate_file.read_bytes())
    authority = settings.tls_client_authority_file
    return grpc.ssl_server_credentials(
        [key_pair],
        root_certificates=authority.read_bytes() if authority else None,
        require_client_auth=authority is not None,
    )


def _client_credentials(settings: Settings) -> grpc.ChannelCredentials | None:
    if settings.tls_certificate_file is None or settings.tls_key_file is None:
        return None
    authority = settings.tls_client_authority_file
    return grpc.ssl_channel_credentials(
        root_certificates=authority.read_bytes() if authority else None,
        private_key=settings.tls_key_file.read_bytes(),
        certificate_chain=settings.tls_certificate_file.read_bytes(),
    )
