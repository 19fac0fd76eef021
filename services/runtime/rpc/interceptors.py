"""The interceptors of every server, from the outermost inwards: errors, access, deadlines, bounds.

Each wraps the handler of a method once, behind the entrance (entrance.py), whatever its streaming
kind. The outermost also wraps the deserialiser, because gRPC would send the class and text of its
exceptions to the caller.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import grpc
from grpc_status import rpc_status

from services.kernel.problems import Kind, Problem
from services.runtime.base.log import logger
from services.runtime.rpc import access, bounds, limits
from services.runtime.rpc.certificates import thumbprint
from services.runtime.rpc.entrance import first_message_came, presented
from services.runtime.rpc.error_status import (
    Unreadable,
    as_problem,
    is_unavailable,
    log_fields,
    status_of,
)
from services.runtime.rpc.refused_calls import NO_OTHER_TRY
from services.runtime.rpc.silence import Patience
from services.runtime.rpc.wrapping import (
    Interceptor,
    after,
    checked,
    kind,
    rebuilt,
    surround,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from types import TracebackType

    from services.runtime.base.tenant_limits import Limits
    from services.runtime.rpc.refused_calls import Connections
    from services.runtime.rpc.staff import Admission

    Context = grpc.aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]

log = logger("rpc")

# gRPC rounds `grpc-timeout` up, by up to ten seconds in an hour: a deadline equal to the cap
# arrives slightly above it.
DEADLINE_SLACK_SECONDS = 1.0
DEADLINE_SLACK_SHARE = 0.01
# Of each method, whose reach is kept.
CALLERS_MAX = 256
# Above the longest wait before a second or third try (service_config.py).
LAST_TRY_SECONDS = 0.5


class DeadlineMissing(Problem):
    """A service has set no deadline for its call."""

    kind, reason = Kind.MALFORMED, "DEADLINE_MISSING"
    message = "The call has no deadline; set one of at most {most_seconds} seconds."
    message_zh = "请求未设置超时时间; 请设置不超过 {most_seconds} 秒的超时。"


class DeadlinePassed(Problem):
    """A call without a deadline took longer than its method may take."""

    kind, reason = Kind.TOO_LATE, "DEADLINE_PASSED"
    message = "There was no answer within {most_seconds} seconds; repeat the same request."
    message_zh = "{most_seconds} 秒内未完成; 请以相同的请求重试。"


class DeadlineTooLong(Problem):
    """The call has a deadline beyond what the method allows."""

    kind, reason = Kind.MALFORMED, "DEADLINE_TOO_LONG"
    message = "The call's deadline is too long; set one of at most {most_seconds} seconds."
    message_zh = "请求超时时间过长; 请设置不超过 {most_seconds} 秒的超时。"


class _Unreadable:
    """Placeholder for a message that could not be deserialised, until a handler reads it."""


class ErrorInterceptor(Interceptor):
    """Outermost: every exception leaves as a google.rpc.Status with a fixed text."""

    def __init__(self, service: str) -> None:
        """`service` is the domain of the errors in its responses."""
        self._service = service

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap the handler and its deserialiser."""
        return surround(handler, partial(_Answering, self._service, method), read=_reading)


class _Answering:
    """One call: logs that it was answered, or sends the status of its exception."""

    def __init__(self, service: str, method: str, context: Context) -> None:
        self._service = service
        self._method = method
        self._context = context
        self._began = time.monotonic()

    async def __aenter__(self) -> None:
        first_message_came()

    async def __aexit__(
        self, _kind: object, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if error is None:
            _log_answer(self._method, self._began)
        elif isinstance(error, Exception) and not isinstance(error, grpc.aio.AbortError):
            _log(error, self._method, self._service, str(self._context.peer()))
            status = rpc_status.to_status(status_of(error, self._service))
            await self._context.abort(status.code, status.details, _trailing(status))


class AccessInterceptor(Interceptor):
    """Checks certificate, staff register and the method's access rule; sets the caller."""

    def __init__(self, admission: Admission, connections: Connections) -> None:
        """Admit the callers that `admission` admits; note on which connections they call."""
        self._admission = admission
        self._connections = connections

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap the handler."""
        rule = access.rule_of(method)
        # What a rule leaves of a caller is always the same.
        allowed = lru_cache(maxsize=CALLERS_MAX)(partial(access.require_allowed, rule))

        async def permit(context: Context) -> None:
            shown = presented()
            tokens = [shown.token]
            self._connections.note(context.peer(), shown.tenant)
            try:
                self._admission.require_bound(shown.token, _certificate(context))
                who = allowed(await self._admission.caller(shown.token, rule))
                if rule is not None and shown.original_bearer:
                    # The certificate of the connection is the service's and does not bind this one.
                    tokens.append(self._admission.verify(shown.original_bearer))
                    original = await self._admission.original(tokens[1], rule)
                    who = access.on_behalf(rule, who, original)
            except Problem as problem:
                log.warning(
                    "access_refused",
                    method=method,
                    reason=problem.reason,
                    sentence=problem.sentence,
                    subject=tokens[-1].subject,
                    issuer=tokens[-1].issuer,
                    peer=context.peer(),
                )
                raise
            access.set_caller(who)
            own = "" if who.is_service else shown.bearer
            access.set_original_token(shown.original_bearer or own)

        return after(handler, permit)


class StandingInterceptor(Interceptor):
    """Refuses changes while the service's database is behind what it has published."""

    def __init__(self, require_current: Callable[[], None]) -> None:
        """`require_current` raises the refusal."""
        self._require_current = require_current

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap the handlers of changes; operations stay, because they bring the database back."""
        if method.split("/")[1] == access.OPERATIONS_SERVICE or not access.is_change(method):
            return handler

        def current(request: Any, _context: Context) -> Any:
            self._require_current()
            return request

        return checked(handler, current)


class PersonalDataInterceptor(Interceptor):
    """Records who was shown personal data, before the answer leaves.

    A service that asks writes no row: the one that shows the answer to a person does.
    """

    def __init__(self, record: Callable[[Any], Awaitable[None]]) -> None:
        """`record(request)` writes the row for the caller of this task."""
        self._record = record

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap the handlers of methods that take one request and show personal data."""
        rule = access.rule_of(method)
        if rule is None or not rule.shows_personal_data:
            return handler
        _, behaviour = kind(handler)

        async def single(request: Any, context: Context) -> Any:
            answer = await behaviour(request, context)
            if not access.caller().is_service:
                await self._record(request)
            return answer

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            if not access.caller().is_service:
                await self._record(request)
            async with aclosing(behaviour(request, context)) as answers:
                async for answer in answers:
                    yield answer

        return rebuilt(handler, single, stream)


class DeadlineInterceptor(Interceptor):
    """Refuses deadlines beyond the method's cap, and services that set none.

    Tools of people, such as `buf curl`, set no deadline: their calls may take as long as the cap.
    """

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap the handler."""
        cap = access.deadline_cap(access.rule_of(method))
        longest = cap * (1 + DEADLINE_SLACK_SHARE) + DEADLINE_SLACK_SECONDS
        # Innermost, so that only authorised callers learn of unreadable messages.
        readable = _readable_stream if handler.request_streaming else _readable
        _, behaviour = kind(handler)

        def in_time(request: Any, context: Context) -> Any:
            left: float | None = context.time_remaining()
            if left is None:
                if access.caller().is_service:
                    raise DeadlineMissing(field="deadline", most_seconds=cap)
                return _within(cap, behaviour(readable(request), context))
            if left > longest:
                raise DeadlineTooLong(field="deadline", most_seconds=cap)
            limits.set_seconds_left(left)
            return behaviour(readable(request), context)

        return rebuilt(handler, in_time, in_time)


def _within(cap: int, answer: Any) -> Any:
    """The answer to a call without a deadline, which gets the method's cap."""
    limits.set_seconds_left(cap)
    return _stream_within(cap, answer) if hasattr(answer, "__aiter__") else _one_within(cap, answer)


async def _one_within(cap: int, answer: Awaitable[Any]) -> Any:
    try:
        async with asyncio.timeout(cap) as deadline:
            return await answer
    except TimeoutError:
        if deadline.expired():
            raise DeadlinePassed(most_seconds=cap) from None
        raise


async def _stream_within(cap: int, answers: AsyncGenerator[Any]) -> AsyncIterator[Any]:
    try:
        async with asyncio.timeout(cap) as deadline, aclosing(answers):
            async for answer in answers:
                yield answer
    except TimeoutError:
        if deadline.expired():
            raise DeadlinePassed(most_seconds=cap) from None
        raise


class SilenceInterceptor(Interceptor):
    """Ends a stream whose caller sends nothing, or takes nothing of what it asked for."""

    def __init__(self, limits: Limits) -> None:
        """Streams may be silent as long as the limits say."""
        self._limits = limits

    def wrap(self, _method: str, handler: Handler) -> Handler:
        """Wrap the handlers of streams."""
        if not handler.request_streaming and not handler.response_streaming:
            return handler
        _, behaviour = kind(handler)

        async def single(requests: Any, context: Context) -> Any:
            return await behaviour(Patience(self._limits).watch(requests), context)

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            patience = Patience(self._limits, answers_each=handler.request_streaming)
            taken = patience.watch(request) if handler.request_streaming else request
            async with aclosing(behaviour(taken, context)) as answers:
                async for answer in answers:
                    with patience.until_taken():
                        yield answer

        return rebuilt(handler, single, stream)


class BoundsInterceptor(Interceptor):
    """Refuses requests with a field out of its bounds; rows of a stream have rules of their own."""

    def __init__(self, today: bounds.Today) -> None:
        """`today` is the civil day that bounds the days of a request."""
        self._today = today

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap the handlers of methods that take one request."""
        if handler.request_streaming:
            return handler
        service, name = method.split("/")[1:]
        described = access.describe(service).methods_by_name[name]
        check = bounds.check_of(described.input_type, self._today)
        return checked(handler, lambda request, _context: check(request))


def _certificate(context: Context) -> bytes | None:
    """The SHA-256 of the client's certificate; None without mutual TLS."""
    pems = tuple(context.auth_context().get("x509_pem_cert", ()))
    return _thumbprint(pems[0]) if pems else None


@lru_cache(maxsize=256)
def _thumbprint(pem: bytes) -> bytes:
    return thumbprint(pem)


def _trailing(status: grpc.Status) -> tuple[tuple[str, str | bytes], ...]:
    """The parts of a refusal; it is the last word if no time is left for the caller's next try.

    gRPC would wait for that try until the deadline, and its caller would learn of that alone.
    """
    left = limits.seconds_left()
    trailing = tuple(status.trailing_metadata or ())
    is_last = left is not None and left < LAST_TRY_SECONDS
    return (*trailing, NO_OTHER_TRY) if is_last else trailing


def _log_answer(method: str, began: float) -> None:
    """Log the caller of each answered call, because reads of personal data must be traceable."""
    seconds = round(time.monotonic() - began, 4)
    log.info("call_answered", method=method, subject=access.caller_name(), seconds=seconds)


def _log(error: Exception, method: str, service: str, peer: str) -> None:
    problem = as_problem(error, service)
    if problem is not None:
        subject = access.caller_name()
        log.info("call_refused", method=method, reason=problem.reason, subject=subject, peer=peer)
    elif is_unavailable(error):
        log.warning("call_unavailable", method=method, error=type(error).__name__)
    else:
        log.error("call_failed", method=method, **log_fields(error))


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
