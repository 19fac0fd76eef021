"""Uploads of orders over HTTP: lines of JSON or an Arrow stream in, receipts out."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf import json_format
from oip.orders.v1 import orders_pb2 as pb

from services.gateway.methods import UPLOAD_PATH
from services.gateway.order_batches import ROWS_PER_BATCH
from services.gateway.uploads import ARROW, NDJSON
from services.runtime.base.settings import Settings
from tests.support.databases import Databases
from tests.support.gateway import gateway
from tests.support.http_client import Answer, HttpClient, read_answer, read_chunks, read_head
from tests.support.platforms import SWIFT
from tests.support.stack_client import StackClient
from tests.support.uploads import orders_client, row, table_of


@dataclass
class Intake:
    """A gateway before orders, and uploads as a platform."""

    http: HttpClient
    orders: StackClient

    async def upload(
        self, body: bytes | Iterable[bytes], run: str, kind: str = NDJSON, **headers: str
    ) -> Answer:
        return await self.http.post(path_of(run), body, self.headers(kind) | headers)

    def headers(self, kind: str) -> dict[str, str]:
        token = self.orders.stack.issuer.issue("platform", ["platform"], SWIFT)
        return {"content-type": kind, "authorization": f"Bearer {token}"}

    async def count(self) -> int:
        (counted,) = await self.orders.rows("orders", "select count(*) from orders.orders")
        return int(counted[0])


@pytest.fixture(scope="module")
async def intake(stack: Settings, databases: Databases) -> AsyncIterator[Intake]:
    async with orders_client(stack, databases) as client:
        limits = {"idle_seconds": 5.0, "upload_mebibytes": 8}
        async with gateway(client.stack.settings, client.stack.addresses, **limits) as http:
            yield Intake(http, client)


def path_of(run: str, platform: str = f"platforms/{SWIFT}") -> str:
    return f"{UPLOAD_PATH}?platform={platform}&run={run}"


def lines(rows: Iterable[dict[str, Any]]) -> bytes:
    texts = (json_format.MessageToJson(pb.OrderRow(**each), indent=None) for each in rows)
    return "\n".join(texts).encode()


def numbered(run: str, count: int, **changes: Any) -> list[dict[str, Any]]:
    return [row(f"{run}-{number}", **changes) for number in range(count)]


def answer_lines(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == NDJSON
    return [json.loads(line) for line in answer.body.splitlines()]


async def test_each_batch_of_lines_gets_its_receipt(intake: Intake) -> None:
    rows = numbered("lines", ROWS_PER_BATCH + 3)
    rows[ROWS_PER_BATCH + 1]["worker"] = 99
    first, second, end = answer_lines(await intake.upload(lines(rows), "lines"))

    assert first["receipt"]["createdCount"] == str(ROWS_PER_BATCH)
    assert (second["firstRow"], second["receipt"]["receivedCount"]) == (ROWS_PER_BATCH, "3")
    (rejection,) = second["receipt"]["rejections"]
    assert (rejection["index"], rejection["status"]) == ("1", "WORKER_NOT_ENROLLED")
    assert end == {"end": {"batchCount": 2}}


async def test_the_same_upload_gets_the_same_receipts(intake: Intake) -> None:
    body = lines(numbered("again", 10))
    first = await intake.upload(body, "again")
    count = await intake.count()
    again = await intake.upload(body, "again")

    assert answer_lines(first) == answer_lines(again)
    assert await intake.count() == count


async def test_an_integer_of_a_row_is_a_number_or_a_text(intake: Intake) -> None:
    (values,) = numbered("numbers", 1)
    text = {"orderNo": "numbers-a", "worker": "1", "acceptTimeUs": str(values["accept_time_us"])}
    number = {"orderNo": "numbers-b", "worker": 1, "acceptTimeUs": values["accept_time_us"]}
    common = {"revision": 1, "industry": "RIDE_HAILING", "state": "ACCEPTED"}
    common["placeOfAcceptance"] = 440100
    body = "\r\n\n".join(json.dumps(each | common) for each in (text, number)).encode()
    receipt, _ = answer_lines(await intake.upload(body, "numbers"))

    assert receipt["receipt"]["createdCount"] == "2"


async def test_each_record_batch_of_an_arrow_stream_is_a_batch(intake: Intake) -> None:
    table = table_of(numbered("arrow", 25))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=10)
    body = sink.getvalue().to_pybytes()
    answers = answer_lines(await intake.upload(pieces(body, 100), "arrow", ARROW))

    assert [each["receipt"]["createdCount"] for each in answers[:-1]] == ["10", "10", "5"]
    assert answers[-1] == {"end": {"batchCount": 3}}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda body: body[:-60], "ARROW_UNREADABLE"),
        (lambda body: b"PAR1" + body, "ARROW_UNREADABLE"),
        (lambda body: body[:8] + b"\x00" * 40 + body[48:], "ARROW_UNREADABLE"),
        (lambda body: body[:8] + b"\xff" * 40 + body[48:], "ARROW_UNREADABLE"),
        (lambda _: b"\xff\xff\xff\xff\xff\xff\xff\x7f", "ARROW_UNREADABLE"),
        (lambda _: b"", "ARROW_UNREADABLE"),
    ],
)
async def test_a_body_that_is_no_arrow_stream_is_refused(
    intake: Intake, change: Any, reason: str
) -> None:
    table = table_of(numbered("broken", 1))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    answer = await intake.upload(change(sink.getvalue().to_pybytes()), "broken", ARROW)

    assert (answer.status, answer.reason) == (400, reason)


async def test_dictionaries_of_an_arrow_stream_are_refused(intake: Intake) -> None:
    table = pa.table({"order_no": pa.array(["a", "b"]).dictionary_encode()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    answer = await intake.upload(sink.getvalue().to_pybytes(), "dictionary", ARROW)

    assert (answer.status, answer.reason) == (400, "ARROW_HAS_DICTIONARY")


async def test_columns_that_are_no_orders_are_refused_by_the_service(intake: Intake) -> None:
    table = pa.table({"order_no": ["a"]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    refused, end = answer_lines(await intake.upload(sink.getvalue().to_pybytes(), "cols", ARROW))

    assert refused["error"]["code"] == "invalid_argument"
    assert "BATCH_UNREADABLE" in json.dumps(refused["error"]["details"])
    assert end == {"end": {"batchCount": 1}}


async def test_a_line_that_is_no_row_stops_the_upload_after_the_batches_before_it(
    intake: Intake,
) -> None:
    rows = lines(numbered("stop", ROWS_PER_BATCH + 5))
    bodies = {"late": rows + b'\n{"orderNo": "x", "colour": 1}\n', "first": b'{"orderNo": 7}'}
    first, stopped = answer_lines(await intake.upload(bodies["late"], "stop"))
    refused = await intake.upload(bodies["first"], "stop-2", **{"accept-language": "zh"})

    assert first["receipt"]["createdCount"] == str(ROWS_PER_BATCH)
    assert stopped["error"]["message"].startswith(f"Line {ROWS_PER_BATCH + 6}: colour is no field")
    assert (refused.status, refused.reason) == (400, "ROW_UNREADABLE")
    assert refused.json["message"].startswith("第 1 行: orderNo 应为文本")


async def test_a_receipt_comes_while_the_body_is_still_sent(intake: Intake) -> None:
    reader, writer = await intake.http.connect()
    body = lines(numbered("stream", ROWS_PER_BATCH + 1))
    head = [f"POST {path_of('stream')} HTTP/1.1", "host: a", "transfer-encoding: chunked"]
    head += [f"{name}: {value}" for name, value in intake.headers(NDJSON).items()]
    writer.write(("\r\n".join(head) + "\r\n\r\n").encode())
    writer.write(b"%x\r\n%b\r\n" % (len(body) + 1, body + b"\n"))
    answer = await asyncio.wait_for(read_head(reader), 20)
    chunks = read_chunks(reader)
    first = json.loads(await asyncio.wait_for(anext(chunks), 20))
    writer.write(b"0\r\n\r\n")
    rest = [json.loads(each) async for each in chunks]

    assert answer.status == 200
    assert first["receipt"]["createdCount"] == str(ROWS_PER_BATCH)
    assert [list(each) for each in rest] == [["batch", "batchId", "firstRow", "receipt"], ["end"]]
    writer.close()
    await writer.wait_closed()


async def test_a_caller_may_send_all_before_it_reads_any(intake: Intake) -> None:
    """Each batch has a thousand rejections: far more than the buffers of a connection hold."""
    body = lines(numbered("deaf", 8 * ROWS_PER_BATCH, worker=99))
    answers = answer_lines(await intake.upload(gzip.compress(body), "deaf", **GZIP))

    assert [each["receipt"]["rejectedCount"] for each in answers[:-1]] == [str(ROWS_PER_BATCH)] * 8
    assert answers[-1] == {"end": {"batchCount": 8}}


GZIP = {"content-encoding": "gzip"}


async def test_an_upload_is_bounded_also_after_decompression(intake: Intake) -> None:
    bomb = gzip.compress(b"\n" * 64 * 1024 * 1024)
    long_line = b'{"orderNo":"' + b"a" * 100_000
    answer = await intake.upload(bomb, "bomb", **GZIP)
    lines_answer = await intake.upload(long_line, "long")

    assert (answer.status, answer.reason) == (413, "BODY_TOO_LARGE")
    assert (lines_answer.status, lines_answer.reason) == (400, "ROW_UNREADABLE")


async def test_an_upload_that_stops_coming_is_ended(intake: Intake) -> None:
    reader, writer = await intake.http.connect()
    head = [f"POST {path_of('slow')} HTTP/1.1", "host: a", "content-length: 1000"]
    head += [f"{name}: {value}" for name, value in intake.headers(NDJSON).items()]
    writer.write(("\r\n".join(head) + "\r\n\r\n{").encode())
    answer = await asyncio.wait_for(read_answer(reader), 20)

    assert (answer.status, answer.reason) == (408, "BODY_TOO_SLOW")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("path", "headers", "status", "reason"),
    [
        (path_of("a b".replace(" ", "%20")), {}, 400, "MALFORMED"),
        (path_of(""), {}, 400, "MALFORMED"),
        (path_of("run", "nobody"), {}, 400, "MALFORMED"),
        (path_of("run", "platforms/91350100M000100Y43"), {}, 200, ""),
        (path_of("run"), {"content-type": "application/json"}, 415, "CONTENT_TYPE_UNKNOWN"),
        (path_of("run"), {"authorization": "Bearer nobody"}, 401, "UNAUTHENTICATED"),
        (path_of("run"), {"authorization": ""}, 401, "UNAUTHENTICATED"),
    ],
)
async def test_the_head_of_an_upload(
    intake: Intake, path: str, headers: dict[str, str], status: int, reason: str
) -> None:
    body = lines(numbered("head", 1))
    answer = await intake.http.post(path, body, intake.headers(NDJSON) | headers)

    if reason:
        assert (answer.status, answer.reason) == (status, reason)
    else:  # another platform's: the service refuses the batch
        refused, _ = answer_lines(answer)
        assert refused["error"]["code"] == "permission_denied"


def pieces(body: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def test_who_has_not_sent_a_batch_keeps_nobody_out(intake: Intake) -> None:
    """Nobody has looked at its token yet: a few such uploads would close the door for all."""
    settings, addresses = intake.orders.stack.settings, intake.orders.stack.addresses
    limits = {"uploads": 1, "uploads_per_peer": 2, "first_batch_seconds": 1.0}
    async with gateway(settings, addresses, **limits) as http:
        reader, writer = await http.connect()
        head = "content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n"
        writer.write(
            f"POST {path_of('slow')} HTTP/1.1\r\n{head}authorization: Bearer a\r\n\r\n".encode()
        )
        writer.write(b"1\r\n{\r\n")
        await asyncio.sleep(0.2)
        body = lines(numbered("beside", 1))
        beside = await http.post(path_of("beside"), body, intake.headers(NDJSON))
        slow = await asyncio.wait_for(read_answer(reader), 5)
        writer.close()

    assert answer_lines(beside)[-1] == {"end": {"batchCount": 1}}
    assert (slow.status, slow.reason) == (408, "BODY_TOO_SLOW")
