"""The interceptors of every server, from the outermost inwards: errors, access, deadlines, bounds.

Each is a context manager around the handler, so that one implementation serves the four streaming
kinds. The outermost also wraps the deserialiser, because gRPC would send the class and text of its
exceptions to the caller.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import grpc
from grpc_status import rpc_status

from services.kernel.problems import Kind, Problem
from services.runtime.base.log import logger
from services.runtime.rpc import access, bounds, limits
from services.runtime.rpc.access import Unauthenticated
from services.runtime.rpc.certificates import thumbprint
from services.runtime.rpc.entrance import bearer_in, first_message_came
from services.runtime.rpc.error_status import (
    Unreadable,
    as_problem,
    is_unavailable,
    log_fields,
    status_of,
)
from services.runtime.rpc.silence import Patience
from services.runtime.rpc.wrapping import Interceptor, kind, surround

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from oip.type.v1 import type_pb2

    from services.runtime.base.tenant_limits import Limits
    from services.runtime.rpc.access import Caller
    from services.runtime.rpc.staff import Admission
    from services.runtime.rpc.tokens import Token

    Context = grpc.aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]

log = logger("rpc")

# gRPC rounds `grpc-timeout` up, by up to ten seconds in an hour: a deadline equal to the cap
# arrives slightly above it.
DEADLINE_SLACK_SECONDS = 1.0
DEADLINE_SLACK_SHARE = 0.01
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
        super().__init__()
        self._service = service

    def _wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap the handler and its deserialiser."""

        @asynccontextmanager
        async def answering(context: Context) -> AsyncIterator[None]:
            began = asyncio.get_running_loop().time()
            first_message_came()
            try:
                yield
                _log_answer(method, began)
            except grpc.aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001 - the one place that maps every exception
                _log(error, method, self._service, str(context.peer()))
                status = rpc_status.to_status(status_of(error, self._service))
                await context.abort(status.code, status.details, _trailing(status))

        return surround(handler, answering, read=_reading)


class AccessInterceptor(Interceptor):
    """Checks token, staff register and the method's access rule; sets the caller."""

    def __init__(self, admission: Admission) -> None:
        """Admit the callers that `admission` admits."""
        super().__init__()
        self._admission = admission

    def _wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap the handler; only reflection, in development, is open without a token."""
        if method.split("/")[1] in access.REFLECTION_SERVICES:
            return handler

        rule = access.rule_of(method)

        @asynccontextmanager
        async def permitted(context: Context) -> AsyncIterator[None]:
            tokens: list[Token] = []
            try:
                who = await self._admit(context, rule, tokens)
            except Problem as problem:
                log.warning(
                    "access_refused",
                    method=method,
                    reason=problem.reason,
                    sentence=problem.sentence,
                    subject=tokens[-1].subject if tokens else "",
                    issuer=tokens[-1].issuer if tokens else "",
                    peer=context.peer(),
                )
                raise
            access.set_caller(who)
            own = "" if who.is_service else _find_bearer(context, "authorization")
            access.set_original_token(_find_bearer(context, access.CALLER_KEY) or own)
            yield

        return surround(handler, permitted)

    async def _admit(
        self, context: Context, rule: type_pb2.Access | None, tokens: list[Token]
    ) -> Caller:
        """The caller, or the one for whom a service asks; `tokens` gets what was verified."""
        bearer = _bearer(context, "authorization")
        tokens.append(self._admission.verify(bearer, _certificate(context)))
        who = access.require_allowed(rule, await self._admission.caller(tokens[0], rule))
        original_token = _find_bearer(context, access.CALLER_KEY)
        if rule is None or not original_token:
            return who
        # The certificate of the connection is the service's, so it does not bind this token.
        tokens.append(self._admission.verify(original_token))
        return access.on_behalf(rule, who, await self._admission.original(tokens[1], rule))


class StandingInterceptor(Interceptor):
    """Refuses changes while the service's database is behind what it has published."""

    def __init__(self, require_current: Callable[[], None]) -> None:
        """`require_current` raises the refusal."""
        super().__init__()
        self._require_current = require_current

    def _wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap the handlers of changes; operations stay, because they bring the database back."""
        if method.split("/")[1] == access.OPERATIONS_SERVICE or not access.is_change(method):
            return handler

        @asynccontextmanager
        async def current(_context: Context) -> AsyncIterator[None]:
            self._require_current()
            yield

        return surround(handler, current)


class PersonalDataInterceptor(Interceptor):
    """Records who was shown personal data, before the answer leaves.

    A service that asks writes no row: the one that shows the answer to a person does.
    """

    def __init__(self, record: Callable[[Any], Awaitable[None]]) -> None:
        """`record(request)` writes the row for the caller of this task."""
        super().__init__()
        self._record = record

    def _wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap the handlers of methods that take one request and show personal data."""
        rule = access.rule_of(method)
        if rule is None or not rule.shows_personal_data:
            return handler
        build, behaviour = kind(handler)

        async def single(request: Any, context: Context) -> Any:
            answer = await behaviour(request, context)
            await record(request)
            return answer

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            await record(request)
            async with aclosing(behaviour(request, context)) as answers:
                async for answer in answers:
                    yield answer

        async def record(request: Any) -> None:
            if not access.caller().is_service:
                await self._record(request)

        return build(  # type: ignore[no-any-return]
            stream if handler.response_streaming else single,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


class DeadlineInterceptor(Interceptor):
    """Refuses deadlines beyond the method's cap, and services that set none.

    Tools of people, such as `buf curl`, set no deadline: their calls may take as long as the cap.
    """

    def _wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap the handler; reflection may last longer."""
        exempt = method.split("/")[1] in access.REFLECTION_SERVICES
        cap = access.deadline_cap(access.rule_of(method))

        @asynccontextmanager
        async def in_time(context: Context) -> AsyncIterator[None]:
            left: float | None = context.time_remaining()
            if exempt:
                yield
                return
            if left is None:
                async with _within(cap):
                    yield
                return
            if left > cap * (1 + DEADLINE_SLACK_SHARE) + DEADLINE_SLACK_SECONDS:
                raise DeadlineTooLong(field="deadline", most_seconds=cap)
            limits.set_seconds_left(left)
            yield

        return surround(handler, in_time, take=_kind_of_reading(handler))


@asynccontextmanager
async def _within(cap: int) -> AsyncIterator[None]:
    """A call without a deadline gets the method's cap, unless a service makes it."""
    if access.caller().is_service:
        raise DeadlineMissing(field="deadline", most_seconds=cap)
    limits.set_seconds_left(cap)
    try:
        async with asyncio.timeout(cap) as deadline:
            yield
    except TimeoutError:
        if deadline.expired():
            raise DeadlinePassed(most_seconds=cap) from None
        raise


class SilenceInterceptor(Interceptor):
    """Ends a stream whose caller sends nothing, or takes nothing of what it asked for."""

    def __init__(self, limits: Limits) -> None:
        """Streams may be silent as long as the limits say."""
        super().__init__()
        self._limits = limits

    def _wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap the handlers of streams."""
        is_stream = handler.request_streaming or handler.response_streaming
        if not is_stream or method.split("/")[1] in access.REFLECTION_SERVICES:
            return handler
        build, behaviour = kind(handler)

        async def single(requests: Any, context: Context) -> Any:
            return await behaviour(Patience(self._limits).watch(requests), context)

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            patience = Patience(self._limits, answers_each=handler.request_streaming)
            taken = patience.watch(request) if handler.request_streaming else request
            async with aclosing(behaviour(taken, context)) as answers:
                async for answer in answers:
                    with patience.until_taken():
                        yield answer

        return build(  # type: ignore[no-any-return]
            stream if handler.response_streaming else single,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


class BoundsInterceptor(Interceptor):
    """Refuses requests with a field out of its bounds; rows of a stream have rules of their own."""

    def __init__(self, today: bounds.Today) -> None:
        """`today` is the civil day that bounds the days of a request."""
        super().__init__()
        self._today = today

    def _wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap the handlers of methods that take one request."""
        service, name = method.split("/")[1:]
        if handler.request_streaming or service in access.REFLECTION_SERVICES:
            return handler
        described = access.describe(service).methods_by_name[name]
        check = bounds.check_of(described.input_type, self._today)
        return surround(handler, lambda _context: nullcontext(), take=check)


def _bearer(context: Context, name: str) -> str:
    token = _find_bearer(context, name)
    if not token:
        raise Unauthenticated(what="there is no token")
    return token


def _find_bearer(context: Context, name: str) -> str:
    return bearer_in(context.invocation_metadata() or (), name)


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
    return (*trailing, ("grpc-retry-pushback-ms", "-1")) if is_last else trailing


def _log_answer(method: str, began: float) -> None:
    """Log the caller of each answered call, because reads of personal data must be traceable."""
    seconds = round(asyncio.get_running_loop().time() - began, 4)
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
