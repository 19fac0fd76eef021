"""Channels to the services, and the refusals that calls over them end with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import grpc

from services.runtime.rpc.client import Channels, RemoteProblem, problem_of

__all__ = ["CallFailed", "Channels", "NamingChannels", "RemoteProblem", "problem_of"]

Stub = TypeVar("Stub")


class CallFailed(grpc.aio.AioRpcError):
    """The error of a call, with the service and the address that were called."""

    def __init__(self, error: grpc.aio.AioRpcError, service: str, address: str) -> None:
        super().__init__(
            error.code(),
            error.initial_metadata(),
            error.trailing_metadata(),
            error.details(),
            error.debug_error_string(),
        )
        self.service = service
        self.address = address


class NamingChannels(Channels):
    """Channels whose errors say which service was called, and where."""

    def stub(self, stub_class: Callable[[grpc.aio.Channel], Stub], service: str) -> Stub:
        """A stub as that of Channels; its calls end with CallFailed."""
        stub = super().stub(stub_class, service)
        return cast("Stub", _NamingStub(stub, service, self.addresses[service]))


class _NamingStub:
    def __init__(self, stub: Any, service: str, address: str) -> None:
        self._stub = stub
        self._service = service
        self._address = address

    def __getattr__(self, method: str) -> Callable[..., Any]:
        call = getattr(self._stub, method)

        def named(*args: Any, **kwargs: Any) -> Any:
            running = call(*args, **kwargs)
            if hasattr(running, "__aiter__"):
                return _NamingStream(running, self._naming)
            return self._answer(running)

        return named

    async def _answer(self, running: Awaitable[Any]) -> Any:
        with self._naming():
            return await running

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except grpc.aio.AioRpcError as error:
            raise CallFailed(error, self._service, self._address) from error


class _NamingStream:
    """A stream; whatever it offers besides is that of gRPC."""

    def __init__(self, stream: Any, naming: Callable[[], Any]) -> None:
        self._stream = stream
        self._naming = naming

    async def __aiter__(self) -> AsyncIterator[Any]:
        with self._naming():
            async for message in self._stream:
                yield message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
