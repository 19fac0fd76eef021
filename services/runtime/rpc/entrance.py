"""Before a message is read: who has no valid token, or has reached a limit, is refused.

gRPC reads the request of a unary call before it calls a handler, so a caller could hold a call by
sending none. What is refused here holds nothing; what is admitted counts for its tenant until the
call has ended, and ends by itself if no message comes.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import grpc

from services.runtime.rpc.access import CALLER_KEY, Unauthenticated
from services.runtime.rpc.access_reasons import NO_TOKEN
from services.runtime.rpc.quotas import TENANTS_MAX, LimitReached, Quotas, tenant_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from typing import Any

    from services.runtime.rpc.quotas import Tenant
    from services.runtime.rpc.refused_calls import RefusedCalls
    from services.runtime.rpc.staff import Admission
    from services.runtime.rpc.tokens import Token
    from services.runtime.rpc.wrapping import Interceptor

    Handler = grpc.RpcMethodHandler[Any, Any]
    Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]

_first_message: ContextVar[asyncio.TimerHandle | None] = ContextVar("first_message", default=None)


@dataclass(frozen=True, slots=True)
class Presented:
    """What a caller has shown at the entrance: its token, verified but for the certificate."""

    token: Token
    tenant: Tenant
    bearer: str
    # The token of the caller for whom a service asks; not verified, empty without one.
    original_bearer: str


_presented: ContextVar[Presented] = ContextVar("presented")


def presented() -> Presented:
    """What the caller of this task has shown."""
    return _presented.get()


def first_message_came() -> None:
    """The request of the call of this task is there; the call may take until its deadline."""
    timer = _first_message.get()
    if timer is not None:
        timer.cancel()


def await_first_message(task: asyncio.Task[Any], seconds: float) -> None:
    """End the call of a task, which is this one, unless its request comes in time."""
    _first_message.set(task.get_loop().call_later(seconds, task.cancel))


class EntranceInterceptor(grpc.aio.ServerInterceptor):
    """Admits or refuses a call by its metadata alone; behind it are all the other interceptors."""

    def __init__(
        self,
        admission: Admission,
        quotas: Quotas,
        refused: RefusedCalls,
        handlers: Mapping[str, Handler],
        interceptors: Iterable[Interceptor],
    ) -> None:
        """`handlers` are by the full names of their methods; the outermost interceptor first."""
        self._admission = admission
        self._quotas = quotas
        self._refused = refused
        self._handlers = handlers
        self._interceptors = tuple(interceptors)
        self._wrapped: dict[str, Handler] = {}
        self._tenants = lru_cache(maxsize=TENANTS_MAX)(tenant_of)

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """The handler of the method, or one that refuses the call."""
        method = handler_call_details.method
        handler = self._wrapped.get(method) or self._wrap(method)
        if handler is None:  # reflection, or nothing
            handler = await continuation(handler_call_details)
            return handler or self._refused.refuse_unknown(method)
        try:
            bearer, original_bearer = _bearers(handler_call_details.invocation_metadata or ())
            token = self._admission.verify(bearer)
        except Unauthenticated as problem:
            return self._refused.refuse(problem, method)
        tenant = self._tenants(token)
        try:
            leave = self._quotas.enter(tenant, is_stream=handler.request_streaming)
        except LimitReached as problem:
            return self._refused.refuse(problem, method, token, tenant)
        _presented.set(Presented(token, tenant, bearer, original_bearer))
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(leave)
        if not handler.request_streaming:
            await_first_message(task, self._quotas.limits.first_message_seconds)
        return handler

    def _wrap(self, method: str) -> Handler | None:
        """The handler of a method in its interceptors, kept; None for an unknown method."""
        service, _, name = method[1:].rpartition("/")
        handler = None if "." in name else self._handlers.get(f"{service}.{name}")
        if handler is None:
            return None
        for interceptor in reversed(self._interceptors):
            handler = interceptor.wrap(method, handler)
        self._wrapped[method] = handler
        return handler


def _bearers(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[str, str]:
    """The caller's token and that of the one for whom it asks. Raises Unauthenticated."""
    bearer = original_bearer = ""
    for key, value in metadata:
        if key == "authorization":
            bearer = bearer or bearer_in(value)
        elif key == CALLER_KEY:
            original_bearer = original_bearer or bearer_in(value)
    if not bearer:
        raise Unauthenticated(what=NO_TOKEN)
    return bearer, original_bearer


def bearer_in(value: str | bytes) -> str:
    """The token in the value of a metadata; empty without any."""
    text = value if isinstance(value, str) else value.decode("ascii", "replace")
    scheme, _, token = text.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
