"""HTTP/1.1 by hand, over asyncio: tests send what no library would, and keep connections open."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Answer:
    """Status, headers in lower case, body."""

    status: int
    headers: dict[str, str]
    body: bytes = b""

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        """The reason of a refusal; empty without one."""
        details = self.json.get("details", ())
        infos = [each["debug"] for each in details if each["type"] == "google.rpc.ErrorInfo"]
        return str(infos[0]["reason"]) if infos else ""


@dataclass
class HttpClient:
    """A client of one server, which keeps the connections that are free."""

    url: str
    _free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection."""
        return await asyncio.open_connection(*self.place)

    @property
    def place(self) -> tuple[str, int]:
        """Host and port of the server."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    async def post(
        self, path: str, body: bytes | Iterable[bytes], headers: Mapping[str, str]
    ) -> Answer:
        """The answer to a POST; a body in pieces is sent in chunks."""
        return await self.request("POST", path, body, headers)

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to a GET."""
        return await self.request("GET", path, b"", headers or {})

    async def request(
        self, method: str, path: str, body: bytes | Iterable[bytes], headers: Mapping[str, str]
    ) -> Answer:
        """Send a request on a free connection, or on a new one, and read the answer."""
        reader, writer = self._free.pop() if self._free else await self.connect()
        writer.write(_head(method, path, body, headers))
        for piece in [body] if isinstance(body, bytes) else _chunks(body):
            writer.write(piece)
            await writer.drain()
        answer = await read_answer(reader)
        if answer.headers.get("connection") == "close":
            await _close(writer)
        else:
            self._free.append((reader, writer))
        return answer

    async def close(self) -> None:
        """Close the free connections."""
        for _, writer in self._free:
            await _close(writer)
        self._free.clear()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """The answer on a connection."""
    answer = await read_head(reader)
    if answer.headers.get("transfer-encoding") == "chunked":
        answer.body = b"".join([piece async for piece in read_chunks(reader)])
    else:
        answer.body = await reader.readexactly(int(answer.headers.get("content-length", "0")))
    return answer


async def read_head(reader: asyncio.StreamReader) -> Answer:
    """Status and headers."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    return Answer(int(head[0].split()[1]), headers)


async def read_chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The chunks of a body as they come."""
    while size := int(await reader.readline(), 16):
        yield await reader.readexactly(size)
        await reader.readline()
    await reader.readline()


def _head(
    method: str, path: str, body: bytes | Iterable[bytes], headers: Mapping[str, str]
) -> bytes:
    length = (
        f"content-length: {len(body)}" if isinstance(body, bytes) else "transfer-encoding: chunked"
    )
    lines = [f"{method} {path} HTTP/1.1", "host: gateway", length]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _chunks(pieces: Iterable[bytes]) -> Iterable[bytes]:
    for piece in pieces:
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"
