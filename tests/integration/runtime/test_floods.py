"""A caller that calls without end: others and probes do not notice, and it learns what to do."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from services.runtime.base.tenant_limits import Limits, TenantLimits
from services.runtime.rpc import refused_calls, server
from services.runtime.rpc.client import CLIENT_OPTIONS, problem_of
from services.runtime.rpc.refused_calls import AT_ONCE_MAX, AT_ONCE_PER_SECOND
from tests.support.echo import CAP_SECONDS, EchoStub, Text, add_echo_to_server
from tests.support.echo_server import ADJUDICATOR, ISSUER, EchoServer, send
from tests.support.platforms import PEARL, SWIFT

LIMITS = Limits(
    platform=TenantLimits(streams=3, calls=2, calls_per_second=5),
    first_message_seconds=3.0,
    hold_seconds=8.0,
)
# Of the flood: twice the calls that its connections carry, each sent again once it was refused.
CONNECTIONS = 2
AT_A_TIME = 200
SECONDS = 2.0
NOISY, QUIET = (ISSUER.issue("waimai", ["platform"], platform=code) for code in (SWIFT, PEARL))


@pytest.fixture
async def small() -> AsyncIterator[EchoServer]:
    """An echo service with small limits for platforms."""
    server = EchoServer(LIMITS)
    add_echo_to_server(server.api, server.server.registrar)
    server.port = await server.server.start("127.0.0.1:0")
    yield server
    await server.server.stop(0)


@asynccontextmanager
async def flood(*channels: grpc.aio.Channel, token: str) -> AsyncIterator[Counter[str]]:
    """Calls without a pause while the block runs; how they ended, by code."""
    metadata = [("authorization", f"Bearer {token}")] if token else []
    codes = Counter[str]()

    async def call(stub: EchoStub) -> None:
        while True:
            try:
                await stub.Echo(Text(value="a"), timeout=CAP_SECONDS, metadata=metadata)
                codes["OK"] += 1
            except grpc.aio.AioRpcError as error:
                codes[error.code().name] += 1

    stubs = [EchoStub(channel) for channel in channels]
    calls = [asyncio.create_task(call(stub)) for stub in stubs for _ in range(AT_A_TIME)]
    try:
        yield codes
    finally:
        for each in calls:
            each.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


@asynccontextmanager
async def connections(address: str) -> AsyncIterator[list[grpc.aio.Channel]]:
    options = [*CLIENT_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options) for _ in range(CONNECTIONS)]
    yield channels
    await asyncio.gather(*(channel.close() for channel in channels))


@pytest.mark.parametrize("token", [NOISY, ""])
async def test_a_caller_that_does_not_wait_is_made_to(small: EchoServer, token: str) -> None:
    async with connections(small.address) as channels, flood(*channels, token=token) as codes:
        await asyncio.sleep(SECONDS)
        refused = codes["RESOURCE_EXHAUSTED"] + codes["UNAUTHENTICATED"]

    # Without a pause it would be thousands.
    most = AT_ONCE_MAX + (SECONDS + 1) * AT_ONCE_PER_SECOND
    assert AT_ONCE_PER_SECOND < refused < most


async def test_others_on_the_connection_of_a_flood_get_their_answers(small: EchoServer) -> None:
    """A program that calls for several platforms has one connection for all of them."""
    async with connections(small.address) as (channel, _):
        stub = EchoStub(channel)
        for token in (QUIET, NOISY):
            await send(stub, "Echo", "a", token=token)
        async with flood(channel, token=NOISY):
            await asyncio.sleep(SECONDS)
            begin = time.monotonic()
            await send_again(stub, QUIET)
            assert time.monotonic() - begin < 1


async def test_a_flood_is_logged_by_caller_and_second(small: EchoServer) -> None:
    with capture_logs() as lines:
        async with connections(small.address) as channels, flood(*channels, token=NOISY) as codes:
            await asyncio.sleep(SECONDS)
            refused = codes["RESOURCE_EXHAUSTED"]
        await asyncio.sleep(1.5)

    ours = [line for line in lines if line["event"] == "limit_reached"]
    assert len(ours) <= SECONDS + 4
    assert sum(line["count"] for line in ours) >= refused
    assert {line["subject"] for line in ours} == {"waimai"}
    assert {line["peer"] for line in ours} == {"ipv4:127.0.0.1"}


async def test_a_server_under_a_flood_answers_others_and_stops_in_time(small: EchoServer) -> None:
    async with connections(small.address) as channels, flood(*channels, token=NOISY):
        await asyncio.sleep(SECONDS / 2)
        async with grpc.aio.insecure_channel(small.address) as channel:
            assert await send(EchoStub(channel), "Echo", "a", token=ADJUDICATOR)
        begin = time.monotonic()
        await small.server.stop(grace=10)
        assert time.monotonic() - begin < 5


async def test_methods_that_do_not_exist_are_held_too(
    small: EchoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refused_calls, "AT_ONCE_MAX", 10)
    async with connections(small.address) as (channel, _):
        method: Any = channel.unary_unary("/oip.test.v1.EchoService/Nothing")
        begin = time.monotonic()
        calls = (code_of(method(b"", timeout=CAP_SECONDS)) for _ in range(60))
        codes = await asyncio.gather(*calls)

    assert set(codes) == {grpc.StatusCode.UNIMPLEMENTED}
    assert time.monotonic() - begin > 40 / AT_ONCE_PER_SECOND


async def send_again(stub: EchoStub, token: str) -> None:
    """Until it is answered: gRPC itself turns some calls of a full connection away."""
    while True:
        try:
            await send(stub, "Echo", "a", token=token)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
        else:
            return


async def code_of(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code()


async def test_a_connection_on_which_nobody_speaks_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each takes one of the files that a process may have open. gRPC ignores unknown options."""
    short = {"grpc.server_handshake_timeout_ms": 500, "grpc.max_connection_idle_ms": 1000}
    assert set(short) <= set(dict(server.SERVER_OPTIONS))
    options = {**dict(server.SERVER_OPTIONS), **short}
    monkeypatch.setattr(server, "SERVER_OPTIONS", tuple(options.items()))
    echo = EchoServer()
    echo.port = await echo.server.start("127.0.0.1:0")

    async def end_of(first: bytes) -> float:
        reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
        begin = time.monotonic()
        writer.write(first)
        while await reader.read(4096):
            pass
        writer.close()
        return time.monotonic() - begin

    async with asyncio.timeout(10):
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        empty_settings = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
        for first in (b"", preface, preface + empty_settings):
            assert await end_of(first) < 5
        async with grpc.aio.insecure_channel(echo.address) as channel:
            for _ in range(2):
                await send(EchoStub(channel), "Echo", "a")
                await asyncio.sleep(1.5)
    await echo.server.stop(0)


async def test_a_method_that_does_not_exist_is_refused_in_both_languages(small: EchoServer) -> None:
    async with grpc.aio.insecure_channel(small.address) as channel:
        method: Any = channel.unary_unary("/oip.test.v1.EchoService/Nothing")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await method(b"", timeout=CAP_SECONDS)

    problem = problem_of(caught.value)
    assert (problem.code, problem.reason) == (
        grpc.StatusCode.UNIMPLEMENTED,
        "METHOD_NOT_SERVED",
    )
    assert "接口" in problem.sentence_zh
