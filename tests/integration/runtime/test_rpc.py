import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
import structlog
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from joserfc.jwk import OKPKey
from sqlalchemy.exc import DBAPIError

from services.kernel.problems import Forbidden, Kind, Malformed, NotFound, Problem
from services.runtime.channels import problem_of
from services.runtime.clock import SetClock
from services.runtime.database import Overloaded
from services.runtime.rpc import AddressTakenError, MethodWithoutAccessRule, RpcServer, watch_loop
from services.runtime.tokens import Issuer
from tests.support.echo import CAP_SECONDS, UNRULED, EchoApi, EchoStub, Text, add_echo_to_server

NOON = datetime(2025, 7, 1, 4, tzinfo=UTC)
ISSUER = Issuer(OKPKey.generate_key("Ed25519", auto_kid=True), SetClock(NOON))
ADJUDICATOR = ISSUER.issue("li", ["adjudicator"])
STRANGER = ISSUER.issue("wang", ["appraiser"])
KINDS = ["Say", "Tell", "Hear", "Talk"]


class Stack:
    def __init__(self) -> None:
        self.api = EchoApi()
        self.server = RpcServer("echo", ISSUER.verifier(), concurrent_rpcs_max=20)
        add_echo_to_server(self.api, self.server.registrar)
        self.port = 0

    def behave(self, error: BaseException) -> None:
        async def fail(_text: str) -> str:
            raise error

        self.api.behave = fail

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@pytest.fixture
async def stack() -> AsyncIterator[Stack]:
    made = Stack()
    made.port = await made.server.start("127.0.0.1:0")
    yield made
    await made.server.stop(grace=0)


async def send(
    stub: EchoStub, kind: str, *texts: str, token: str = ADJUDICATOR, seconds: float | None = 3.0
) -> list[str]:
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    ways: dict[str, Any] = {"timeout": seconds, "metadata": metadata}
    requests = [Text(value=text) for text in texts]
    if kind == "Say":
        return [(await stub.Say(requests[0], **ways)).value]
    if kind == "Hear":
        return [(await stub.Hear(iter(requests), **ways)).value]
    call = stub.Tell(requests[0], **ways) if kind == "Tell" else stub.Talk(iter(requests), **ways)
    return [answer.value async for answer in call]


@pytest.fixture
async def stub(stack: Stack) -> AsyncIterator[EchoStub]:
    async with grpc.aio.insecure_channel(stack.address) as channel:
        yield EchoStub(channel)


async def refused(work: Awaitable[Any]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await work
    problem = problem_of(caught.value)
    return problem.code, problem.reason


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        ("Say", ["li: a"]),
        ("Tell", ["li: a", "li: a"]),
        ("Hear", ["li: a b"]),
        ("Talk", ["li: a", "li: b"]),
    ],
)
async def test_each_streaming_kind_reaches_the_handler_with_its_caller(
    stub: EchoStub, kind: str, answers: list[str]
) -> None:
    assert await send(stub, kind, "a", "b") == answers


@pytest.mark.parametrize("kind", KINDS)
async def test_no_token_is_refused_and_the_handler_not_reached(
    stack: Stack, stub: EchoStub, kind: str
) -> None:
    assert await refused(send(stub, kind, "a", token="")) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "UNAUTHENTICATED",
    )
    assert stack.api.call_count == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_another_role_is_refused_and_the_handler_not_reached(
    stack: Stack, stub: EchoStub, kind: str
) -> None:
    code, reason = await refused(send(stub, kind, "a", token=STRANGER))

    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "FORBIDDEN")
    assert stack.api.call_count == 0


async def test_a_platform_without_a_credit_code_is_refused(stub: EchoStub) -> None:
    token = ISSUER.issue("waimai", ["platform"])

    assert (await refused(send(stub, "Say", "a", token=token)))[1] == "FORBIDDEN"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_without_a_deadline_is_refused(stub: EchoStub, kind: str) -> None:
    code, reason = await refused(send(stub, kind, "a", seconds=None))

    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "DEADLINE_MISSING")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_deadline_above_the_cap_of_the_method_is_refused(stub: EchoStub, kind: str) -> None:
    assert (await refused(send(stub, kind, "a", seconds=CAP_SECONDS + 5)))[1] == "DEADLINE_TOO_LONG"


async def test_a_handler_knows_how_much_time_its_caller_left(stack: Stack, stub: EchoStub) -> None:
    await send(stub, "Say", "a", seconds=2)

    assert stack.api.seconds_left is not None
    assert 1 < stack.api.seconds_left <= 2.1


async def test_a_passed_deadline_ends_the_call(stack: Stack, stub: EchoStub) -> None:
    ended = asyncio.Event()

    async def wait(_text: str) -> str:
        try:
            await asyncio.sleep(5)
        finally:
            ended.set()
        return ""

    stack.api.behave = wait

    assert (await refused(send(stub, "Say", "a", seconds=0.3)))[0] is (
        grpc.StatusCode.DEADLINE_EXCEEDED
    )
    await asyncio.wait_for(ended.wait(), 2)


class ClaimNotAccepted(Problem):
    kind, reason = Kind.NOT_ALLOWED_NOW, "CLAIM_NOT_ACCEPTED"
    words = "Accept claim {claim} first."
    words_zh = "请先受理 {claim}。"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_problem_leaves_with_its_reason_facts_and_both_sentences(
    stack: Stack, stub: EchoStub, kind: str
) -> None:
    stack.behave(ClaimNotAccepted(claim="claims/c1"))

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await send(stub, kind, "a")

    problem = problem_of(caught.value)
    assert problem.code is grpc.StatusCode.FAILED_PRECONDITION
    assert problem.reason == "CLAIM_NOT_ACCEPTED"
    assert problem.metadata == {"claim": "claims/c1"}
    assert problem.sentence == "Accept claim claims/c1 first."
    assert problem.sentence_zh == "请先受理 claims/c1。"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Malformed.of("month", "write it as 2025-07"), grpc.StatusCode.INVALID_ARGUMENT),
        (NotFound(name="claims/c1"), grpc.StatusCode.NOT_FOUND),
        (Forbidden(what="x"), grpc.StatusCode.PERMISSION_DENIED),
        (Overloaded(service="echo"), grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
async def test_each_kind_of_problem_is_one_canonical_code(
    stack: Stack, stub: EchoStub, error: Problem, code: grpc.StatusCode
) -> None:
    stack.behave(error)

    assert (await refused(send(stub, "Say", "a"))) == (code, error.reason)


async def details(work: Awaitable[Any]) -> dict[str, Any]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await work
    found = {}
    error = caught.value
    shim = type("Shim", (), {})()
    shim.trailing_metadata = lambda: tuple(error.trailing_metadata())
    shim.code, shim.details = error.code, error.details
    for detail in rpc_status.from_call(shim).details:
        name = detail.type_url.rpartition(".")[2]
        message = getattr(error_details_pb2, name)()
        detail.Unpack(message)
        found[name] = message
    return found


async def test_a_malformed_field_is_named_in_a_bad_request(stack: Stack, stub: EchoStub) -> None:
    stack.behave(Malformed.of("month", "write it as 2025-07"))

    found = await details(send(stub, "Say", "a"))

    assert found["BadRequest"].field_violations[0].field == "month"
    assert found["ErrorInfo"].domain == "echo.oip"
    assert found["LocalizedMessage"].locale == "zh-CN"


async def test_an_overloaded_service_says_when_to_come_again(stack: Stack, stub: EchoStub) -> None:
    stack.behave(Overloaded(service="echo"))

    assert (await details(send(stub, "Say", "a")))["RetryInfo"].retry_delay.seconds == 1


@pytest.fixture
def logged() -> Any:
    before = structlog.get_config()
    lines = io.StringIO()
    structlog.reset_defaults()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(lines),
        cache_logger_on_first_use=False,
    )
    yield lambda: [json.loads(line) for line in lines.getvalue().splitlines()]
    structlog.configure(**before)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_fault_leaves_as_a_fixed_text_and_is_logged_in_full(
    stack: Stack, stub: EchoStub, logged: Callable[[], list[dict[str, Any]]], kind: str
) -> None:
    stack.behave(RuntimeError("secret of the house"))

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await send(stub, kind, "the request body")

    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(caught.value.details()) + str(caught.value.trailing_metadata())
    line = next(line for line in logged() if line["event"] == "call_failed")
    assert "secret of the house" in line["exception"]
    assert "the request body" not in json.dumps(logged())


async def test_an_answer_is_logged_with_its_caller_and_without_its_content(
    stub: EchoStub, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    await send(stub, "Say", "the request body")

    (line,) = [line for line in logged() if line["event"] == "call_answered"]
    assert (line["subject"], line["method"]) == ("li", "/oip.test.v1.EchoService/Say")
    assert "the request body" not in json.dumps(line)


class InsertFailedError(DBAPIError):
    """As psycopg reports a duplicate: with the values of the row."""

    def __init__(self) -> None:
        orig = Exception("Key (citizen_number)=(11010519491231002X) already exists")
        super().__init__("insert into worker", {"n": "11010519491231002X"}, orig)


async def test_a_database_error_is_logged_without_the_values_it_quotes(
    stack: Stack, stub: EchoStub, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    stack.behave(InsertFailedError())

    assert (await refused(send(stub, "Say", "a")))[0] is grpc.StatusCode.INTERNAL
    (line,) = [line for line in logged() if line["event"] == "call_failed"]
    assert "in fail" in line["trace"]
    assert "11010519491231002X" not in json.dumps(logged())


@pytest.mark.parametrize("kind", KINDS)
async def test_bytes_that_are_no_message_are_refused_with_a_fixed_text(
    stack: Stack, kind: str
) -> None:
    async with grpc.aio.insecure_channel(stack.address) as channel:
        raw = EchoStub(channel, raw=True)
        metadata = (("authorization", f"Bearer {ADJUDICATOR}"),)
        bad: Any = b"\xff\xff\xff" if kind in {"Say", "Tell"} else iter([b"\xff\xff\xff"])
        call = getattr(raw, kind)(bad, timeout=3, metadata=metadata)

        async def all_of_it() -> None:
            if kind in {"Say", "Hear"}:
                await call
            else:
                async for _ in call:
                    pass

        assert await refused(all_of_it()) == (grpc.StatusCode.INVALID_ARGUMENT, "UNREADABLE")


async def test_a_stranger_does_not_learn_that_the_bytes_were_wrong(stack: Stack) -> None:
    async with grpc.aio.insecure_channel(stack.address) as channel:
        raw = EchoStub(channel, raw=True)

        assert (await refused(raw.Say(b"\xff", timeout=3)))[1] == "UNAUTHENTICATED"


async def test_a_message_above_four_mebibytes_is_refused(stub: EchoStub) -> None:
    code, _ = await refused(send(stub, "Say", "x" * (4 * 1024 * 1024 + 1)))

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_small_message_that_unpacks_to_a_large_one_is_refused(stack: Stack) -> None:
    async with grpc.aio.insecure_channel(
        stack.address, compression=grpc.Compression.Gzip
    ) as channel:
        code, _ = await refused(send(EchoStub(channel), "Say", "x" * (32 * 1024 * 1024)))

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert stack.api.call_count == 0


async def test_calls_beyond_the_limit_are_refused_at_once(stack: Stack, stub: EchoStub) -> None:
    go = asyncio.Event()

    async def wait(_text: str) -> str:
        await go.wait()
        return "done"

    stack.api.behave = wait
    calls = [asyncio.create_task(send(stub, "Say", "a")) for _ in range(30)]
    await asyncio.sleep(0.5)
    go.set()
    results = await asyncio.gather(*calls, return_exceptions=True)

    codes = [r.code() for r in results if isinstance(r, grpc.aio.AioRpcError)]
    assert codes
    assert set(codes) == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert sum(result == ["done"] for result in results) >= 20


async def test_a_server_with_a_method_without_a_rule_does_not_start() -> None:
    server = RpcServer("echo", ISSUER.verifier())
    add_echo_to_server(EchoApi(), server.registrar, UNRULED)

    with pytest.raises(MethodWithoutAccessRule, match="UnruledService"):
        await server.start("127.0.0.1:0")
    await server.stop(0)


async def test_a_port_is_not_shared_unseen(stack: Stack) -> None:
    second = RpcServer("echo", ISSUER.verifier())

    with pytest.raises(AddressTakenError, match="OIP_ECHO_ADDRESS"):
        await second.start(stack.address)
    await second.stop(0)


async def health_of(channel: grpc.aio.Channel) -> int:
    check = health_pb2_grpc.HealthStub(channel)
    return int((await check.Check(health_pb2.HealthCheckRequest(), timeout=2)).status)


async def test_health_needs_no_token_and_tells_when_the_loop_was_stuck(stack: Stack) -> None:
    watch = asyncio.create_task(watch_loop([stack.server], limit=0.2))
    async with grpc.aio.insecure_channel(stack.address) as channel:
        assert await health_of(channel) == health_pb2.HealthCheckResponse.SERVING
        await asyncio.sleep(0.3)
        time.sleep(0.8)  # noqa: ASYNC251 - the stuck loop is what is tested
        await asyncio.sleep(0.01)
        seen = await health_of(channel)
        await asyncio.sleep(0.8)

        assert seen == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await health_of(channel) == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


async def test_reflection_is_served_in_development_alone(stack: Stack) -> None:
    path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

    async def ask(address: str) -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            talk: Any = channel.stream_stream(path)
            call = talk(iter([b"\x3a\x00"]), timeout=2)
            async for _ in call:
                pass

    assert (await refused(ask(stack.address)))[0] is grpc.StatusCode.UNIMPLEMENTED
    showing = RpcServer("echo", ISSUER.verifier(), reflect=True)
    port = await showing.start("127.0.0.1:0")
    await ask(f"127.0.0.1:{port}")
    await showing.stop(0)


async def test_a_stopping_server_lets_running_calls_finish_within_its_grace(
    stack: Stack, stub: EchoStub
) -> None:
    async def work(_text: str) -> str:
        await asyncio.sleep(0.5)
        return "finished"

    stack.api.behave = work
    running = asyncio.create_task(send(stub, "Say", "a"))
    await asyncio.sleep(0.1)
    await stack.server.stop(grace=2)

    assert await running == ["finished"]
