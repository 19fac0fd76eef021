"""An error is answered with a status that says what to do, and is logged in full."""

from __future__ import annotations

import io
import json
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
import structlog
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy.exc import DBAPIError

from services.kernel.problems import Forbidden, Kind, Malformed, NotFound, Problem
from services.runtime.rpc.client import problem_of
from services.runtime.storage.database import Overloaded
from tests.support.echo import EchoStub
from tests.support.echo_server import (
    ADJUDICATOR,
    KINDS,
    EchoServer,
    refused,
    send,
)


class ClaimNotAccepted(Problem):
    kind, reason = Kind.NOT_ALLOWED_NOW, "CLAIM_NOT_ACCEPTED"
    message = "Accept claim {claim} first."
    message_zh = "请先受理 {claim}。"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_problem_leaves_with_its_reason_facts_and_both_sentences(
    echo_server: EchoServer, stub: EchoStub, kind: str
) -> None:
    echo_server.behave(ClaimNotAccepted(claim="claims/c1"))

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
        (
            Malformed.of("month", "NOT_A_MONTH", "write it as 2025-07", "请写作 2025-07"),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (NotFound(name="claims/c1"), grpc.StatusCode.NOT_FOUND),
        (Forbidden.of("X", "x", "不可"), grpc.StatusCode.PERMISSION_DENIED),
        (Overloaded(service="echo"), grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
async def test_each_kind_of_problem_is_one_canonical_code(
    echo_server: EchoServer, stub: EchoStub, error: Problem, code: grpc.StatusCode
) -> None:
    echo_server.behave(error)

    assert (await refused(send(stub, "Echo", "a"))) == (code, error.reason)


async def details(work: Awaitable[Any]) -> dict[str, Any]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await work
    by_type = {}
    error = caught.value
    shim = type("Shim", (), {})()
    shim.trailing_metadata = lambda: tuple(error.trailing_metadata())
    shim.code, shim.details = error.code, error.details
    for detail in rpc_status.from_call(shim).details:
        name = detail.type_url.rpartition(".")[2]
        message = getattr(error_details_pb2, name)()
        detail.Unpack(message)
        by_type[name] = message
    return by_type


async def test_a_malformed_field_is_named_in_a_bad_request(
    echo_server: EchoServer, stub: EchoStub
) -> None:
    echo_server.behave(
        Malformed.of("month", "NOT_A_MONTH", "write it as 2025-07", "请写作 2025-07")
    )

    found = await details(send(stub, "Echo", "a"))

    assert found["BadRequest"].field_violations[0].field == "month"
    assert found["ErrorInfo"].domain == "echo.oip"
    assert found["LocalizedMessage"].locale == "zh-CN"


async def test_an_overloaded_service_says_when_to_come_again(
    echo_server: EchoServer, stub: EchoStub
) -> None:
    echo_server.behave(Overloaded(service="echo"))

    assert (await details(send(stub, "Echo", "a")))["RetryInfo"].retry_delay.seconds == 1


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
    echo_server: EchoServer, stub: EchoStub, logged: Callable[[], list[dict[str, Any]]], kind: str
) -> None:
    echo_server.behave(RuntimeError("secret of the house"))

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
    await send(stub, "Echo", "the request body")

    (line,) = [line for line in logged() if line["event"] == "call_answered"]
    assert (line["subject"], line["method"]) == ("li", "/oip.test.v1.EchoService/Echo")
    assert "the request body" not in json.dumps(line)


class InsertFailedError(DBAPIError):
    """As psycopg reports a duplicate: with the values of the row."""

    def __init__(self) -> None:
        orig = Exception("Key (citizen_number)=(11010519491231002X) already exists")
        super().__init__("insert into worker", {"n": "11010519491231002X"}, orig)


async def test_a_database_error_is_logged_without_the_values_it_quotes(
    echo_server: EchoServer, stub: EchoStub, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    echo_server.behave(InsertFailedError())

    assert (await refused(send(stub, "Echo", "a")))[0] is grpc.StatusCode.INTERNAL
    (line,) = [line for line in logged() if line["event"] == "call_failed"]
    assert "in fail" in line["trace"]
    assert "11010519491231002X" not in json.dumps(logged())


@pytest.mark.parametrize("kind", KINDS)
async def test_bytes_that_are_no_message_are_refused_with_a_fixed_text(
    echo_server: EchoServer, kind: str
) -> None:
    async with grpc.aio.insecure_channel(echo_server.address) as channel:
        raw = EchoStub(channel, raw=True)
        metadata = (("authorization", f"Bearer {ADJUDICATOR}"),)
        bad: Any = b"\xff\xff\xff" if kind in {"Echo", "EchoTwice"} else iter([b"\xff\xff\xff"])
        call = getattr(raw, kind)(bad, timeout=3, metadata=metadata)

        async def all_of_it() -> None:
            if kind in {"Echo", "EchoAll"}:
                await call
            else:
                async for _ in call:
                    pass

        assert await refused(all_of_it()) == (grpc.StatusCode.INVALID_ARGUMENT, "UNREADABLE")


async def test_a_stranger_does_not_learn_that_the_bytes_were_wrong(echo_server: EchoServer) -> None:
    async with grpc.aio.insecure_channel(echo_server.address) as channel:
        raw = EchoStub(channel, raw=True)

        assert (await refused(raw.Echo(b"\xff", timeout=3)))[1] == "UNAUTHENTICATED"
