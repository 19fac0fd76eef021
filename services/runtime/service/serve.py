"""Runs a service: starts, watches and stops its database, relay, listener and gRPC server.

Production runs one service per process (`run`), development and tests run all of them on one event
loop (`serving_all`). If a part fails, the process ends and its orchestrator restarts it: a service
that does not consume or publish must not look alive.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from services.runtime.base import log as logs
from services.runtime.base.clock import Clock, SystemClock
from services.runtime.base.log import logger
from services.runtime.base.settings import Environment, Settings
from services.runtime.base.tasks import end as end_tasks
from services.runtime.rpc.issuers import RereadFile, load_issuers, parse_revoked
from services.runtime.rpc.server import watch_loop
from services.runtime.rpc.tokens import Issuer, Verifier
from services.runtime.service.context import Service, ServiceContext
from services.runtime.service.host import HostContext, OnCrash, ServiceHost, watched
from services.runtime.service.risks import Risks
from services.runtime.service.start_refusals import sentence_of, settings_or_exit

log = logger("serve")

GRACE_SECONDS = 10.0
# After the grace period the process ends even if something still hangs.
WATCHDOG_SECONDS = GRACE_SECONDS + 5
EXIT_FAILED = 1


@asynccontextmanager
async def serving(
    service: Service, settings: Settings, clock: Clock, **options: Any
) -> AsyncIterator[ServiceContext]:
    """Run one service while the block runs; see `serving_all` for the options."""
    async with serving_all([service], settings, clock, **options) as contexts:
        yield contexts[service.name]


@asynccontextmanager
async def serving_all(
    services: Iterable[Service],
    settings: Settings,
    clock: Clock,
    *,
    addresses: Mapping[str, str] | None = None,
    grace: float = GRACE_SECONDS,
    on_crash: OnCrash | None = None,
    compares: bool = True,
) -> AsyncIterator[dict[str, ServiceContext]]:
    """Run services on this event loop while the block runs, each with a gRPC server.

    Each listens on its address in `addresses` (default: the settings); port 0 takes a free port.
    All services listen before any of them consumes, so that each knows the addresses of all.
    """
    issuer, verifier = _tokens(settings, clock)
    known = settings.addresses
    host_context = HostContext(
        settings,
        clock,
        verifier,
        issuer,
        known,
        on_crash or _end_process,
        Risks(settings),
        compares,
    )
    hosts: list[ServiceHost] = []
    lag: asyncio.Task[None] | None = None
    try:
        for service in services:
            host = ServiceHost(service, host_context)
            hosts.append(host)
            await host.open((addresses or known)[service.name])
        await asyncio.gather(*(host.compare() for host in hosts))
        for host in hosts:
            host.start()
        watch = watch_loop([host.server for host in hosts])
        lag = watched(asyncio.create_task(watch, name="loop lag"), host_context.on_crash)
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
    settings = settings_or_exit()
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
        allow_open_files()
        async with serving(service, settings, SystemClock(), on_crash=on_crash):
            keep_what_is_loaded()
            await stop.wait()
            arm_watchdog()
    except Exception as error:
        sentence = sentence_of(error, settings, service.name)
        if sentence is None:
            log.exception("service_failed", service=service.name, error=str(error))
        else:
            sys.stderr.write(f"{sentence}\n")
        return EXIT_FAILED
    return EXIT_FAILED if crashed else 0


def allow_open_files() -> None:
    """As many files as the system grants: each connection takes one, also one that says nothing."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


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


def _end_process(_part: str, _error: BaseException) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _tokens(settings: Settings, clock: Clock) -> tuple[Issuer | None, Verifier]:
    if settings.environment is Environment.DEV:
        issuer = Issuer.at(settings.signing_key_path, settings.jwks_path, clock)
        return issuer, issuer.verifier()
    file = settings.revoked_tokens_file
    revoked = RereadFile(file, parse_revoked) if file is not None else None
    return None, Verifier(load_issuers(settings.issuers_path), clock, revoked)
