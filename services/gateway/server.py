"""The gateway in a process: it listens, says whether it is healthy, and stops."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn

from services.gateway.app import application
from services.gateway.connections import options
from services.gateway.services import Services
from services.gateway.settings import GatewaySettings
from services.runtime.base.log import logger
from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.settings import Settings
from services.runtime.base.tasks import end as end_tasks
from services.runtime.rpc.health_server import HealthServer
from services.runtime.rpc.server import LIVENESS, READINESS
from services.runtime.service.risks import Risks, check_calls
from services.runtime.service.tls import client_credentials, server_credentials

log = logger("gateway")

GRACE_SECONDS = 10
# A caller's connection may be idle for so long; proxies keep theirs for less.
KEEP_ALIVE_SECONDS = 75
STARTED_SECONDS = 10
BACKLOG = 1024


class GatewayAddressError(StartRefusedError):
    """The gateway cannot listen where it should."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(
            f"The gateway cannot listen on {address} ({reason}); set OIP_GATEWAY_ADDRESS, or "
            "OIP_LISTEN_HOST, to a free address of this machine."
        )


@dataclass(frozen=True)
class RunningGateway:
    """Where a gateway is reached: its URL, and `host:port` for probes."""

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


def listen_address(settings: Settings, gateway_settings: GatewaySettings) -> str:
    """Where the gateway listens, unless its caller says otherwise."""
    return gateway_settings.address or settings.default_gateway_address


@asynccontextmanager
async def serving(
    settings: Settings,
    gateway_settings: GatewaySettings,
    addresses: Mapping[str, str],
    *,
    address: str = "",
    on_crash: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGTERM),
) -> AsyncIterator[RunningGateway]:
    """Serve while the block runs. Raises StartRefusedError.

    `addresses` has those of the services; `address` is in place of that of the settings, and port 0
    takes a free one.
    """
    own_address = address or listen_address(settings, gateway_settings)
    host, _, port = own_address.rpartition(":")
    listen = settings.listen_host or host.strip("[]")
    check_calls(Risks(settings), settings, listen)
    server_credentials(settings)  # refuses half of a certificate
    services = Services(addresses, client_credentials(settings), gateway_settings.intake_address)
    listening = _listen(listen, int(port))
    bound_port = listening.getsockname()[1]
    server = _Server(_config(settings, gateway_settings, services))
    health = HealthServer()
    task = asyncio.create_task(server.serve([listening]), name="gateway")
    task.add_done_callback(lambda _: None if server.should_exit else on_crash())
    try:
        health_port = await _start_health(health, listen, settings.health_port_of(int(port)))
        async with asyncio.timeout(STARTED_SECONDS):
            await server.listens.wait()
        health.publish(dict.fromkeys(("", LIVENESS, READINESS), True))
        scheme = "https" if settings.tls_certificate_file else "http"
        running = RunningGateway(f"{scheme}://{host}:{bound_port}", f"{host}:{health_port}")
        log.info("gateway_serving", url=running.url)
        yield running
    finally:
        health.publish({"": False, LIVENESS: True, READINESS: False})
        await _stop(server, task)
        await services.close()
        await health.stop()
        log.info("gateway_stopped")


async def _stop(server: _Server, task: asyncio.Task[None]) -> None:
    """Let running calls end, and then end those that do not."""
    server.should_exit = True
    await asyncio.wait([task], timeout=GRACE_SECONDS + 5)
    await end_tasks([task])


def _config(
    settings: Settings, gateway_settings: GatewaySettings, services: Services
) -> uvicorn.Config:
    key, certificate = settings.tls_key_file, settings.tls_certificate_file
    return uvicorn.Config(
        application(services, gateway_settings),
        log_config=None,
        log_level="error",  # else whoever sends no HTTP writes a line of our log
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_keyfile=str(key) if key else None,
        ssl_certfile=str(certificate) if certificate else None,
        **options(gateway_settings),
    )


def _listen(host: str, port: int) -> socket.socket:
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
        raise GatewayAddressError(f"{host}:{port}", error.strerror or str(error)) from error
    listening.setblocking(False)  # noqa: FBT003 - the socket's own parameter
    return listening


async def _start_health(health: HealthServer, host: str, port: int) -> int:
    try:
        return await health.start(f"{host}:{port}")
    except RuntimeError as error:
        raise GatewayAddressError(f"{host}:{port}", "probes; OIP_HEALTH_PORT sets it") from error
