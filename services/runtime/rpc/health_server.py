"""Answers the probes of an orchestrator, on a port of its own: `Check` alone, without a token.

What callers do to the service's port changes nothing here, and probes need no certificate. The port
is for the machine and its orchestrator; nobody else has to reach it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.runtime.rpc.entrance import await_first_message, first_message_came

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

CONCURRENT_RPCS_MAX = 64
FIRST_MESSAGE_SECONDS = 1.0
OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", 1024),
    ("grpc.max_concurrent_streams", 8),
    ("grpc.server_handshake_timeout_ms", 5_000),
    ("grpc.max_connection_idle_ms", 30_000),
    ("grpc.max_connection_age_ms", 5 * 60_000),
    ("grpc.max_connection_age_grace_ms", 1_000),
    ("grpc.so_reuseport", 0),
)


class HealthServer:
    """The states by name, as last published."""

    def __init__(self) -> None:
        self._states: Mapping[str, bool] = {}
        self._grpc = grpc.aio.server(
            interceptors=[_FirstMessage()],
            options=OPTIONS,
            maximum_concurrent_rpcs=CONCURRENT_RPCS_MAX,
        )
        health_pb2_grpc.add_HealthServicer_to_server(_Api(self), self._grpc)

    async def start(self, address: str) -> int:
        """Listen and return the port. Raises RuntimeError if the address cannot be used."""
        port = self._grpc.add_insecure_port(address)
        await self._grpc.start()
        return port

    def publish(self, states: Mapping[str, bool]) -> None:
        """Whether each name is serving."""
        self._states = states

    def state(self, name: str) -> bool | None:
        """Whether a name is serving; None for a name that is not known."""
        return self._states.get(name)

    async def stop(self) -> None:
        """Refuse probes from now on."""
        await self._grpc.stop(0)


class _Api(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # the package has no types
    """`Watch` stays unimplemented: a watch would hold a call for as long as its caller likes."""

    def __init__(self, server: HealthServer) -> None:
        self._server = server

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> health_pb2.HealthCheckResponse:
        """The state of a name."""
        first_message_came()
        is_serving = self._server.state(request.service)
        if is_serving is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such name")
        answer = health_pb2.HealthCheckResponse
        return answer(status=answer.SERVING if is_serving else answer.NOT_SERVING)


class _FirstMessage(grpc.aio.ServerInterceptor):
    """A probe that sends no request holds its call for a second."""

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        task = asyncio.current_task()
        assert task is not None
        await_first_message(task, FIRST_MESSAGE_SECONDS)
        return await continuation(handler_call_details)
