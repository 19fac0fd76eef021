"""The interceptors of every server: errors, access, deadlines, from the outermost inwards.

Each is a context manager around the handler, so that one implementation serves the four streaming
kinds. The outermost also wraps the deserialiser, because gRPC would send the class and text of its
exceptions to the caller.
"""

from __future__ import annotations

import asyncio
import inspect
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import grpc
from grpc_status import rpc_status

from services.kernel.problems import Kind, Problem
from services.runtime.base.log import logger
from services.runtime.rpc import access, limits
from services.runtime.rpc.access import Unauthenticated
from services.runtime.rpc.error_status import (
    Unreadable,
    as_problem,
    is_unavailable,
    log_fields,
    status_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from services.runtime.rpc.tokens import Verifier

    Context = grpc.aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]
    Around = Callable[[Context], AbstractAsyncContextManager[None]]
    Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]

log = logger("rpc")

# gRPC rounds `grpc-timeout` up, by up to ten seconds in an hour: a deadline equal to the cap
# arrives slightly above it.
DEADLINE_SLACK_SECONDS = 1.0
DEADLINE_SLACK_SHARE = 0.01


class DeadlineMissing(Problem):
    """The call has no deadline."""

    kind, reason = Kind.MALFORMED, "DEADLINE_MISSING"
    message = "The call has no deadline; set one of at most {most_seconds} seconds."
    message_zh = "请求未设置超时时间; 请设置不超过 {most_seconds} 秒的超时。"


class DeadlineTooLong(Problem):
    """The call has a deadline beyond what the method allows."""

    kind, reason = Kind.MALFORMED, "DEADLINE_TOO_LONG"
    message = "The call's deadline is too long; set one of at most {most_seconds} seconds."
    message_zh = "请求超时时间过长; 请设置不超过 {most_seconds} 秒的超时。"


class _Unreadable:
    """Placeholder for a message that could not be deserialised, until a handler reads it."""


class _Interceptor(grpc.aio.ServerInterceptor):
    """Wraps a method's handler at its first call and caches it: handlers do not change."""

    def __init__(self) -> None:
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """The handler, wrapped; None for an unknown method, which gRPC answers UNIMPLEMENTED."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        if method not in self._wrapped:
            self._wrapped[method] = self._wrap(method, handler)
        return self._wrapped[method]

    def _wrap(self, method: str, handler: Handler) -> Handler:
        raise NotImplementedError


class ErrorInterceptor(_Interceptor):
    """Outermost: every exception leaves as a google.rpc.Status with a fixed text."""

    def __init__(self, service: str) -> None:
        """`service` is the domain of the errors in its responses."""
        super().__init__()
        self._service = service

    def _wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap the handler and its deserialiser."""

        @asynccontextmanager
        async def answering(context: Context) -> AsyncIterator[None]:
            began = asyncio.get_running_loop().time()
            try:
                yield
                _log_answer(method, began)
            except grpc.aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001 - the one place that maps every exception
                _log(error, method, self._service)
                status = rpc_status.to_status(status_of(error, self._service))
                await context.abort_with_status(status)

        return _surround(handler, answering, read=_reading)


class AccessInterceptor(_Interceptor):
    """Checks the token and the method's access rule; sets the caller."""

    def __init__(self, verifier: Verifier) -> None:
        """Accept the tokens that this verifier accepts."""
        super().__init__()
        self._verifier = verifier

    def _wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap the handler unless its service is open to callers without a token."""
        if method.split("/")[1] in access.OPEN_SERVICES | access.REFLECTION_SERVICES:
            return handler

        rule = access.rule_of(method)

        @asynccontextmanager
        async def permitted(context: Context) -> AsyncIterator[None]:
            who = self._verifier.verify(_bearer(context))
            access.require_allowed(rule, who)
            access.set_caller(who)
            yield

        return _surround(handler, permitted)


class DeadlineInterceptor(_Interceptor):
    """Refuses calls without a deadline, or with one beyond the method's cap."""

    exempt: ClassVar = access.OPEN_SERVICES | access.REFLECTION_SERVICES

    def _wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap the handler; health watches and reflection may last longer."""
        exempt = method.split("/")[1] in self.exempt
        cap = access.deadline_cap(access.rule_of(method))

        @asynccontextmanager
        async def in_time(context: Context) -> AsyncIterator[None]:
            left: float | None = context.time_remaining()
            if left is None and not exempt:
                raise DeadlineMissing(field="deadline", most_seconds=cap)
            if left is not None and not exempt:
                if left > cap * (1 + DEADLINE_SLACK_SHARE) + DEADLINE_SLACK_SECONDS:
                    raise DeadlineTooLong(field="deadline", most_seconds=cap)
                limits.set_seconds_left(left)
            yield

        return _surround(handler, in_time, take=_kind_of_reading(handler))


def _bearer(context: Context) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            text = value if isinstance(value, str) else value.decode("ascii", "replace")
            scheme, _, token = text.partition(" ")
            if scheme.lower() == "bearer" and token:
                return token.strip()
    raise Unauthenticated(what="there is no token")


def _log_answer(method: str, began: float) -> None:
    """Log the caller of each answered call, because reads of personal data must be traceable."""
    if method.split("/")[1] not in access.OPEN_SERVICES:
        seconds = round(asyncio.get_running_loop().time() - began, 4)
        log.info("call_answered", method=method, subject=access.caller_name(), seconds=seconds)


def _log(error: Exception, method: str, service: str) -> None:
    problem = as_problem(error, service)
    if problem is not None:
        log.info("call_refused", method=method, reason=problem.reason)
    elif is_unavailable(error):
        log.warning("call_unavailable", method=method, error=type(error).__name__)
    else:
        log.error("call_failed", method=method, **log_fields(error))


def _unchanged(value: Any) -> Any:
    return value


def _surround(
    handler: Handler,
    around: Around,
    *,
    read: Callable[[Any], Any] = _unchanged,
    take: Callable[[Any], Any] = _unchanged,
) -> Handler:
    """A handler of the same streaming kind whose behaviour runs inside `around`.

    `read` wraps the deserialiser, `take` the request or the stream of requests.
    """
    build, behaviour = _kind(handler)
    deserializer = read(handler.request_deserializer)

    async def single(request: Any, context: Context) -> Any:
        async with around(context):
            return await behaviour(take(request), context)

    async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
        async with around(context):
            answers = behaviour(take(request), context)
            if inspect.isawaitable(answers):  # the handler writes to the context directly
                await answers
                return
            async with aclosing(answers):
                async for answer in answers:
                    yield answer

    return build(  # type: ignore[no-any-return]
        stream if handler.response_streaming else single,
        request_deserializer=deserializer,
        response_serializer=handler.response_serializer,
    )


def _kind(handler: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The function that builds a handler of this kind, and the handler's behaviour."""
    if handler.request_streaming:
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler, handler.stream_stream
        return grpc.stream_unary_rpc_method_handler, handler.stream_unary
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler, handler.unary_stream
    return grpc.unary_unary_rpc_method_handler, handler.unary_unary


def _kind_of_reading(handler: Handler) -> Callable[[Any], Any]:
    """Refuses unreadable messages; innermost, so that only authorised callers learn of it."""
    return _readable_stream if handler.request_streaming else _readable


def _reading(deserializer: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def read(raw: bytes) -> Any:
        try:
            return deserializer(raw)
        except Exception:  # noqa: BLE001 - any exception of a library on bad bytes
            return _Unreadable()

    return read


def _readable(request: Any) -> Any:
    if isinstance(request, _Unreadable):
        raise Unreadable(field="request")
    return request


async def _readable_stream(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _readable(request)
