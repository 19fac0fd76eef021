import asyncio
import os
import sys
import time
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.runtime.rpc.server import (
    AddressTakenError,
    MethodWithoutAccessRule,
    RpcServer,
    watch_loop,
)
from tests.support.echo import CAP_SECONDS, UNRULED, EchoApi, EchoStub, add_echo_to_server
from tests.support.echo_server import (
    ISSUER,
    KINDS,
    STRANGER,
    EchoServer,
    refused,
    send,
)
from tests.support.staff import usual_admission


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        ("Echo", ["li: a"]),
        ("EchoTwice", ["li: a", "li: a"]),
        ("EchoAll", ["li: a b"]),
        ("EchoEach", ["li: a", "li: b"]),
    ],
)
async def test_each_streaming_kind_reaches_the_handler_with_its_caller(
    stub: EchoStub, kind: str, answers: list[str]
) -> None:
    assert await send(stub, kind, "a", "b") == answers


@pytest.mark.parametrize("kind", KINDS)
async def test_no_token_is_refused_and_the_handler_not_reached(
    echo_server: EchoServer, stub: EchoStub, kind: str
) -> None:
    assert await refused(send(stub, kind, "a", token="")) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "UNAUTHENTICATED",
    )
    assert echo_server.api.call_count == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_another_role_is_refused_and_the_handler_not_reached(
    echo_server: EchoServer, stub: EchoStub, kind: str
) -> None:
    code, reason = await refused(send(stub, kind, "a", token=STRANGER))

    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "FORBIDDEN")
    assert echo_server.api.call_count == 0


async def test_a_platform_without_a_credit_code_is_refused(stub: EchoStub) -> None:
    token = ISSUER.issue("waimai", ["platform"])

    assert (await refused(send(stub, "Echo", "a", token=token)))[1] == "FORBIDDEN"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_service_that_sets_no_deadline_is_refused(stub: EchoStub, kind: str) -> None:
    token = ISSUER.issue("services/claims", ["service"])
    code, reason = await refused(send(stub, kind, "a", token=token, seconds=None))

    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "DEADLINE_MISSING")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_person_s_call_without_a_deadline_has_as_long_as_the_cap(
    echo_server: EchoServer, stub: EchoStub, kind: str
) -> None:
    assert (await send(stub, kind, "a", seconds=None))[0].endswith(": a")

    assert echo_server.api.seconds_left is not None
    assert CAP_SECONDS - 1 < echo_server.api.seconds_left <= CAP_SECONDS


async def test_a_call_without_a_deadline_ends_at_the_cap(
    echo_server: EchoServer, stub: EchoStub
) -> None:
    ended = asyncio.Event()

    async def wait(_text: str) -> str:
        try:
            await asyncio.sleep(2 * CAP_SECONDS)
        finally:
            ended.set()
        return ""

    echo_server.api.behave = wait
    code, reason = await refused(send(stub, "Echo", "a", seconds=None))

    assert (code, reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_PASSED")
    assert ended.is_set()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_deadline_above_the_cap_of_the_method_is_refused(stub: EchoStub, kind: str) -> None:
    assert (await refused(send(stub, kind, "a", seconds=CAP_SECONDS + 5)))[1] == "DEADLINE_TOO_LONG"


async def test_a_handler_knows_how_much_time_its_caller_left(
    echo_server: EchoServer, stub: EchoStub
) -> None:
    await send(stub, "Echo", "a", seconds=2)

    assert echo_server.api.seconds_left is not None
    assert 1 < echo_server.api.seconds_left <= 2.1


async def test_a_passed_deadline_ends_the_call(echo_server: EchoServer, stub: EchoStub) -> None:
    ended = asyncio.Event()

    async def wait(_text: str) -> str:
        try:
            await asyncio.sleep(5)
        finally:
            ended.set()
        return ""

    echo_server.api.behave = wait

    assert (await refused(send(stub, "Echo", "a", seconds=0.3)))[0] is (
        grpc.StatusCode.DEADLINE_EXCEEDED
    )
    await asyncio.wait_for(ended.wait(), 2)


async def test_a_message_above_four_mebibytes_is_refused(stub: EchoStub) -> None:
    code, _ = await refused(send(stub, "Echo", "x" * (4 * 1024 * 1024 + 1)))

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_small_message_that_unpacks_to_a_large_one_is_refused(
    echo_server: EchoServer,
) -> None:
    async with grpc.aio.insecure_channel(
        echo_server.address, compression=grpc.Compression.Gzip
    ) as channel:
        code, _ = await refused(send(EchoStub(channel), "Echo", "x" * (32 * 1024 * 1024)))

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert echo_server.api.call_count == 0


async def test_a_server_with_a_method_without_a_rule_does_not_start() -> None:
    server = RpcServer("echo", usual_admission(ISSUER.verifier()))
    add_echo_to_server(EchoApi(), server.registrar, UNRULED)

    with pytest.raises(MethodWithoutAccessRule, match="UnruledService"):
        await server.start("127.0.0.1:0")
    await server.stop(0)


async def test_a_port_is_not_shared_unseen(echo_server: EchoServer) -> None:
    second = RpcServer("echo", usual_admission(ISSUER.verifier()))

    with pytest.raises(AddressTakenError, match="OIP_ECHO_ADDRESS"):
        await second.start(echo_server.address)
    await second.stop(0)


async def health_of(channel: grpc.aio.Channel) -> int:
    check = health_pb2_grpc.HealthStub(channel)
    return int((await check.Check(health_pb2.HealthCheckRequest(), timeout=2)).status)


async def test_health_needs_no_token_and_reports_a_blocked_loop(
    echo_server: EchoServer,
) -> None:
    watch = asyncio.create_task(watch_loop([echo_server.server], limit=0.2))
    async with grpc.aio.insecure_channel(echo_server.health_address) as channel:
        assert await health_of(channel) == health_pb2.HealthCheckResponse.SERVING
        await asyncio.sleep(0.3)
        time.sleep(0.8)  # noqa: ASYNC251 - the stuck loop is what is tested
        await asyncio.sleep(0.01)
        seen = await health_of(channel)
        await asyncio.sleep(0.8)

        assert seen == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await health_of(channel) == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


async def test_reflection_is_served_in_development_alone(echo_server: EchoServer) -> None:
    path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

    async def ask(address: str) -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            talk: Any = channel.stream_stream(path)
            call = talk(iter([b"\x3a\x00"]), timeout=2)
            async for _ in call:
                pass

    assert (await refused(ask(echo_server.address)))[0] is grpc.StatusCode.UNIMPLEMENTED
    showing = RpcServer("echo", usual_admission(ISSUER.verifier()), reflect=True)
    port = await showing.start("127.0.0.1:0")
    await ask(f"127.0.0.1:{port}")
    await showing.stop(0)


async def test_a_stopping_server_lets_running_calls_finish_within_its_grace(
    echo_server: EchoServer, stub: EchoStub
) -> None:
    async def work(_text: str) -> str:
        await asyncio.sleep(0.5)
        return "finished"

    echo_server.api.behave = work
    running = asyncio.create_task(send(stub, "Echo", "a"))
    await asyncio.sleep(0.1)
    await echo_server.server.stop(grace=2)

    assert await running == ["finished"]


async def test_a_call_crosses_few_threads() -> None:
    """In a separate process, because gRPC reads its settings when it is imported."""
    calls = 200
    program = (
        "import services, asyncio; from tests.support.thread_switches import main;"
        f" asyncio.run(main({calls}))"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()

    assert process.returncode == 0
    assert int(said) < calls
