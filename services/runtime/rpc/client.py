"""Calls to other services: long-lived channels, a token and a deadline on each call.

A stub is an ordinary generated stub over a channel that adds token and deadline. gRPC repeats calls
and spreads them over replicas as the service config says (service_config.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import grpc
from google.rpc import error_details_pb2, status_pb2

from services.runtime.rpc.access import (
    CALLER_KEY,
    deadline_cap,
    describe,
    original_token,
    rule_of,
)
from services.runtime.rpc.limits import MESSAGE_BYTES_MAX, seconds_left
from services.runtime.rpc.service_config import service_config_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Stub = TypeVar("Stub")

# A nested call ends this much before the deadline of its caller, which can then still respond.
HANDOVER_SECONDS = 0.1

CLIENT_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # Without this option a dead peer is detected only after a minute, despite keepalive.
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # A request is kept until its call is answered, so that the largest can be repeated too.
    ("grpc.per_rpc_retry_buffer_size", MESSAGE_BYTES_MAX + 65_536),
)

_DETAILS_KEY = "grpc-status-details-bin"


class RemoteProblem(Exception):  # noqa: N818 - a refusal is not an error of the program
    """The refusal of another service, for programs and for people."""

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        sentence: str,
        sentence_zh: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """`reason` and `metadata` are for programs, the sentences for people."""
        self.code = code
        self.reason = reason
        self.sentence = sentence
        self.sentence_zh = sentence_zh or sentence
        self.metadata = dict(metadata or {})
        super().__init__(sentence)

    @property
    def is_unreachable(self) -> bool:
        """Whether the outcome is unknown: repeat with the same request id."""
        return self.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


def problem_of(error: grpc.RpcError) -> RemoteProblem:
    """The refusal inside an RPC error; errors without details get their code as the reason."""
    call = cast("grpc.aio.AioRpcError", error)
    code, details = call.code(), call.details() or ""
    if code is grpc.StatusCode.INTERNAL and not _details_in(call):
        # Not of a service, whose refusals have details: gRPC could not send a message on a stream
        # that the other side had just ended, and does not say why it ended.
        code = grpc.StatusCode.UNAVAILABLE
    if code is grpc.StatusCode.UNAVAILABLE and not _details_in(call):
        details = "The service cannot be reached; start it, or check its address, and try again."
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        details = "There was no answer in time; repeat the same command to learn the outcome."
    reason, sentence_zh, metadata = code.name, "", dict[str, str]()
    for detail in _details_in(call):
        error_info = error_details_pb2.ErrorInfo()
        localized = error_details_pb2.LocalizedMessage()
        if detail.Unpack(error_info):
            reason, metadata = error_info.reason, dict(error_info.metadata)
        elif detail.Unpack(localized):
            sentence_zh = localized.message
    return RemoteProblem(code, reason, details, sentence_zh, metadata)


def _details_in(call: grpc.aio.AioRpcError) -> Iterable[Any]:
    for key, value in call.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            return list(status_pb2.Status.FromString(value).details)
    return ()


class Channels:
    """One channel per service, opened at the first call and kept."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        token_source: Callable[[], str],
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        """`addresses` has `host:port` by service; `token_source` returns a valid token.

        An address is looked up at the first call, so that it may be added later.
        """
        self._addresses = addresses
        self._token = token_source
        self._credentials = credentials
        self._open: dict[str, _AuthorisedChannel] = {}

    @property
    def addresses(self) -> Mapping[str, str]:
        """`host:port` by service."""
        return self._addresses

    def stub(self, stub_class: Callable[[grpc.aio.Channel], Stub], service: str) -> Stub:
        """A stub of the service whose calls carry a token and a deadline.

        A call without a timeout gets the longest deadline that its method allows.
        """
        return stub_class(cast("grpc.aio.Channel", self._channel(service)))

    def _channel(self, service: str) -> _AuthorisedChannel:
        if service not in self._open:
            address = self._addresses[service]
            self._open[service] = _AuthorisedChannel(address, self._credentials, self._token)
        return self._open[service]

    async def close(self) -> None:
        """End all channels; calls still running are cancelled."""
        channels, self._open = list(self._open.values()), {}
        for channel in channels:
            await channel.close()


class ServiceChannels:
    """The gRPC channels to one address, one for each gRPC service that is called there.

    Each has the service config of its service; gRPC shares one connection among them.
    """

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        self._address = address
        self._credentials = credentials
        self._open: dict[str, grpc.aio.Channel] = {}

    def of_method(self, path: str) -> grpc.aio.Channel:
        """The channel for a method path such as `/oip.claims.v1.ClaimService/GetClaim`."""
        service = path.split("/")[1]
        if service not in self._open:
            self._open[service] = self._channel(service)
        return self._open[service]

    def _channel(self, service: str) -> grpc.aio.Channel:
        try:
            described = [describe(service)]
        except KeyError:  # a service of others, such as the health of gRPC
            described = []
        options = (*CLIENT_OPTIONS, ("grpc.service_config", service_config_text(described)))
        if self._credentials is None:
            return grpc.aio.insecure_channel(self._address, options=options)
        return grpc.aio.secure_channel(self._address, self._credentials, options)

    async def close(self) -> None:
        """End all channels; calls still running are cancelled."""
        channels, self._open = list(self._open.values()), {}
        for channel in channels:
            await channel.close()


class _AuthorisedChannel:
    """A channel for stubs that adds token and deadline to each call."""

    def __init__(
        self,
        address: str,
        credentials: grpc.ChannelCredentials | None,
        token: Callable[[], str],
    ) -> None:
        self._channels = ServiceChannels(address, credentials)
        self._token = token

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        inner = self._channels.of_method(method)
        return self._with_token(method, inner.unary_unary(method, *args, **kwargs))

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        inner = self._channels.of_method(method)
        return self._with_token(method, inner.unary_stream(method, *args, **kwargs))

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        inner = self._channels.of_method(method)
        return self._with_token(method, inner.stream_unary(method, *args, **kwargs))

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        inner = self._channels.of_method(method)
        return self._with_token(method, inner.stream_stream(method, *args, **kwargs))

    def _with_token(self, method: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def call_with_token(
            request: Any = None,
            *,
            timeout: float | None = None,
            metadata: Iterable[tuple[str, str]] = (),
        ) -> Any:
            seconds = _allowed(method, timeout)
            return call(request, timeout=seconds, metadata=(*metadata, *self._authorization()))

        return call_with_token

    def _authorization(self) -> tuple[tuple[str, str], ...]:
        """The own token; inside an RPC also that of its caller, for whom the call is made."""
        own, original = ("authorization", f"Bearer {self._token()}"), original_token()
        return (own, (CALLER_KEY, f"Bearer {original}")) if original else (own,)

    async def close(self) -> None:
        await self._channels.close()


def _allowed(method: str, timeout: float | None) -> float:
    """The seconds a call may take: its timeout, the method's cap or the caller's deadline."""
    seconds = float(deadline_cap(rule_of(method)))
    if timeout is not None:
        seconds = min(seconds, timeout)
    left = seconds_left()
    return seconds if left is None else max(0.0, min(seconds, left - HANDOVER_SECONDS))
