"""Rows and messages that are wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from oip.orders.v1 import orders_pb2 as pb

from services.runtime.base.settings import Settings
from tests.support.databases import Databases
from tests.support.platforms import SWIFT
from tests.support.raw_upload import packed, raw_upload, refused_upload
from tests.support.stack_client import StackClient
from tests.support.uploads import (
    as_arrow,
    as_rows,
    orders_client,
    problem_in,
    row,
    table_of,
    upload_one,
    violations,
)
from tests.support.wrong_rows import KINDS, NAMES, wrong

S = pb.OrderRejection
MANY = 10_000
INLINE_MAX = 1000
# The longest answer: a thousand rejections with their sentences.
ANSWER_BYTES_MAX = 512 * 1024

# Sent as Arrow, for both forms to be refused alike.
AS_ARROW = {S.UNKNOWN_PLACE, S.WORKER_NOT_ENROLLED, S.TIME_IN_FUTURE}
WARM = [row("warm"), row("stranger", worker=999)]


@pytest.fixture(scope="module")
async def client(stack: Settings, databases: Databases) -> AsyncIterator[StackClient]:
    """One client for the file, whose books are right after all of it."""
    async with orders_client(stack, databases) as client:
        await upload_one(client, as_rows("warm", WARM))
        yield client
        assert await violations(client) == []


def sum_of_outcomes(receipt: pb.OrderBatch) -> int:
    return (
        receipt.created_count
        + receipt.exists_count
        + receipt.conflict_count
        + receipt.rejected_count
    )


async def listed(client: StackClient, receipt: pb.OrderBatch) -> list[pb.OrderRejection]:
    """Every rejection of a batch, page by page."""
    stub, token, rejections = client.orders("fund_officer"), "", list[pb.OrderRejection]()
    while True:
        page = await stub.ListOrderRejections(
            pb.ListOrderRejectionsRequest(
                order_batch=receipt.name, page_size=1000, page_token=token
            )
        )
        rejections += page.rejections
        token = page.next_page_token
        if not token:
            return rejections


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
async def test_ten_thousand_wrong_rows_are_each_named_in_an_answer_of_bounded_size(
    client: StackClient, kind: int
) -> None:
    rows = [wrong(kind, number) for number in range(MANY)]
    name = f"many-{kind}"
    batch = as_arrow(name, table_of(rows)) if kind in AS_ARROW else as_rows(name, rows)

    receipt = await upload_one(client, batch)

    assert receipt.received_count == MANY == sum_of_outcomes(receipt)
    assert receipt.rejected_count == MANY
    assert len(receipt.rejections) == INLINE_MAX
    assert receipt.ByteSize() < ANSWER_BYTES_MAX
    rejections = await listed(client, receipt)
    assert [one.index for one in rejections] == list(range(MANY))
    assert {one.status for one in rejections} == {kind}


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
async def test_one_wrong_row_of_many_is_refused_alone(client: StackClient, kind: int) -> None:
    rows = [row(f"one-{kind}-{number}") for number in range(3000)]
    rows[1717] = wrong(kind, 1717)

    receipt = await upload_one(client, as_rows(f"one-{kind}", rows))

    assert (receipt.created_count, receipt.rejected_count) == (2999, 1)
    assert [(one.index, one.status) for one in receipt.rejections] == [(1717, kind)]


async def test_every_kind_of_wrong_row_in_one_batch_is_counted_by_its_kind(
    client: StackClient,
) -> None:
    held = [row(f"mixed-held-{number}", revision=2) for number in range(3)]
    await upload_one(client, as_rows("mixed-held", held))
    rows = [row(f"mixed-{number}") for number in range(100)]
    rows += [wrong(kind, number) for number in range(200) for kind in KINDS]
    rows += [rows[0], row("mixed-1", worker=2), held[0]]
    rows += [row("mixed-held-1", revision=2, worker=2), row("mixed-held-2", revision=1)]

    receipt = await upload_one(client, as_rows("mixed", rows))

    assert receipt.received_count == len(rows) == sum_of_outcomes(receipt)
    assert (receipt.created_count, receipt.exists_count, receipt.conflict_count) == (100, 2, 2)
    by_status = Counter(one.status for one in await listed(client, receipt))
    assert by_status == dict.fromkeys(KINDS, 200) | {
        S.CONFLICT_IN_BATCH: 1,
        S.REVISION_OLDER_THAN_HELD: 1,
        S.EXISTS_WITH_DIFFERENT_CONTENT: 1,
    }


async def test_bytes_that_are_no_message_get_one_fixed_text_that_repeats_nothing(
    client: StackClient,
) -> None:
    texts = set()
    for content in (
        b"\xff\xff\xff",
        packed(1, b"\xff\xfe marker"),  # a batch id that is no UTF-8
        packed(3, b"")[:1],  # no length
        b"\x0a\xffmarker",  # a length beyond the end
        deep(300),
    ):
        error = await refused_upload(client, content)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        texts.add(error.details())

    assert len(texts) == 1
    assert "marker" not in texts.pop()


async def test_rows_that_are_no_message_cost_their_batch_and_get_one_fixed_text(
    client: StackClient,
) -> None:
    await upload_one(client, as_rows("warm", WARM))
    workers = children()
    contents = (
        b"\xff\xff\xff",
        packed(1, packed(1, b"marker\xff")),  # an order number that is no UTF-8
        packed(1, b"\x0a\xffmarker"),  # a length beyond the end
        b"\x0b" * 5000,  # groups that never end
        deep(300),
        packed(1, deep(300)),
    )
    broken = [of_rows(f"broken-{number}", content) for number, content in enumerate(contents)]

    *answers, after = await raw_upload(client, *broken, as_rows("warm", WARM).SerializeToString())

    problems = {problem_in(answer.problem) for answer in answers}
    ((code, reason, text),) = problems
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BATCH_UNREADABLE")
    assert "marker" not in text
    assert after.WhichOneof("outcome") == "receipt"
    assert workers <= children()


async def test_rows_in_pieces_are_one_batch(client: StackClient) -> None:
    halves = [[row(f"piece-{half}-{number}") for number in range(3)] for half in range(2)]
    one, other = (as_rows("pieces", half).rows.SerializeToString() for half in halves)
    message = of_rows("pieces", one) + packed(3, other)

    (taken,) = await raw_upload(client, message)

    assert taken.receipt == await upload_one(client, as_rows("pieces", halves[0] + halves[1]))
    assert taken.receipt.created_count == 6


async def test_the_same_rows_in_another_librarys_writing_are_the_same_batch(
    client: StackClient,
) -> None:
    batch = as_rows("library", [row(f"library-{number}", reason="雨") for number in range(3)])
    first = await upload_one(client, batch)
    rows = [one.SerializeToString() for one in batch.rows.rows]
    # A field's default may be written, and a number longer than it has to be.
    rows[1] += b"\x38\x00" + b"\x10\x81\x00"

    (again,) = await raw_upload(
        client, of_rows("library", b"".join(packed(1, one) for one in rows))
    )
    rows[1] += b"\x10\x02"
    (other,) = await raw_upload(
        client, of_rows("library", b"".join(packed(1, one) for one in rows))
    )

    assert again.receipt == first
    assert problem_in(other.problem)[1] == "BATCH_ID_REUSED"


def of_rows(name: str, rows: bytes) -> bytes:
    """A batch whose rows are these bytes."""
    request = pb.UploadOrdersRequest(batch_id=name, platform=f"platforms/{SWIFT}")
    return request.SerializeToString() + packed(3, rows)


def children() -> set[int]:
    """The processes that this one has started."""
    pids: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        pids |= set(map(int, (task / "children").read_text(encoding="ascii").split()))
    return pids


def deep(levels: int) -> bytes:
    """Groups of an unknown number within each other, deeper than any message of ours."""
    return b"\xa3\x06" * levels + b"\xa4\x06" * levels


async def test_fields_that_nobody_knows_are_passed_over(client: StackClient) -> None:
    known = as_rows("unknown-field", [row("unknown-field")]).SerializeToString()

    (taken,) = await raw_upload(client, known + packed(2000, b"from a later version"))

    assert taken.receipt.created_count == 1


@pytest.mark.parametrize("changes", [{"industry": 2**31 - 1}, {"industry": -1}, {"state": -5}])
async def test_an_enum_value_that_nobody_knows_costs_its_row_alone(
    client: StackClient, changes: dict[str, int]
) -> None:
    name = f"enum-{abs(next(iter(changes.values())))}"
    receipt = await upload_one(client, as_rows(name, [row(name), row(f"{name}-x", **changes)]))

    assert (receipt.created_count, receipt.rejected_count) == (1, 1)


@pytest.mark.parametrize(
    "request_",
    [
        pb.UploadOrdersRequest(),
        pb.UploadOrdersRequest(batch_id="no-content", platform=f"platforms/{SWIFT}"),
        pb.UploadOrdersRequest(
            batch_id="no-rows", platform=f"platforms/{SWIFT}", rows=pb.OrderRows()
        ),
        pb.UploadOrdersRequest(batch_id="no-arrow", platform=f"platforms/{SWIFT}", arrow_ipc=b""),
        pb.UploadOrdersEnvelope(
            batch_id="both", platform=f"platforms/{SWIFT}", rows=[b""], arrow_ipc=b""
        ),
        pb.UploadOrdersRequest(batch_id="../x", platform=f"platforms/{SWIFT}"),
        pb.UploadOrdersRequest(batch_id="x" * 100_000, platform=f"platforms/{SWIFT}"),
        pb.UploadOrdersRequest(batch_id="no-platform", platform="x" * 100_000),
    ],
    ids=["empty", "no content", "no rows", "no arrow", "both", "bad id", "long id", "no platform"],
)
async def test_a_batch_without_its_parts_is_malformed_and_the_stream_goes_on(
    client: StackClient, request_: Any
) -> None:
    warm = as_rows("warm", WARM).SerializeToString()
    answer, after = await raw_upload(client, request_.SerializeToString(), warm)

    code, _, text = problem_in(answer.problem)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert len(text) < 1000
    assert after.WhichOneof("outcome") == "receipt"
