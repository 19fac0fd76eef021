"""Errors of the Connect protocol: codes, HTTP statuses, the caller's language."""

from __future__ import annotations

import grpc
import pytest

from services.gateway.errors import (
    CODES,
    error_of,
    http_status_of,
    language_of,
    retry_seconds,
    status_of_error,
)
from services.gateway.problems import BodyTooLarge, MethodUnknown
from services.kernel.problems import NotFound, Problem
from services.runtime.rpc.quotas import limit_reached


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("zh", "zh-CN"),
        ("zh-Hans-CN,zh;q=0.9", "zh-CN"),
        ("ZH-cn", "zh-CN"),
        ("en, zh", "en"),
        ("en;q=0.5, zh;q=0.6", "zh-CN"),
        ("fr, de", "en"),
        ("*", "en"),
        ("zh;q=0", "en"),
        ("zh;q=1.2.3", "en"),
        ("zh;;;,,q=", "en"),
        ("zh," * 10_000, "zh-CN"),
    ],
)
def test_the_language_that_the_caller_likes_best(accepted: str, language: str) -> None:
    assert language_of(accepted) == language


def test_every_code_of_grpc_has_a_word_and_a_status() -> None:
    numbers = {code.value[0] for code in grpc.StatusCode if code is not grpc.StatusCode.OK}

    assert set(CODES) == numbers
    assert len({word for word, _ in CODES.values()}) == len(CODES)


@pytest.mark.parametrize(
    ("problem", "code", "http_status", "retry"),
    [
        (NotFound(name="claims/c1"), "not_found", 404, 0),
        (MethodUnknown(path="/a"), "unimplemented", 404, 0),
        (BodyTooLarge(max_bytes=1), "resource_exhausted", 413, 0),
        (limit_reached("calls", 4), "resource_exhausted", 429, 1),
    ],
)
def test_a_refusal_as_an_error(problem: Problem, code: str, http_status: int, retry: int) -> None:
    status = status_of_error(problem, "claims", "/a", 30)
    english, chinese = error_of(status, "en"), error_of(status, "zh-CN")

    assert (english["code"], http_status_of(status), retry_seconds(status)) == (
        code,
        http_status,
        retry,
    )
    assert english["message"] == problem.sentence
    assert chinese["message"] == problem.sentence_zh
    assert english["details"] == chinese["details"]
    assert english["details"][0]["debug"]["reason"] == problem.reason


def test_a_fault_shows_nothing_of_itself() -> None:
    status = status_of_error(KeyError("secret"), "claims", "/a", 30)

    assert error_of(status, "en")["code"] == "internal"
    assert "secret" not in str(error_of(status, "en"))


@pytest.mark.parametrize(
    ("code", "text", "word", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, "connect", "unavailable", "UNAVAILABLE"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "", "deadline_exceeded", "DEADLINE_PASSED"),
        (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "Received message larger than max",
            "resource_exhausted",
            "ANSWER_TOO_LARGE",
        ),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent", "unavailable", "UNAVAILABLE"),
        (grpc.StatusCode.UNIMPLEMENTED, "", "unimplemented", "METHOD_UNKNOWN"),
    ],
)
def test_what_grpc_itself_refuses_has_a_reason_too(
    code: grpc.StatusCode, text: str, word: str, reason: str
) -> None:
    call = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details=text)
    error = error_of(status_of_error(call, "claims", "/a", 30), "zh-CN")

    assert error["code"] == word
    assert error["details"][0]["debug"]["reason"] == reason
    assert any("\u4e00" <= sign <= "\u9fff" for sign in error["message"])
