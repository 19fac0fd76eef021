from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
from oip.orders.v1 import orders_pb2 as pb
from oip.type.v1 import type_pb2

from services.client.upload.batches import split_into_batches
from services.client.upload.stream import upload_orders
from services.orderlog.columns import ROWS_MAX
from services.runtime.rpc.client import RemoteProblem
from tests.support.platforms import PEARL, SWIFT
from tests.support.stack_client import StackClient
from tests.support.uploads import (
    NINE,
    NOW,
    as_arrow,
    as_rows,
    enrol,
    row,
    table_of,
    upload,
    upload_one,
    upload_refused,
    violations,
)

S = pb.OrderRejection
JULY = type_pb2.Month(year=2025, month=7)


def counts(receipt: pb.OrderBatch) -> tuple[int, int, int, int, int]:
    return (
        receipt.received_count,
        receipt.created_count,
        receipt.exists_count,
        receipt.conflict_count,
        receipt.rejected_count,
    )


async def tallies(client: StackClient) -> dict[tuple[str, int, int], int]:
    answer = await client.orders("fund_officer").ListOrderTallies(
        pb.ListOrderTalliesRequest(month=JULY)
    )
    return {
        (one.pooling_area, one.industry, one.service_date.day): one.order_count
        for one in answer.tallies
    }


@pytest.mark.parametrize("form", ["rows", "arrow"])
async def test_a_batch_is_stored_counted_and_receipted(client: StackClient, form: str) -> None:
    rows = [row(f"o-{n}", place_of_acceptance=(440100, 440606)[n % 2]) for n in range(10)]
    batch = as_rows("b1", rows) if form == "rows" else as_arrow("b1", table_of(rows))

    receipt = await upload_one(client, batch)

    assert counts(receipt) == (10, 10, 0, 0, 0)
    assert receipt.name == f"platforms/{SWIFT}/orderBatches/b1"
    assert await tallies(client) == {("440100", 1, 10): 5, ("440600", 1, 10): 5}
    assert await violations(client) == []


async def test_both_forms_give_the_same_root(client: StackClient) -> None:
    rows = [row(f"o-{n}", reason="雨" if n % 3 else "", ended=None, state=1) for n in range(7)]
    await enrol(client, 1, platform=PEARL)

    one = await upload_one(client, as_rows("b1", rows))
    two = await upload_one(client, as_arrow("b2", table_of(rows[:3])))
    other = await upload_one(client, as_arrow("b1", table_of(rows), PEARL), PEARL)

    assert one.merkle_root != other.merkle_root  # the platform is part of each leaf
    assert counts(two) == (3, 0, 3, 0, 0)


async def test_the_same_batch_again_gets_the_first_receipt(client: StackClient) -> None:
    batch = as_rows("b1", [row("o-1"), row("", worker=2)])

    first = await upload_one(client, batch)
    again = await upload_one(client, batch)

    assert first == again
    assert counts(first) == (2, 1, 0, 0, 1)


async def test_a_batch_id_with_other_content_is_refused(client: StackClient) -> None:
    await upload_one(client, as_rows("b1", [row("o-1")]))

    code, reason, _ = await upload_refused(client, as_rows("b1", [row("o-2")]))

    assert (code, reason) == (grpc.StatusCode.ALREADY_EXISTS, "BATCH_ID_REUSED")
    assert await violations(client) == []


async def test_rows_held_already_exist_whatever_batch_brings_them(client: StackClient) -> None:
    rows = [row(f"o-{n}") for n in range(20)]
    await upload_one(client, as_rows("b1", rows))

    again = await upload_one(client, as_rows("b2", rows))
    mixed = await upload_one(client, as_rows("b3", [*rows[:5], row("o-new"), row("o-9", worker=2)]))

    assert counts(again) == (20, 0, 20, 0, 0)
    assert counts(mixed) == (7, 1, 5, 1, 0)
    assert [(one.index, one.status) for one in mixed.rejections] == [
        (6, S.EXISTS_WITH_DIFFERENT_CONTENT)
    ]
    assert await tallies(client) == {("440100", 1, 10): 21}
    assert await violations(client) == []


async def test_an_order_sent_again_with_the_next_day_is_a_conflict_not_a_second_order(
    client: StackClient,
) -> None:
    await upload_one(client, as_rows("b1", [row("o-1")]))

    receipt = await upload_one(
        client, as_rows("b2", [row("o-1", accepted=NINE + timedelta(days=1))])
    )

    assert counts(receipt) == (1, 0, 0, 1, 0)
    assert await tallies(client) == {("440100", 1, 10): 1}


async def test_a_row_twice_in_a_batch_is_stored_once(client: StackClient) -> None:
    receipt = await upload_one(
        client, as_rows("b1", [row("o-1"), row("o-1"), row("o-1", worker=2)])
    )

    assert counts(receipt) == (3, 1, 1, 1, 0)
    assert receipt.rejections[0].status == S.CONFLICT_IN_BATCH
    assert await violations(client) == []


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        ([2, 2], (2, 0, 0, 2, 0)),
        ([2, 1], (2, 0, 1, 1, 0)),
        ([1, 2, 1, 2], (4, 0, 2, 2, 0)),
        ([2, 3, 2], (3, 0, 0, 3, 0)),
    ],
)
async def test_duplicate_rows_are_compared_with_what_is_held(
    client: StackClient, workers: list[int], expected: tuple[int, ...]
) -> None:
    await upload_one(client, as_rows("b1", [row("o-1"), row("o-2", revision=2)]))

    receipt = await upload_one(client, as_rows("b2", [row("o-1", worker=one) for one in workers]))

    assert counts(receipt) == expected
    assert [(one.index, one.status) for one in receipt.rejections] == [
        (index, S.EXISTS_WITH_DIFFERENT_CONTENT) for index, one in enumerate(workers) if one != 1
    ]
    older = await upload_one(client, as_rows("b3", [row("o-2"), row("o-2"), row("o-2", worker=2)]))
    assert counts(older) == (3, 0, 0, 0, 3)
    assert {one.status for one in older.rejections} == {S.REVISION_OLDER_THAN_HELD}
    assert await violations(client) == []


async def test_duplicate_rows_among_new_and_held_ones(client: StackClient) -> None:
    await upload_one(client, as_rows("b1", [row("held")]))
    sent = [
        row("new", worker=3),
        row("held"),
        row("new", worker=3),
        row("held", revision=2),
        row("new", worker=2),
        row("held", worker=2),
        row("held", revision=2),
        row("last"),
    ]

    receipt = await upload_one(client, as_rows("b2", sent))

    assert counts(receipt) == (8, 3, 3, 2, 0)
    assert [(one.index, one.status) for one in receipt.rejections] == [
        (4, S.CONFLICT_IN_BATCH),
        (5, S.EXISTS_WITH_DIFFERENT_CONTENT),
    ]
    assert await tallies(client) == {("440100", 1, 10): 3}
    assert await violations(client) == []


async def test_the_latest_revision_counts(client: StackClient) -> None:
    await upload_one(client, as_rows("b1", [row("o-1", state=1, ended=None), row("o-2")]))
    assert await tallies(client) == {("440100", 1, 10): 1}

    await upload_one(client, as_rows("b2", [row("o-1", revision=2)]))
    assert await tallies(client) == {("440100", 1, 10): 2}

    corrections = [
        row("o-1", revision=3, place_of_acceptance=440600),
        row("o-2", revision=2, state=4, reason="test order"),
    ]
    receipt = await upload_one(client, as_rows("b3", corrections))
    assert counts(receipt) == (2, 2, 0, 0, 0)
    assert await tallies(client) == {("440600", 1, 10): 1}
    assert await violations(client) == []


async def test_a_revision_older_than_held_is_refused(client: StackClient) -> None:
    await upload_one(client, as_rows("b1", [row("o-1", revision=2)]))

    receipt = await upload_one(client, as_rows("b2", [row("o-1"), row("o-2")]))

    assert counts(receipt) == (2, 1, 0, 0, 1)
    assert receipt.rejections[0].status == S.REVISION_OLDER_THAN_HELD
    assert await tallies(client) == {("440100", 1, 10): 2}
    assert await violations(client) == []


async def test_batches_of_a_stream_are_written_in_the_order_sent(client: StackClient) -> None:
    big = [row(f"x-{n}") for n in range(20_000)]
    answers = await upload(
        client,
        as_rows("b1", [*big, row("o-1", state=1, ended=None)]),
        as_rows("b2", [row("o-1", revision=2)]),
        as_rows("b3", []),
        as_rows("b4", [row("o-1", revision=3, state=4, reason="fraud")]),
    )

    assert [answer.batch_id for answer in answers] == ["b1", "b2", "b3", "b4"]
    assert [answer.WhichOneof("outcome") for answer in answers] == [
        "receipt",
        "receipt",
        "problem",
        "receipt",
    ]
    assert [answer.receipt.log_index for answer in answers if answer.HasField("receipt")] == [
        0,
        1,
        2,
    ]
    assert await tallies(client) == {("440100", 1, 10): 20_000}


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"order_no": " "}, S.BAD_ORDER_NO, "order_no"),
        ({"order_no": "x" * 65}, S.BAD_ORDER_NO, "order_no"),
        ({"order_no": "a\tb", "revision": 0}, S.BAD_ORDER_NO, "order_no"),
        ({"revision": 0, "industry": 0}, S.BAD_REVISION, "revision"),
        ({"industry": 4, "state": 0}, S.UNKNOWN_INDUSTRY, "industry"),
        ({"industry": 300}, S.UNKNOWN_INDUSTRY, "industry"),
        ({"state": 9, "accept_time_us": 0}, S.BAD_STATE, "state"),
        ({"state": 2, "ended": None}, S.BAD_STATE, "end_time"),
        ({"state": 1}, S.BAD_STATE, "end_time"),
        ({"state": 4}, S.BAD_STATE, "reason"),
        ({"reason": "x" * 201}, S.BAD_STATE, "reason"),
        ({"accept_time_us": 0}, S.BAD_ACCEPT_TIME, "accept_time"),
        ({"accept_time_us": 1_000_000}, S.BAD_ACCEPT_TIME, "accept_time"),
        ({"ended": NINE - timedelta(seconds=1)}, S.TIMES_OUT_OF_ORDER, "end_time"),
        ({"ended": NINE + timedelta(days=8)}, S.TIMES_OUT_OF_ORDER, "end_time"),
        ({"pick_up_time_us": 1}, S.TIMES_OUT_OF_ORDER, "pick_up_time"),
        ({"accepted": NOW + timedelta(days=1)}, S.TIME_IN_FUTURE, "accept_time"),
        ({"ended": NOW + timedelta(seconds=1), "accepted": NOW}, S.TIME_IN_FUTURE, "end_time"),
        ({"place_of_acceptance": 110105, "worker": 77}, S.UNKNOWN_PLACE, "place_of_acceptance"),
        ({"place_of_acceptance": 0}, S.UNKNOWN_PLACE, "place_of_acceptance"),
        ({"worker": 77}, S.WORKER_NOT_ENROLLED, "worker"),
        ({"worker": 0}, S.WORKER_NOT_ENROLLED, "worker"),
    ],
)
async def test_each_rule_refuses_its_row_alone(
    client: StackClient, changes: dict[str, Any], status: int, field: str
) -> None:
    wrong = row(**{"order_no": "wrong", **changes})

    receipt = await upload_one(client, as_rows("b1", [row("right"), wrong]))

    assert counts(receipt) == (2, 1, 0, 0, 1)
    assert [(one.index, one.status, one.field) for one in receipt.rejections] == [
        (1, status, field)
    ]
    assert receipt.rejections[0].text.endswith(".")


async def test_a_platform_cannot_send_for_another(client: StackClient) -> None:
    code, reason, _ = await upload_refused(client, as_rows("b1", [row("o-1")], PEARL), SWIFT)

    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "FORBIDDEN")


async def test_an_unreadable_batch_is_refused_and_the_next_one_is_accepted(
    client: StackClient,
) -> None:
    damaged = bytearray(as_arrow("b1", table_of([row(f"o-{n}") for n in range(50)])).arrow_ipc)
    del damaged[len(damaged) // 2 :]

    code, reason, _ = await upload_refused(client, as_arrow("b1", bytes(damaged)))
    receipt = await upload_one(client, as_rows("b2", [row("o-1")]))

    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BATCH_UNREADABLE")
    assert receipt.created_count == 1


async def test_the_client_does_not_repeat_a_batch_that_is_too_large(client: StackClient) -> None:
    rows = table_of([row("o-1")] * (ROWS_MAX + 1))
    batches = split_into_batches(rows, "run", ROWS_MAX + 1)
    stub = client.orders("platform", platform=SWIFT)

    # Repeats for overload take half a minute.
    async with asyncio.timeout(10):
        with pytest.raises(RemoteProblem) as refused:
            await upload_orders(stub, SWIFT, batches)

    assert (refused.value.code, refused.value.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "BATCH_TOO_LARGE",
    )


async def test_a_platform_sees_its_own_batches_only(client: StackClient) -> None:
    receipt = await upload_one(client, as_rows("b1", [row("o-1")]))
    request = pb.GetOrderBatchRequest(name=receipt.name)

    own = await client.orders("platform", platform=SWIFT).GetOrderBatch(request)
    with pytest.raises(grpc.RpcError) as refused:
        await client.orders("platform", platform=PEARL).GetOrderBatch(request)
    with pytest.raises(grpc.RpcError) as hidden:
        await client.orders("platform", platform=PEARL).GetOrder(
            pb.GetOrderRequest(name=f"platforms/{SWIFT}/orders/o-1")
        )

    assert own == receipt
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert hidden.value.code() is grpc.StatusCode.NOT_FOUND
