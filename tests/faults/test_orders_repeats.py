"""Orders that are sent again, and streams that are cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from oip.orders.v1 import orders_pb2 as pb

from services.runtime.base.settings import Settings
from tests.support.databases import Databases
from tests.support.platforms import SWIFT
from tests.support.stack_client import StackClient
from tests.support.uploads import (
    NINE,
    as_arrow,
    as_rows,
    execute,
    orders_client,
    row,
    table_of,
    upload,
    upload_one,
    upload_refused,
    violations,
)

BATCHES, ROWS = 4, 300


@pytest.fixture(scope="module")
async def client(stack: Settings, databases: Databases) -> AsyncIterator[StackClient]:
    """One client for the file, whose books are right after all of it."""
    async with orders_client(stack, databases) as client:
        yield client
        assert await violations(client) == []


def rows_of(prefix: str, count: int = ROWS) -> list[dict[str, Any]]:
    return [row(f"{prefix}-{number}") for number in range(count)]


async def held_count(client: StackClient, prefix: str) -> int:
    """Orders held whose number begins so."""
    question = "select count(*) from orders.orders where starts_with(order_no, %s)"
    ((count,),) = await execute(client, question, f"{prefix}-")
    return int(count)


def counts(receipt: pb.OrderBatch) -> tuple[int, int, int, int]:
    return (
        receipt.created_count,
        receipt.exists_count,
        receipt.conflict_count,
        receipt.rejected_count,
    )


async def test_a_batch_sent_twice_gets_one_receipt_and_is_stored_once(client: StackClient) -> None:
    batch = as_rows("twice", rows_of("twice"))

    first, again = await upload_one(client, batch), await upload_one(client, batch)

    assert first == again
    assert counts(first) == (ROWS, 0, 0, 0)
    assert await held_count(client, "twice") == ROWS


async def test_a_batch_sent_many_times_at_once_gets_one_receipt_and_is_stored_once(
    client: StackClient,
) -> None:
    batch = as_arrow("at-once", table_of(rows_of("at-once")))

    receipts = await asyncio.gather(*(upload_one(client, batch) for _ in range(6)))

    assert counts(receipts[0]) == (ROWS, 0, 0, 0)
    assert all(receipt == receipts[0] for receipt in receipts)
    assert await held_count(client, "at-once") == ROWS


async def test_the_same_rows_at_once_under_other_ids_are_created_by_one_batch(
    client: StackClient,
) -> None:
    rows = rows_of("ids")

    receipts = await asyncio.gather(
        *(upload_one(client, as_rows(f"ids-{n}", rows)) for n in range(4))
    )

    assert sum(one.created_count for one in receipts) == ROWS
    assert sum(one.exists_count for one in receipts) == 3 * ROWS
    assert await held_count(client, "ids") == ROWS


async def test_the_same_rows_in_other_order_and_other_form_exist_already(
    client: StackClient,
) -> None:
    rows = rows_of("form")
    await upload_one(client, as_rows("form", rows))

    receipt = await upload_one(client, as_arrow("form-arrow", table_of(rows[::-1])))

    assert counts(receipt) == (0, ROWS, 0, 0)


async def test_a_row_that_was_changed_is_a_conflict_and_the_first_one_stands(
    client: StackClient,
) -> None:
    rows = rows_of("changed")
    await upload_one(client, as_rows("changed", rows))

    receipt = await upload_one(
        client, as_rows("changed-2", [row("changed-0", worker=2), *rows[1:]])
    )

    assert counts(receipt) == (0, ROWS - 1, 1, 0)
    question = "select worker from orders.orders where order_no = 'changed-0'"
    assert await execute(client, question) == [(1,)]


async def test_a_batch_id_with_another_row_is_refused_and_changes_nothing(
    client: StackClient,
) -> None:
    rows = rows_of("reused")
    receipt = await upload_one(client, as_rows("reused", rows))

    changed = as_rows("reused", [row("reused-0", worker=2), *rows[1:]])
    code, reason, _ = await upload_refused(client, changed)

    assert (code, reason) == (grpc.StatusCode.ALREADY_EXISTS, "BATCH_ID_REUSED")
    assert await upload_one(client, as_rows("reused", rows)) == receipt


@pytest.mark.parametrize("days", [1, 31, 366])
async def test_an_order_sent_again_with_another_days_date_is_stored_once(
    client: StackClient, days: int
) -> None:
    prefix = f"day{days}"
    await upload_one(client, as_rows(prefix, rows_of(prefix)))

    moved = [
        row(f"{prefix}-{number}", accepted=NINE - timedelta(days=days - 20)) for number in range(9)
    ]
    receipt = await upload_one(client, as_arrow(f"{prefix}-moved", table_of(moved)))

    assert receipt.created_count == 0
    assert receipt.conflict_count + receipt.rejected_count == len(moved)
    assert await held_count(client, prefix) == ROWS


@pytest.mark.parametrize("sent", range(BATCHES + 1))
async def test_a_stream_cut_after_any_batch_goes_on_by_its_batch_ids(
    client: StackClient, sent: int
) -> None:
    batches = [as_rows(f"cut{sent}-{n}", rows_of(f"cut{sent}-{n}")) for n in range(BATCHES)]
    all_sent = asyncio.Event()

    async def requests() -> AsyncIterator[Any]:
        for batch in batches[:sent]:
            yield batch
        all_sent.set()
        await asyncio.sleep(30)

    call = client.orders("platform", platform=SWIFT).UploadOrders(requests(), timeout=30)
    reading = asyncio.create_task(anext(aiter(call), None))
    await asyncio.wait_for(all_sent.wait(), 20)
    call.cancel()
    await asyncio.wait([reading])
    answers = await upload(client, *batches)

    assert [answer.receipt.created_count for answer in answers] == [ROWS] * BATCHES
    assert await held_count(client, f"cut{sent}") == ROWS * BATCHES


@pytest.mark.parametrize("read", range(BATCHES + 1))
async def test_answers_that_were_never_read_are_found_by_sending_the_batches_again(
    client: StackClient, read: int
) -> None:
    batches = [as_rows(f"unread{read}-{n}", rows_of(f"unread{read}-{n}")) for n in range(BATCHES)]
    stub = client.orders("platform", platform=SWIFT)
    call = stub.UploadOrders(iter(batches), timeout=30)
    answers = aiter(call)
    known = [(await anext(answers)).receipt for _ in range(read)]
    call.cancel()

    receipts = [answer.receipt for answer in await upload(client, *batches)]

    assert receipts[:read] == known
    assert [receipt.created_count for receipt in receipts] == [ROWS] * BATCHES
    for receipt in receipts:
        assert await stub.GetOrderBatch(pb.GetOrderBatchRequest(name=receipt.name)) == receipt


async def test_a_batch_that_got_no_answer_is_either_held_whole_or_not_at_all(
    client: StackClient,
) -> None:
    stub = client.orders("platform", platform=SWIFT)
    states = set()
    for number in range(12):
        prefix = f"whole{number}"
        call = stub.UploadOrders(iter([as_rows(prefix, rows_of(prefix))]), timeout=30)
        await call.wait_for_connection()
        await asyncio.sleep(0.01 * number)
        call.cancel()
        name = f"platforms/{SWIFT}/orderBatches/{prefix}"
        try:
            receipt = await stub.GetOrderBatch(pb.GetOrderBatchRequest(name=name))
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            states.add(await held_count(client, prefix))
        else:
            assert receipt.created_count == await held_count(client, prefix)
            states.add(receipt.created_count)

    assert states <= {0, ROWS}
