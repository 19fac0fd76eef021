"""The gRPC server of a service: its options, health, reflection, and how it stops.

The server options are defined here, the channel options in `client.py`. gRPC silently ignores an
option it does not know, so a test covers the effect of each.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from services.runtime.base.log import logger
from services.runtime.rpc.access import OPEN_SERVICES, unruled_methods
from services.runtime.rpc.interceptors import (
    AccessInterceptor,
    DeadlineInterceptor,
    ErrorInterceptor,
)
from services.runtime.rpc.limits import MESSAGE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from services.runtime.rpc.tokens import Verifier

log = logger("rpc")

CONCURRENT_RPCS_MAX = 256
CONNECTION_AGE_MS = 30 * 60 * 1000
LAG_LIMIT_SECONDS = 1.0
LAG_CHECK_SECONDS = 0.25

SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_concurrent_streams", 100),
    # The default closes connections of clients that ping more than twice in five minutes.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    # Old connections end, so that a new replica gets its share of the callers.
    ("grpc.max_connection_age_ms", CONNECTION_AGE_MS),
    ("grpc.max_connection_age_grace_ms", 10 * 60 * 1000),
    # Two processes must not share a port.
    ("grpc.so_reuseport", 0),
)


class MethodWithoutAccessRule(Exception):  # noqa: N818 - it names a fault of the proto
    """A served method has no access option; the server does not start."""


class AddressTakenError(RuntimeError):
    """Another process listens on the address of this service."""

    def __init__(self, service: str, address: str) -> None:
        super().__init__(
            f"The {service} service cannot listen on {address}; stop the process that listens "
            f"there, or set OIP_{service.upper()}_ADDRESS to another address."
        )


class RpcServer:
    """One gRPC server of one service. Register servicers on `registrar`, then start."""

    def __init__(
        self,
        service: str,
        verifier: Verifier,
        *,
        reflect: bool = False,
        concurrent_rpcs_max: int = CONCURRENT_RPCS_MAX,
    ) -> None:
        """Set up the server with its interceptors; nothing listens yet."""
        self._service = service
        self._reflect = reflect
        self._served: list[str] = []
        self._grpc = grpc.aio.server(
            interceptors=[
                ErrorInterceptor(service),
                AccessInterceptor(verifier),
                DeadlineInterceptor(),
            ],
            options=SERVER_OPTIONS,
            maximum_concurrent_rpcs=concurrent_rpcs_max,
        )
        self._health = health_aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.registrar)

    @property
    def registrar(self) -> grpc.aio.Server:
        """The argument for the generated `add_...Servicer_to_server` functions."""
        return cast("grpc.aio.Server", _Registrar(self._grpc, self._served.append))

    async def start(self, address: str, credentials: grpc.ServerCredentials | None = None) -> int:
        """Listen on `host:port` and return the port; port 0 takes a free one.

        Raises MethodWithoutAccessRule if a served method has no access rule, and
        AddressTakenError if the port is not free.
        """
        unruled = unruled_methods(name for name in self._served if name not in OPEN_SERVICES)
        if unruled:
            message = f"no access rule on {', '.join(unruled)}; add (oip.type.v1.access)"
            raise MethodWithoutAccessRule(message)
        if self._reflect:
            names = (*self._served, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self._grpc)
        try:
            if credentials is None:
                port = self._grpc.add_insecure_port(address)
            else:
                port = self._grpc.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise AddressTakenError(self._service, address) from error
        await self._grpc.start()
        await self.set_serving(serving=True)
        return port

    async def set_serving(self, *, serving: bool) -> None:
        """Publish in the health service whether clients should send calls here."""
        answer = health_pb2.HealthCheckResponse
        state = answer.SERVING if serving else answer.NOT_SERVING
        for name in ("", *self._served):
            await self._health.set(name, state)

    async def stop(self, grace: float) -> None:
        """Refuse new calls, give running ones `grace` seconds, then end them."""
        await self._health.enter_graceful_shutdown()
        await self._grpc.stop(grace)


class _Registrar:
    """Passes handlers to the server and records the names of their services."""

    def __init__(self, server: grpc.aio.Server, served: Callable[[str], None]) -> None:
        self._server = server
        self._served = served

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        added = tuple(handlers)
        for handler in added:
            self._served(cast("grpc.ServiceRpcHandler", handler).service_name())
        self._server.add_generic_rpc_handlers(added)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Any) -> None:
        self._server.add_registered_method_handlers(service_name, method_handlers)


async def watch_loop(servers: Iterable[RpcServer], limit: float = LAG_LIMIT_SECONDS) -> None:
    """Set health to NOT_SERVING while the event loop is blocked, and back to SERVING afterwards.

    Keepalive does not detect a blocked loop, because gRPC's core answers pings itself.
    """
    loop = asyncio.get_running_loop()
    watched, serving = list(servers), True
    while True:
        before = loop.time()
        await asyncio.sleep(LAG_CHECK_SECONDS)
        lag = loop.time() - before - LAG_CHECK_SECONDS
        healthy = lag <= limit
        if healthy != serving:
            serving = healthy
            log.warning("loop_lag", lag_seconds=round(lag, 3), serving=serving)
            for server in watched:
                await server.set_serving(serving=serving)
