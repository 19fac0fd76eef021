"""Connections: their number, the size and the time of a request's head."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.runtime.base.settings import Settings
from tests.support.gateway import JSON, gateway
from tests.support.http_client import HttpClient, read_answer

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
NOWHERE = {"claims": "127.0.0.1:1"}


@pytest.fixture
async def http(stack: Settings) -> AsyncIterator[HttpClient]:
    async with gateway(stack, NOWHERE, connections_per_peer=3, head_seconds=0.5) as client:
        yield client


async def ended(connection: Connection) -> bytes:
    """What came until the server closed the connection."""
    reader, writer = connection
    shown = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return shown


async def test_a_peer_has_a_number_of_connections(http: HttpClient) -> None:
    first = [await http.connect() for _ in range(3)]
    await asyncio.sleep(0.1)
    assert (await ended(await http.connect())).startswith(b"HTTP/1.1 503")
    for _, writer in first:
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0.1)

    assert (await http.get("/health")).status == 200


async def test_a_head_that_does_not_come_ends_the_connection(http: HttpClient) -> None:
    silent = await http.connect()
    half = await http.connect()
    half[1].write(b"POST / HTTP/1.1\r\nhost: a\r\n")

    assert await ended(silent) == b""
    assert await ended(half) == b""


async def test_a_second_head_has_as_long_as_the_first(http: HttpClient) -> None:
    reader, writer = await http.connect()
    writer.write(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (await read_answer(reader)).status == 200
    await asyncio.sleep(0.8)
    writer.write(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (await read_answer(reader)).status == 200
    writer.write(b"GET /hea")

    assert await ended((reader, writer)) == b""


@pytest.mark.parametrize("line", [b"a" * 40_000, b"x: " + b"a" * 40_000, b"x: a\r\n" * 9_000])
async def test_a_head_that_is_too_large_is_refused(http: HttpClient, line: bytes) -> None:
    connection = await http.connect()
    connection[1].write(b"GET /health HTTP/1.1\r\n" + line)

    assert (await ended(connection)).startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))


async def test_what_is_no_http_is_refused(http: HttpClient) -> None:
    connection = await http.connect()
    connection[1].write(b"\x16\x03\x01\x00\xa5\x01\x00")

    assert (await ended(connection)).startswith(b"HTTP/1.1 400")


async def test_calls_above_the_limit_are_refused_before_their_body(stack: Settings) -> None:
    async with gateway(stack, NOWHERE, calls=1) as http:
        _, writer = await http.connect()
        named = {**JSON, "authorization": "Bearer a", "content-length": "9"}
        head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        path = "/oip.claims.v1.ClaimService/GetClaim"
        writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode())
        await asyncio.sleep(0.2)
        answer = await http.post(path, b"{}", {**JSON, "authorization": "Bearer a"})
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0.1)
        later = await http.post(path, b"{}", {**JSON, "authorization": "Bearer a"})

    assert (answer.status, answer.reason) == (429, "LIMIT_REACHED")
    assert answer.headers["retry-after"] == "1"
    assert later.reason == "UNAVAILABLE"
