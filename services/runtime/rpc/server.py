"""The gRPC server of a service: its options, interceptors, health, and how it stops.

The server options are defined here, the channel options in `client.py`. gRPC silently ignores an
option it does not know, so a test covers the effect of each.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from typing import TYPE_CHECKING, Any, cast

import grpc
from grpc_reflection.v1alpha import reflection

from services.runtime.base.clock import Clock, SystemClock, today
from services.runtime.base.log import logger
from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.tenant_limits import Limits
from services.runtime.rpc.access import OPERATIONS_SERVICE, unruled_methods
from services.runtime.rpc.entrance import EntranceInterceptor
from services.runtime.rpc.health_server import HealthServer
from services.runtime.rpc.interceptors import (
    AccessInterceptor,
    BoundsInterceptor,
    DeadlineInterceptor,
    ErrorInterceptor,
    PersonalDataInterceptor,
    SilenceInterceptor,
    StandingInterceptor,
)
from services.runtime.rpc.limits import MESSAGE_BYTES_MAX
from services.runtime.rpc.quotas import Quotas
from services.runtime.rpc.refused_calls import Connections, RefusedCalls

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from services.runtime.rpc.staff import Admission

log = logger("rpc")

# Calls on their way in or out, besides those that are admitted or held.
CALLS_BESIDES = 256
CONNECTION_AGE_MS = 30 * 60 * 1000
HANDSHAKE_MS = 10 * 1000
IDLE_MS = 10 * 60 * 1000
LAG_LIMIT_SECONDS = 1.0

# The names in the health service besides those of the served services, which are as `readiness`.
# The empty name is all of them together.
LIVENESS = "liveness"  # the process runs; restart it if not
READINESS = "readiness"  # calls can be answered
DELIVERY = "delivery"  # events are published and consumed in time
LAG_CHECK_SECONDS = 0.25

# The process answers for these even if its database is behind.
_SERVED_ALWAYS = frozenset({OPERATIONS_SERVICE})

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
    # Each connection takes one of the files that a process may have open: one on which nobody
    # speaks HTTP/2 ends soon, one without calls after a while.
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
    ("grpc.max_connection_idle_ms", IDLE_MS),
    # Old connections end, so that a new replica gets its share of the callers.
    ("grpc.max_connection_age_ms", CONNECTION_AGE_MS),
    ("grpc.max_connection_age_grace_ms", 10 * 60 * 1000),
    # Two processes must not share a port.
    ("grpc.so_reuseport", 0),
)


_MACHINE_CLOCK = SystemClock()


class MethodWithoutAccessRule(Exception):  # noqa: N818 - it names a fault of the proto
    """A served method has no access option; the server does not start."""


class AddressTakenError(StartRefusedError):
    """Another process listens on the address of this service."""

    def __init__(self, service: str, address: str, setting: str) -> None:
        super().__init__(
            f"The {service} service cannot listen on {address}; stop the process that listens "
            f"there, or set {setting} to another one."
        )


class NoSuchAddressError(StartRefusedError):
    """The address of this service is none of this machine."""

    def __init__(self, service: str, address: str, reason: str) -> None:
        super().__init__(
            f"The {service} service cannot listen on {address} ({reason}); set "
            f"OIP_{service.upper()}_ADDRESS, or OIP_LISTEN_HOST, to an address of this machine."
        )


class RpcServer:
    """One gRPC server of one service. Register servicers on `registrar`, then start."""

    def __init__(
        self,
        service: str,
        admission: Admission,
        *,
        reflect: bool = False,
        require_current: Callable[[], None] = lambda: None,
        record_reading: Callable[[Any], Awaitable[None]] | None = None,
        clock: Clock = _MACHINE_CLOCK,
        limits: Limits | None = None,
    ) -> None:
        """Set up the server with its interceptors; nothing listens yet.

        `require_current` raises while nothing may be changed; `record_reading(request)`
        records that personal data was shown.
        """
        self._service = service
        self._reflect = reflect
        self._served: list[str] = []
        # The handlers of the registered methods, by full name.
        self.handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        self._serves_changes = True
        limits = limits or Limits()
        connections = Connections()
        self._refused = RefusedCalls(service, limits, connections)
        self._grpc = grpc.aio.server(
            interceptors=[
                EntranceInterceptor(
                    admission,
                    Quotas(limits, time.monotonic),
                    self._refused,
                    self.handlers,
                    [
                        ErrorInterceptor(service),
                        AccessInterceptor(admission, connections),
                        DeadlineInterceptor(),
                        BoundsInterceptor(lambda: today(clock)),
                        SilenceInterceptor(limits),
                        StandingInterceptor(require_current),
                        *([PersonalDataInterceptor(record_reading)] if record_reading else []),
                    ],
                )
            ],
            options=SERVER_OPTIONS,
            maximum_concurrent_rpcs=limits.calls + limits.held_calls + CALLS_BESIDES,
        )
        self._is_serving = False
        self._is_ready = True
        self._delivers = True
        self._health = HealthServer()
        self.health_port = 0

    @property
    def registrar(self) -> grpc.aio.Server:
        """The argument for the generated `add_...Servicer_to_server` functions."""
        return cast("grpc.aio.Server", _Registrar(self._grpc, self._served, self.handlers))

    async def start(
        self,
        address: str,
        credentials: grpc.ServerCredentials | None = None,
        *,
        health_address: str = "127.0.0.1:0",
    ) -> int:
        """Listen on `host:port` and return the port; port 0 takes a free one.

        Probes are answered on `health_address`, whose port is `health_port` then.

        Raises MethodWithoutAccessRule if a served method has no access rule, and
        AddressTakenError or NoSuchAddressError if it cannot listen there.
        """
        unruled = unruled_methods(self._served)
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
            setting = f"OIP_{self._service.upper()}_ADDRESS"
            raise _why_not_bound(self._service, address, setting) from error
        try:
            self.health_port = await self._health.start(health_address)
        except RuntimeError as error:
            raise _why_not_bound(self._service, health_address, "OIP_HEALTH_PORT") from error
        await self._grpc.start()
        self.set_serving(serving=True)
        return port

    def set_serving(self, *, serving: bool) -> None:
        """Publish in the health service whether the process can do anything at all."""
        self._is_serving = serving
        self._publish_health()

    def set_health(self, *, ready: bool, delivers: bool) -> None:
        """Publish whether calls can be answered, and whether events are delivered in time."""
        self._is_ready, self._delivers = ready, delivers
        self._publish_health()

    def _publish_health(self) -> None:
        ready = self._is_serving and self._is_ready
        states = {
            "": ready and self._delivers,
            LIVENESS: self._is_serving,
            READINESS: ready,
            DELIVERY: self._is_serving and self._delivers,
            **{
                name: ready and (self._serves_changes or name in _SERVED_ALWAYS)
                for name in self._served
            },
        }
        self._health.publish(states)

    def set_serves_changes(self, *, serves: bool) -> None:
        """Publish NOT_SERVING for the service's own methods while it refuses changes."""
        self._serves_changes = serves
        self._publish_health()

    async def stop(self, grace: float) -> None:
        """Refuse new calls, give running ones `grace` seconds, then end them."""
        self.set_serving(serving=False)
        self._refused.close()
        await self._grpc.stop(grace)
        await self._health.stop()


def _why_not_bound(service: str, address: str, setting: str) -> StartRefusedError:
    """What is wrong with an address; gRPC has one error for all reasons."""
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        for family, kind, protocol, _, place in found:
            with socket.socket(family, kind, protocol) as probe:
                probe.bind(place)
    except (OSError, ValueError) as error:
        if not isinstance(error, OSError) or error.errno != errno.EADDRINUSE:
            return NoSuchAddressError(service, address, str(error))
    return AddressTakenError(service, address, setting)


class _Registrar:
    """Passes handlers to the server, and records them and the names of their services.

    What is served is what is recorded. gRPC needs the names: it takes in the calls of each
    registered method one by one, and so a flood of calls of one method does not delay another.
    """

    def __init__(
        self,
        server: grpc.aio.Server,
        served: list[str],
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]],
    ) -> None:
        self._server = server
        self._served = served
        self._handlers = handlers

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        self._served += (cast("grpc.ServiceRpcHandler", each).service_name() for each in handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Any) -> None:
        for method, handler in method_handlers.items():
            self._handlers[f"{service_name}.{method}"] = handler
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
                server.set_serving(serving=serving)
