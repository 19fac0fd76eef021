"""Nobody starves the rest: what one tenant or a stranger holds, others and probes do not miss."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.runtime.base.tenant_limits import Limits, TenantLimits
from services.runtime.rpc.client import CLIENT_OPTIONS, problem_of
from tests.support.echo import CAP_SECONDS, EchoStub, Text, add_echo_to_server
from tests.support.echo_server import ADJUDICATOR, ISSUER, EchoServer, refused, send
from tests.support.platforms import PEARL, SWIFT, credit_code

LIMITS = Limits(
    platform=TenantLimits(streams=3, calls=6, calls_per_second=0),
    staff=TenantLimits(streams=3, calls=6, calls_per_second=0),
    calls=20,
    reserved_calls=8,
    first_message_seconds=3.0,
    idle_seconds=1.0,
)
ECHO = "/oip.test.v1.EchoService/Echo"
# A connection carries a hundred streams at most.
CONNECTIONS = 3
SILENT_CALLS = 256
IN_TIME_SECONDS = 1.0


def platform(code: str) -> str:
    return ISSUER.issue("waimai", ["platform"], platform=code)


@pytest.fixture
async def small() -> AsyncIterator[EchoServer]:
    """An echo service with small limits."""
    server = EchoServer(LIMITS)
    add_echo_to_server(server.api, server.server.registrar)
    server.port = await server.server.start("127.0.0.1:0")
    yield server
    await server.server.stop(0)


@asynccontextmanager
async def connections(address: str) -> AsyncIterator[list[grpc.aio.Channel]]:
    options = [*CLIENT_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options) for _ in range(CONNECTIONS)]
    yield channels
    await asyncio.gather(*(channel.close() for channel in channels))


async def answers_in_time(server: EchoServer, token: str) -> None:
    """A caller and a probe get their answers."""
    start = time.monotonic()
    async with grpc.aio.insecure_channel(server.address) as channel:
        await send(EchoStub(channel), "Echo", "a", token=token)
    async with grpc.aio.insecure_channel(server.health_address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service="readiness"), timeout=5)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert time.monotonic() - start < IN_TIME_SECONDS * 5


def silent(channel: grpc.aio.Channel, method: str, token: str) -> Any:
    """A call whose request never comes."""
    metadata = [("authorization", f"Bearer {token}")] if token else []
    call: Any = channel.stream_stream(
        method, request_serializer=lambda text: text.SerializeToString()
    )(timeout=CAP_SECONDS, metadata=metadata)
    # The metadata leaves with the first wait for an answer.
    return call, asyncio.ensure_future(call.code())


@pytest.mark.parametrize("token", ["", "no token at all"])
async def test_256_strangers_hold_nothing(small: EchoServer, token: str) -> None:
    """With a unary method: gRPC reads its request before any handler runs."""
    async with connections(small.address) as channels:
        calls = [
            silent(channels[number % CONNECTIONS], ECHO, token) for number in range(SILENT_CALLS)
        ]
        ends = await asyncio.wait_for(asyncio.gather(*(end for _, end in calls)), 10)

    assert set(ends) == {grpc.StatusCode.UNAUTHENTICATED}
    await answers_in_time(small, ADJUDICATOR)


@pytest.mark.parametrize("method", [ECHO, f"{ECHO}Each", f"{ECHO}All"])
async def test_256_silent_calls_of_a_platform_hold_its_own_places_for_a_moment(
    small: EchoServer, method: str
) -> None:
    async with connections(small.address) as channels:
        calls = [
            silent(channels[number % CONNECTIONS], method, platform(SWIFT))
            for number in range(SILENT_CALLS)
        ]
        most = 6 if method == ECHO else 3
        async with asyncio.timeout(LIMITS.first_message_seconds):
            while sum(not end.done() for _, end in calls) > most:  # noqa: ASYNC110 - calls end by themselves
                await asyncio.sleep(0.05)
        await answers_in_time(small, ADJUDICATOR)
        await answers_in_time(small, platform(PEARL))
        ends = await asyncio.wait_for(asyncio.gather(*(end for _, end in calls)), 10)

    assert ends.count(grpc.StatusCode.RESOURCE_EXHAUSTED) >= SILENT_CALLS - most
    # Nothing is held once the silent ones were ended.
    await answers_in_time(small, platform(SWIFT))


async def test_platforms_that_fill_their_share_leave_the_reserve(small: EchoServer) -> None:
    go = asyncio.Event()

    async def wait(text: str) -> str:
        if text == "wait":
            await go.wait()
        return text

    small.api.behave = wait
    async with grpc.aio.insecure_channel(small.address) as channel:
        stub = EchoStub(channel)
        waiting = [
            asyncio.ensure_future(send(stub, "Echo", "wait", token=platform(code)))
            for code in (SWIFT, PEARL)
            for _ in range(6)
        ]
        await asyncio.sleep(0.3)
        third = credit_code(3)
        for token, words in ((platform(SWIFT), "limit of 6 calls"), (platform(third), "together")):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await send(stub, "Echo", "a", token=token)
            problem = problem_of(caught.value)
            assert problem.reason == "LIMIT_REACHED"
            assert words in problem.sentence
            assert problem.metadata["retry_seconds"] == "1"
        await answers_in_time(small, ADJUDICATOR)
        go.set()
        assert await asyncio.gather(*waiting) == [["wait"]] * 12


async def test_a_stream_that_falls_silent_is_ended_and_one_that_speaks_is_not(
    small: EchoServer,
) -> None:
    metadata = [("authorization", f"Bearer {platform(SWIFT)}")]

    async def speaking() -> AsyncIterator[Text]:
        for _ in range(4):
            yield Text(value="a")
            await asyncio.sleep(0.4)

    async def falling_silent() -> AsyncIterator[Text]:
        yield Text(value="a")
        await asyncio.sleep(20)

    async with grpc.aio.insecure_channel(small.address) as channel:
        stub = EchoStub(channel)
        call = stub.EchoEach(speaking(), timeout=CAP_SECONDS, metadata=metadata)
        assert len([answer async for answer in call]) == 4
        code, reason = await refused(
            answers_of(stub.EchoEach(falling_silent(), timeout=CAP_SECONDS, metadata=metadata))
        )

    assert (code, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STREAM_SILENT")


async def test_a_stream_may_be_silent_while_its_answer_is_due(small: EchoServer) -> None:
    async def slow(text: str) -> str:
        await asyncio.sleep(1.5 * LIMITS.idle_seconds)
        return text

    async def requests() -> AsyncIterator[Text]:
        yield Text(value="a")
        await asyncio.sleep(2 * LIMITS.idle_seconds)

    small.api.behave = slow
    async with grpc.aio.insecure_channel(small.address) as channel:
        call = EchoStub(channel).EchoEach(
            requests(),
            timeout=CAP_SECONDS,
            metadata=[("authorization", f"Bearer {platform(SWIFT)}")],
        )
        assert [answer.value async for answer in call] == ["a"]


async def test_the_port_of_the_service_has_no_health_and_that_of_health_no_watch(
    small: EchoServer,
) -> None:
    async with grpc.aio.insecure_channel(small.address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), timeout=2
        )
        assert (await refused(check))[0] is grpc.StatusCode.UNIMPLEMENTED
    async with grpc.aio.insecure_channel(small.health_address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watch = answers_of(stub.Watch(health_pb2.HealthCheckRequest(), timeout=2))
        assert (await refused(watch))[0] is grpc.StatusCode.UNIMPLEMENTED
        unknown = stub.Check(health_pb2.HealthCheckRequest(service="unknown"), timeout=2)
        assert (await refused(unknown))[0] is grpc.StatusCode.NOT_FOUND


async def test_probes_without_a_request_do_not_keep_others_out(small: EchoServer) -> None:
    path = "/grpc.health.v1.Health/Check"
    async with connections(small.health_address) as channels:
        calls = [silent(channels[number % CONNECTIONS], path, "") for number in range(100)]
        await asyncio.sleep(1.5)
        await answers_in_time(small, ADJUDICATOR)
        for call, end in calls:
            call.cancel()
            await end


async def answers_of(call: Any) -> list[Any]:
    return [answer async for answer in call]
