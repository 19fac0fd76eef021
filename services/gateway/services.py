"""The services behind the gateway: their channels, and how much is under way at once.

The gateway holds no key and decides nothing: the caller's token goes along as it came, and the
service verifies it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
from google.rpc import status_pb2
from starlette.requests import Request

from services.runtime.rpc.access import Unauthenticated
from services.runtime.rpc.client import ServiceChannels
from services.runtime.rpc.entrance import bearer_in
from services.runtime.rpc.quotas import Allowance, limit_reached
from services.runtime.rpc.refused_calls import AT_ONCE_MAX, AT_ONCE_PER_SECOND, KEPT_MAX

# The address of the orders service for uploads, if it has another one.
INTAKE = "orders-intake"
# gRPC refuses headers of more than 8 KiB as if the service were away.
TOKEN_LENGTH_MAX = 7_000
# How long a refusal is held at most; the connection that waits for it counts for its address.
HOLD_SECONDS = 5.0
_HELD_CODES = {
    grpc.StatusCode.UNAUTHENTICATED.value[0],
    grpc.StatusCode.RESOURCE_EXHAUSTED.value[0],
}


class Services:
    """Channels by service. Messages are bytes here."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        credentials: grpc.ChannelCredentials | None = None,
        intake_address: str = "",
    ) -> None:
        """`addresses` has `host:port` by service."""
        self.names = tuple(addresses)
        self._channels = {
            name: ServiceChannels(address, credentials) for name, address in addresses.items()
        }
        if intake_address:
            self._channels[INTAKE] = ServiceChannels(intake_address, credentials)
        self._calls: dict[tuple[str, str], Any] = {}

    async def call(
        self, service: str, path: str, request: bytes, *, token: str, seconds: float
    ) -> bytes:
        """The answer of a unary method. Raises AioRpcError."""
        call = self._calls.get((service, path))
        if call is None:
            channel = self._channels[service].of_method(path)
            call = self._calls[service, path] = channel.unary_unary(path)
        answer: bytes = await call(request, timeout=seconds, metadata=_metadata(token))
        return answer

    def stream(
        self, path: str, requests: AsyncIterator[bytes], *, token: str, seconds: float
    ) -> grpc.aio.StreamStreamCall[bytes, bytes]:
        """A stream in both directions to the intake of orders."""
        channels = self._channels.get(INTAKE) or self._channels["orders"]
        call: Any = channels.of_method(path).stream_stream(path)
        stream: grpc.aio.StreamStreamCall[bytes, bytes] = call(
            requests, timeout=seconds, metadata=_metadata(token)
        )
        return stream

    async def close(self) -> None:
        """End all channels; calls still running are cancelled."""
        for channels in self._channels.values():
            await channels.close()


class Places:
    """How much of a kind may be under way at once; more is refused."""

    def __init__(self, what: str, count: int) -> None:
        """`what` is a limit of rpc/quotas.py."""
        self._what = what
        self._count = count
        self._taken = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place while the block runs. Raises LimitReached if none is free."""
        if self._taken >= self._count:
            raise limit_reached(self._what, self._count)
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


class PeerPlaces:
    """How much one address may have under way, so that it cannot take the places of all."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._taken = Counter[str]()

    @contextmanager
    def place(self, request: Request) -> Iterator[None]:
        """A place of the caller's address while the block runs. Raises LimitReached."""
        peer = peer_of(request)
        if self._taken[peer] >= self._count:
            raise limit_reached("address", self._count)
        self._taken[peer] += 1
        try:
            yield
        finally:
            self._taken[peer] -= 1
            if not self._taken[peer]:
                del self._taken[peer]


class RefusedPeers:
    """How long an address waits for a refusal once it was refused often.

    A service does the same for those who call it; to it, all callers of the gateway have one
    address, and what one of them sends without end would take the others' connection.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._at_once: dict[str, Allowance] = {}

    def seconds_to_hold(self, request: Request, status: status_pb2.Status) -> float:
        """How long before a refusal is answered; 0 for at once."""
        if status.code not in _HELD_CODES:
            return 0.0
        peer, now = peer_of(request), self._now()
        at_once = self._at_once.get(peer)
        if at_once is None:
            if len(self._at_once) >= KEPT_MAX:
                self._at_once.clear()
            at_once = Allowance(AT_ONCE_PER_SECOND, AT_ONCE_MAX, now)
            self._at_once[peer] = at_once
        seconds = at_once.seconds_until(1, now)
        if seconds < HOLD_SECONDS:
            at_once.take(1)
        return min(seconds, HOLD_SECONDS)


def peer_of(request: Request) -> str:
    """The address of a caller."""
    return request.client.host if request.client else ""


def token_in(authorization: str) -> str:
    """The token of a request; who sends none is refused before the body is read."""
    token = bearer_in(authorization)
    if not token or not token.isascii() or not token.isprintable():
        raise Unauthenticated.no_token()
    if len(token) > TOKEN_LENGTH_MAX:
        raise Unauthenticated.of(
            "TOKEN_TOO_LARGE",
            "the token has more than {most} characters",
            "令牌超过 {most} 个字符",
            most=TOKEN_LENGTH_MAX,
        )
    return token


def _metadata(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)
