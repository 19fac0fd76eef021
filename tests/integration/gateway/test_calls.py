"""Calls of the Connect protocol as JSON: answers, refusals, deadlines, and what is not read."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
from oip.enrolment.v1 import enrolment_pb2

from tests.integration.gateway.conftest import PACKAGE, Door
from tests.support.gateway import JSON, call, gateway
from tests.support.http_client import read_answer

CODE, UNKNOWN = "91350100M000100Y43", "91440101MA5PLT0043"
PEARL = {
    "requestId": "r1",
    "creditCode": CODE,
    "displayName": "Pearl Rides",
    "industries": ["RIDE_HAILING"],
}
MIB = 1024 * 1024


async def test_a_change_and_a_read(door: Door) -> None:
    made = await door.call("RegisterPlatform", json.dumps(PEARL))
    read = await door.call("GetPlatform", json.dumps({"name": f"platforms/{CODE}"}))

    assert (made.status, read.status) == (200, 200)
    assert made.json == read.json
    assert read.json["name"] == f"platforms/{CODE}"
    assert read.json["revision"] == "1"
    assert read.json["createTime"].startswith("2025-07-01T01:00:00")
    assert read.headers["content-type"] == "application/json"
    assert read.headers["cache-control"] == "no-store"


async def test_a_repeat_of_a_request_gets_the_first_answer(door: Door) -> None:
    answers = [await door.call("RegisterPlatform", json.dumps(PEARL)) for _ in range(2)]
    other = await door.call("RegisterPlatform", json.dumps({**PEARL, "displayName": "Other"}))

    assert answers[0].body == answers[1].body
    assert (other.status, other.reason) == (409, "REQUEST_ID_REUSED")


async def test_a_refusal_has_code_reason_facts_and_the_caller_s_language(door: Door) -> None:
    content = json.dumps({"name": f"platforms/{UNKNOWN}"})
    english = await door.call("GetPlatform", content)
    chinese = await door.call("GetPlatform", content, accept_language="zh-CN,zh;q=0.9,en;q=0.8")
    indifferent = await door.call("GetPlatform", content, accept_language="fr, en;q=0.5, zh;q=0.2")

    assert english.status == 404
    assert english.json["code"] == "not_found"
    assert english.reason == "NOT_FOUND"
    assert english.json["message"].startswith(f"There is no platforms/{UNKNOWN}")
    assert english.headers["content-language"] == "en"
    assert chinese.json["message"].startswith(f"不存在 platforms/{UNKNOWN}")
    assert chinese.headers["content-language"] == "zh-cn"
    assert indifferent.json["message"] == english.json["message"]
    info = next(each for each in english.json["details"] if each["type"] == "google.rpc.ErrorInfo")
    assert info["debug"]["metadata"] == {"name": f"platforms/{UNKNOWN}"}
    assert info["debug"]["domain"] == "enrolment.oip"
    assert not info["value"].endswith("=")


@pytest.mark.parametrize("token", ["", "no-token", "a b", "\u00e9"])
async def test_a_caller_without_a_token_is_refused(door: Door, token: str) -> None:
    headers = {**JSON, **({"authorization": f"Bearer {token}"} if token else {})}
    answer = await door.http.post(f"{PACKAGE}/ListPlatforms", b"{}", headers)

    assert (answer.status, answer.reason) == (401, "UNAUTHENTICATED")


async def test_a_role_that_the_method_does_not_name_is_refused(door: Door) -> None:
    token = door.token("specialist")
    answer = await door.call("ListPlatforms", token=token)

    assert (answer.status, answer.json["code"], answer.reason) == (
        403,
        "permission_denied",
        "FORBIDDEN",
    )


@pytest.mark.parametrize(
    ("milliseconds", "status", "reason"),
    [
        ("5000", 200, ""),
        ("60000", 400, "DEADLINE_TOO_LONG"),
        ("0", 504, "DEADLINE_PASSED"),
        ("-1", 400, "HEADER_WRONG"),
        ("1e3", 400, "HEADER_WRONG"),
        ("12345678901", 400, "HEADER_WRONG"),
        ("soon", 400, "HEADER_WRONG"),
    ],
)
async def test_the_deadline_of_a_call(
    door: Door, milliseconds: str, status: int, reason: str
) -> None:
    answer = await door.call("ListPlatforms", connect_timeout_ms=milliseconds)

    assert (answer.status, answer.reason) == (status, reason)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"nam": "a"}', "JSON_FIELD_UNKNOWN"),
        ('{"name": 1}', "JSON_VALUE_WRONG"),
        ('{"name": "\\ud800"}', "JSON_VALUE_WRONG"),
        ('{"name": "a", "name": "b"}', "JSON_NAME_TWICE"),
        ("", "JSON_UNREADABLE"),
        ("[]", "JSON_UNREADABLE"),
        ("null", "JSON_UNREADABLE"),
        ("{", "JSON_UNREADABLE"),
        (b"\xff\xfe{}", "JSON_UNREADABLE"),
        ("[" * 100_000, "JSON_TOO_DEEP"),
        ('{"name":' * 50_000, "JSON_TOO_DEEP"),
        ('{"name": ' + "9" * 5000 + "}", "JSON_VALUE_WRONG"),
    ],
)
async def test_json_that_is_no_request_is_refused(
    door: Door, content: str | bytes, reason: str
) -> None:
    answer = await door.call("GetPlatform", content, accept_language="zh")

    assert (answer.status, answer.json["code"]) == (400, "invalid_argument")
    assert answer.reason == reason
    assert "\u4e00" <= answer.json["message"][-4] <= "\u9fff"


async def test_a_path_that_is_no_method_is_refused(door: Door) -> None:
    paths = [
        f"{PACKAGE}/Nothing",
        "/oip.nothing.v1.Service/Get",
        "/nothing/at/all",
        "/oip.operations.v1.OperationsService/GetHealth",
        "/claims/oip.operations.v1.OperationsService/GetHealth",
        "/enrolment/oip.operations.v1.OperationsService/Replay",
    ]
    answers = [await call(door.http, path, "{}", door.token()) for path in paths]

    assert {(answer.status, answer.json["code"]) for answer in answers} == {(404, "unimplemented")}
    assert [answer.reason for answer in answers[:-1]] == ["METHOD_UNKNOWN"] * 5
    assert answers[-1].reason == "NOT_OVER_JSON"


async def test_operations_are_called_behind_the_service_s_name(door: Door) -> None:
    path = "/enrolment/oip.operations.v1.OperationsService/GetHealth"
    answer = await call(door.http, path, "{}", door.token())

    assert answer.status == 200
    assert "faults" in answer.json


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_another_http_method_is_refused(door: Door, method: str) -> None:
    headers = {"authorization": f"Bearer {door.token()}"}
    answer = await door.http.request(method, f"{PACKAGE}/ListPlatforms", b"", headers)

    assert (answer.status, answer.reason) == (405, "METHOD_IS_POST")
    assert answer.headers["allow"] == "post"


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({"content-type": "text/plain"}, 415, "CONTENT_TYPE_UNKNOWN"),
        ({"content-type": "application/json; charset=latin-1"}, 415, "CONTENT_TYPE_UNKNOWN"),
        ({"content-type": "application/json; charset=utf-8"}, 200, ""),
        ({"connect-protocol-version": "2"}, 400, "HEADER_WRONG"),
        ({"content-encoding": "br"}, 400, "ENCODING_UNKNOWN"),
        ({"content-encoding": "gzip"}, 400, "BODY_DAMAGED"),
    ],
)
async def test_the_headers_of_a_call(
    door: Door, headers: dict[str, str], status: int, reason: str
) -> None:
    sent = {**JSON, "authorization": f"Bearer {door.token()}", **headers}
    answer = await door.http.post(f"{PACKAGE}/ListPlatforms", b"{}", sent)

    assert (answer.status, answer.reason) == (status, reason)


async def test_messages_in_protobuf_are_taken_too(door: Door) -> None:
    headers = {"content-type": "application/proto", "authorization": f"Bearer {door.token()}"}
    answer = await door.http.post(f"{PACKAGE}/ListPlatforms", b"", headers)
    damaged = await door.http.post(f"{PACKAGE}/ListPlatforms", b"\xff", headers)

    assert answer.headers["content-type"] == "application/proto"
    assert enrolment_pb2.ListPlatformsResponse.FromString(answer.body) is not None
    assert (damaged.status, damaged.reason) == (400, "UNREADABLE")


async def test_a_body_of_four_mebibytes_is_read_and_one_byte_more_refused(door: Door) -> None:
    def body(size: int) -> bytes:
        return b'{"pageToken":"' + b"a" * (size - 16) + b'"}'

    fits = await door.call("ListPlatforms", body(4 * MIB))
    over = await door.call("ListPlatforms", body(4 * MIB + 1))

    assert (fits.status, fits.reason) == (400, "TOO_LONG")
    assert (over.status, over.json["code"], over.reason) == (
        413,
        "resource_exhausted",
        "BODY_TOO_LARGE",
    )
    assert "retry-after" not in over.headers


async def test_a_gzip_body_is_read_and_a_bomb_refused(door: Door) -> None:
    packed = gzip.compress(b'{"pageSize":') + gzip.compress(b"1}")
    bomb = gzip.compress(b" " * 256 * MIB)
    half = packed[:-4]

    assert (await door.call("ListPlatforms", packed, content_encoding="gzip")).status == 200
    answer = await door.call("ListPlatforms", bomb, content_encoding="gzip")
    assert (answer.status, answer.reason) == (413, "BODY_TOO_LARGE")
    answer = await door.call("ListPlatforms", half, content_encoding="gzip")
    assert (answer.status, answer.reason) == (400, "BODY_DAMAGED")


async def test_an_integer_is_read_as_a_number_and_as_a_text(door: Door) -> None:
    for value in ("3", 3, 3.0, 3e0):
        answer = await door.call("ListPlatforms", json.dumps({"pageSize": value}))
        assert answer.status == 200, value
    refused: list[Any] = ["3.5", 3.5, True, "0x3", "1_0", " 3", "３", 2**31, str(2**31), [], {}]
    for value in refused:
        answer = await door.call("ListPlatforms", json.dumps({"pageSize": value}))
        assert (answer.status, answer.reason) == (400, "JSON_VALUE_WRONG"), value


async def test_a_slow_body_is_refused(door: Door) -> None:
    reader, writer = await door.http.connect()
    head = (
        f"POST {PACKAGE}/ListPlatforms HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {door.token()}\r\ncontent-length: 100\r\n\r\n"
    )
    writer.write(head.encode())
    for _ in range(4):
        writer.write(b" ")
        await asyncio.sleep(0.2)
    answer = await asyncio.wait_for(read_answer(reader), 5)

    assert (answer.status, answer.reason) == (408, "BODY_TOO_SLOW")
    assert answer.headers["connection"] == "close"
    writer.close()
    await writer.wait_closed()


async def test_a_service_that_is_away_is_unavailable(door: Door) -> None:
    token = door.token()
    addresses = {"enrolment": "127.0.0.1:1"}
    async with gateway(door.stack.stack.settings, addresses) as http:
        answer = await call(http, f"{PACKAGE}/ListPlatforms", "{}", token, accept_language="zh")

    assert (answer.status, answer.json["code"], answer.reason) == (
        503,
        "unavailable",
        "UNAVAILABLE",
    )
    assert answer.json["message"].startswith("系统暂时不可用")


async def test_health_and_the_description_need_no_token(door: Door) -> None:
    health = await door.http.get("/health")
    start = await door.http.get("/")
    page = await door.http.get(start.headers["location"])
    described = await door.http.get("/openapi.json")

    assert health.json == {"status": "SERVING"}
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert b"EnrolmentService_GetPlatform" in page.body
    assert described.json["openapi"].startswith("3.1")
