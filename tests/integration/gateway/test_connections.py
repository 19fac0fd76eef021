"""Connections: their number, the size and the time of a request's head."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.runtime.base.settings import Settings
from tests.support.gateway import JSON, gateway
from tests.support.http_client import HttpClient, read_answer

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
CALL = "/oip.claims.v1.ClaimService/GetClaim"
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
        writer.write(head_of_call())
        await asyncio.sleep(0.2)
        answer = await http.post(CALL, b"{}", {**JSON, "authorization": "Bearer a"})
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0.1)
        later = await http.post(CALL, b"{}", {**JSON, "authorization": "Bearer a"})

    assert (answer.status, answer.reason) == (429, "LIMIT_REACHED")
    assert answer.headers["retry-after"] == "1"
    assert later.reason == "UNAVAILABLE"


async def test_a_line_break_after_an_answer_keeps_no_connection(http: HttpClient) -> None:
    """It begins no request, so that the clock of idle connections must not stop for it."""
    reader, writer = await http.connect()
    writer.write(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (await read_answer(reader)).status == 200
    writer.write(b"\r\n")

    assert await ended((reader, writer)) == b""


async def test_a_caller_that_takes_no_answer_loses_the_connection(stack: Settings) -> None:
    async with gateway(stack, NOWHERE, idle_seconds=0.5) as http:
        reader, writer = await asyncio.open_connection(*http.place, limit=1)
        # More answers than all buffers between the two hold.
        writer.write(b"GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n" * 200)
        await asyncio.sleep(2)

        with pytest.raises(ConnectionError):
            await _write_on(writer)
        assert not reader.at_eof()
        assert (await http.get("/health")).status == 200


async def _write_on(writer: asyncio.StreamWriter) -> None:
    for _ in range(10):
        writer.write(b"\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)


def head_of_call(**headers: str) -> bytes:
    """The head of a call whose body comes later."""
    named = {**JSON, "authorization": "Bearer a", "content-length": "9", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"POST {CALL} HTTP/1.1\r\n{lines}\r\n".encode()


async def test_an_address_takes_only_its_share_of_the_calls(stack: Settings) -> None:
    async with gateway(stack, NOWHERE, calls=2, calls_per_peer=1) as http:
        _, writer = await http.connect()
        writer.write(head_of_call())
        await asyncio.sleep(0.2)
        answer = await http.post(CALL, b"{}", {**JSON, "authorization": "Bearer a"})
        reader, other = await asyncio.open_connection(*http.place, local_addr=("127.0.0.2", 0))
        other.write(head_of_call() + b"{       }")
        from_elsewhere = await read_answer(reader)
        for each in (writer, other):
            each.close()

    assert (answer.status, answer.reason) == (429, "LIMIT_REACHED")
    assert "one address" in answer.json["message"]
    assert from_elsewhere.reason == "UNAVAILABLE"


async def test_a_token_that_no_service_could_read_is_not_signed_in(stack: Settings) -> None:
    async with gateway(stack, NOWHERE) as http:
        answer = await http.post(CALL, b"{}", {**JSON, "authorization": f"Bearer {'a' * 20_000}"})

    assert (answer.status, answer.reason) == (401, "UNAUTHENTICATED")
