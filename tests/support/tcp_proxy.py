"""A TCP proxy between a service and a server, which can fall silent without closing anything."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum

CHUNK_BYTES = 65536


class Mode(Enum):
    """What happens to the bytes of every connection."""

    PASS = "pass"
    # Nothing arrives in either direction; the kernel on each side still sees an open connection.
    BLACKHOLE = "blackhole"
    # The server gets what it is sent, and its replies are lost.
    DROP_REPLIES = "drop replies"


class TcpProxy:
    """Forwards connections to one server; set `mode` at any time.

    A connection that lost bytes stays silent after the mode is PASS again: only new ones work.
    """

    def __init__(self, host: str, port: int) -> None:
        self.mode = Mode.PASS
        self.port = 0
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._pumps: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pumps.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._forward(reader, writer)
        finally:
            self._pumps.discard(task)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target_reader, target_writer = await asyncio.open_connection(*self._target)
        link = _Link(self)
        try:
            await asyncio.wait(
                [
                    asyncio.ensure_future(link.pump(reader, target_writer, is_reply=False)),
                    asyncio.ensure_future(link.pump(target_reader, writer, is_reply=True)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            target_writer.close()


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: TcpProxy) -> None:
        self._proxy = proxy
        self._has_lost = False

    async def pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, is_reply: bool
    ) -> None:
        while chunk := await source.read(CHUNK_BYTES):
            mode = self._proxy.mode
            if mode is Mode.BLACKHOLE or (mode is Mode.DROP_REPLIES and is_reply):
                self._has_lost = True
            if self._has_lost and (is_reply or mode is not Mode.DROP_REPLIES):
                continue
            target.write(chunk)
            await target.drain()


@asynccontextmanager
async def tcp_proxy(host: str, port: int) -> AsyncIterator[TcpProxy]:
    """A proxy to a server while the block runs."""
    proxy = TcpProxy(host, port)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
