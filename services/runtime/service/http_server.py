"""An HTTP application in a process: it listens, says whether it is healthy, and stops."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette

from services.runtime.base.log import logger
from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.settings import Settings
from services.runtime.base.tasks import end as end_tasks
from services.runtime.rpc.health_server import HealthServer
from services.runtime.rpc.server import LIVENESS, READINESS
from services.runtime.service.http_connections import HttpLimits, options
from services.runtime.service.risks import Risks, check_calls
from services.runtime.service.tls import server_credentials

log = logger("http")

GRACE_SECONDS = 10
# A caller's connection may be idle for so long; proxies keep theirs for less.
KEEP_ALIVE_SECONDS = 75
STARTED_SECONDS = 10
BACKLOG = 1024


class HttpAddressError(StartRefusedError):
    """The server cannot listen where it should."""

    def __init__(self, name: str, address: str, reason: str) -> None:
        super().__init__(
            f"The {name} cannot listen on {address} ({reason}); set OIP_{name.upper()}_ADDRESS, or "
            "OIP_LISTEN_HOST, to a free address of this machine."
        )


@dataclass(frozen=True)
class RunningHttp:
    """Where a server is reached: its URL, and `host:port` for probes."""

    url: str
    health_address: str


class _Server(uvicorn.Server):
    """Signals belong to the process, which may run more than this server."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving_http(
    name: str,
    application: Starlette,
    settings: Settings,
    limits: HttpLimits,
    address: str,
    *,
    on_crash: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGTERM),
) -> AsyncIterator[RunningHttp]:
    """Serve while the block runs. Raises StartRefusedError.

    `name` is that of the process, `address` its `host:port`, of which port 0 takes a free one.
    """
    host, _, port = address.rpartition(":")
    listen = settings.listen_host or host.strip("[]")
    check_calls(Risks(settings), settings, listen)
    server_credentials(settings)  # refuses half of a certificate
    listening = _listen(name, listen, int(port))
    bound_port = listening.getsockname()[1]
    server = _Server(_config(settings, limits, application))
    health = HealthServer()
    task = asyncio.create_task(server.serve([listening]), name=name)
    task.add_done_callback(lambda _: None if server.should_exit else on_crash())
    try:
        health_port = await _start_health(name, health, listen, settings.health_port_of(int(port)))
        async with asyncio.timeout(STARTED_SECONDS):
            await server.listens.wait()
        health.publish(dict.fromkeys(("", LIVENESS, READINESS), True))
        scheme = "https" if settings.tls_certificate_file else "http"
        running = RunningHttp(f"{scheme}://{host}:{bound_port}", f"{host}:{health_port}")
        log.info("http_serving", server=name, url=running.url)
        yield running
    finally:
        health.publish({"": False, LIVENESS: True, READINESS: False})
        await _stop(server, task)
        await health.stop()
        log.info("http_stopped", server=name)


async def _stop(server: _Server, task: asyncio.Task[None]) -> None:
    """Let running calls end, and then end those that do not."""
    server.should_exit = True
    await asyncio.wait([task], timeout=GRACE_SECONDS + 5)
    await end_tasks([task])


def _config(settings: Settings, limits: HttpLimits, application: Starlette) -> uvicorn.Config:
    key, certificate = settings.tls_key_file, settings.tls_certificate_file
    return uvicorn.Config(
        application,
        log_config=None,
        log_level="error",  # else whoever sends no HTTP writes a line of our log
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_keyfile=str(key) if key else None,
        ssl_certfile=str(certificate) if certificate else None,
        **options(limits),
    )


def _listen(name: str, host: str, port: int) -> socket.socket:
    """A listening socket. Its protocol is named, because asyncio sets TCP_NODELAY only then.

    Without it every answer waits 40 ms for an acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise HttpAddressError(name, f"{host}:{port}", error.strerror or str(error)) from error
    listening.setblocking(False)  # noqa: FBT003 - the socket's own parameter
    return listening


async def _start_health(name: str, health: HealthServer, host: str, port: int) -> int:
    try:
        return await health.start(f"{host}:{port}")
    except RuntimeError as error:
        raise HttpAddressError(name, f"{host}:{port}", "probes; OIP_HEALTH_PORT sets it") from error
