"""The body of a request: bounded in size, also after decompression, and in time."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from services.gateway.problems import BodyDamaged, BodyTooLarge, BodyTooSlow, EncodingUnknown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

PIECE_BYTES = 256 * 1024
# zlib reads a gzip header with this window.
_GZIP = 31
# Of what a refused caller still sends, so much is taken, so that it reads the refusal.
DRAINED_BYTES = 8 * 1024 * 1024
DRAIN_SECONDS = 2.0


class Body:
    """The body of one request. `is_open` says whether the caller may still be sending it."""

    def __init__(self, request: Request, max_bytes: int, idle_seconds: float) -> None:
        """`max_bytes` counts what is left after decompression."""
        # Not its stream: a generator ends when a time-out cancels it.
        self._receive = request.receive
        self._encoding = request.headers.get("content-encoding", "identity").strip().lower()
        self._max_bytes = max_bytes
        self._idle_seconds = idle_seconds
        self.is_open = True

    async def read(self, seconds: float) -> bytes:
        """The whole body. Raises BodyTooSlow if it is not there in time."""
        try:
            async with asyncio.timeout(seconds):
                return b"".join([piece async for piece in self.pieces()])
        except TimeoutError:
            raise BodyTooSlow(seconds=f"{seconds:g}") from None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body piece by piece, decompressed. Raises a Problem, or ClientDisconnect."""
        if self._encoding not in {"identity", "gzip"}:
            raise EncodingUnknown(field="content-encoding", encoding=self._encoding[:40])
        count = 0
        pieces = self._received() if self._encoding == "identity" else _unzipped(self._received())
        async for piece in pieces:
            count += len(piece)
            if count > self._max_bytes:
                raise BodyTooLarge(max_bytes=self._max_bytes)
            if piece:
                yield piece

    async def drain(self, refusal: Exception) -> None:
        """Take a little more of a refused body; a caller that sends on loses the connection."""
        count = 0
        if isinstance(refusal, BodyTooSlow):
            return
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                async for piece in self._received():
                    count += len(piece)
                    if count > DRAINED_BYTES:
                        return
        except (TimeoutError, ClientDisconnect, BodyTooSlow):
            return

    async def _received(self) -> AsyncIterator[bytes]:
        while self.is_open:
            try:
                async with asyncio.timeout(self._idle_seconds):
                    message = await self._receive()
            except TimeoutError:
                raise BodyTooSlow(seconds=f"{self._idle_seconds:g}") from None
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self.is_open = message.get("more_body", False)
            yield message.get("body", b"")


async def _unzipped(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The content of a gzip file, whose members follow each other, in bounded pieces."""
    member = zlib.decompressobj(_GZIP)
    async for piece in pieces:
        rest = piece
        while rest:
            if member.eof:
                member = zlib.decompressobj(_GZIP)
            try:
                yield member.decompress(rest, PIECE_BYTES)
            except zlib.error:
                raise BodyDamaged(field="request") from None
            rest = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise BodyDamaged(field="request")
