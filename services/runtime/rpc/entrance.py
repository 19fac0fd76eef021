"""Before a message is read: who has no valid token, or has reached a limit, is refused.

gRPC reads the request of a unary call before it calls a handler, so a caller could hold a call by
sending none. What is refused here holds nothing; what is admitted counts for its tenant until the
call has ended, and ends by itself if no message comes.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import grpc
from grpc_status import rpc_status

from services.kernel.problems import Problem
from services.runtime.base.log import logger
from services.runtime.rpc import access
from services.runtime.rpc.access import Unauthenticated
from services.runtime.rpc.error_status import status_of
from services.runtime.rpc.quotas import LimitReached, Quotas, tenant_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from services.runtime.rpc.staff import Admission

    Context = grpc.aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]
    Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]

log = logger("rpc")

# A tenant at its limit may be refused thousands of times; so often it is logged.
LOG_SECONDS = 10.0

_first_message: ContextVar[asyncio.TimerHandle | None] = ContextVar("first_message", default=None)


def first_message_came() -> None:
    """The request of the call of this task is there; the call may take until its deadline."""
    timer = _first_message.get()
    if timer is not None:
        timer.cancel()


def await_first_message(seconds: float) -> None:
    """End the call of this task unless its request comes in time."""
    task = asyncio.current_task()
    assert task is not None
    _first_message.set(asyncio.get_running_loop().call_later(seconds, task.cancel))


class EntranceInterceptor(grpc.aio.ServerInterceptor):
    """Outermost: admits or refuses a call by its metadata alone."""

    def __init__(self, service: str, admission: Admission, quotas: Quotas) -> None:
        """`service` is the domain of the refusals."""
        self._service = service
        self._admission = admission
        self._quotas = quotas
        self._logged: dict[str, float] = {}

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """The handler, or one that refuses; None for an unknown method."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.split("/")[1] in access.REFLECTION_SERVICES:
            return handler
        task = asyncio.current_task()
        assert task is not None
        try:
            token = self._admission.verify(_bearer(handler_call_details))
            leave = self._quotas.enter(tenant_of(token), is_stream=handler.request_streaming)
        except Problem as problem:
            self._log(problem, method)
            return _refusing(problem, self._service)
        task.add_done_callback(lambda _: leave())
        if not handler.request_streaming:
            await_first_message(self._quotas.limits.first_message_seconds)
        return handler

    def _log(self, problem: Problem, method: str) -> None:
        if not isinstance(problem, LimitReached):
            log.warning("access_refused", method=method, sentence=problem.sentence)
            return
        now = asyncio.get_running_loop().time()
        if now - self._logged.get(problem.sentence, -LOG_SECONDS) >= LOG_SECONDS:
            self._logged = {problem.sentence: now}
            log.warning("limit_reached", method=method, sentence=problem.sentence)


def _bearer(details: grpc.HandlerCallDetails) -> str:
    token = bearer_in(details.invocation_metadata or (), "authorization")
    if not token:
        raise Unauthenticated(what="there is no token")
    return token


def bearer_in(metadata: Iterable[tuple[str, str | bytes]], name: str) -> str:
    """The token in the metadata of this name; empty without any."""
    for key, value in metadata:
        if key == name:
            text = value if isinstance(value, str) else value.decode("ascii", "replace")
            scheme, _, token = text.partition(" ")
            if scheme.lower() == "bearer" and token:
                return token.strip()
    return ""


def _refusing(problem: Problem, service: str) -> Handler:
    """A handler that refuses at once; as a stream, because a unary one would await the request."""
    status = rpc_status.to_status(status_of(problem, service))

    async def refuse(_requests: Any, context: Context) -> None:
        await context.abort_with_status(status)

    return grpc.stream_stream_rpc_method_handler(refuse)
