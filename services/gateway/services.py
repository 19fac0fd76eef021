"""The services behind the gateway: their channels, and how much is under way at once.

The gateway holds no key and decides nothing: the caller's token goes along as it came, and the
service verifies it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc

from services.runtime.rpc.access import Unauthenticated
from services.runtime.rpc.client import ServiceChannels
from services.runtime.rpc.entrance import bearer_in
from services.runtime.rpc.quotas import limit_reached

# The address of the orders service for uploads, if it has another one.
INTAKE = "orders-intake"


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
    """How much of a kind may be under way at once; more is refused before its body is read."""

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


def token_in(authorization: str) -> str:
    """The token of a request; who sends none is refused before the body is read."""
    token = bearer_in(authorization)
    if not token or not token.isascii() or not token.isprintable():
        raise Unauthenticated.no_token()
    return token


def _metadata(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)
