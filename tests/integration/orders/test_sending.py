"""The platform's client and the service: batches on one stream, and the outcome of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

from services.client.upload.batches import Batch, split_into_batches
from services.client.upload.stream import WINDOW, send_batches, upload_orders
from services.runtime.base.settings import Settings
from services.runtime.rpc.client import RemoteProblem
from tests.support.databases import Databases
from tests.support.platforms import PEARL, SWIFT
from tests.support.stack_client import StackClient
from tests.support.uploads import orders_client, row, table_of


@pytest.fixture
async def client(stack: Settings, databases: Databases) -> AsyncIterator[StackClient]:
    async with orders_client(stack, databases) as client:
        yield client


def batches(count: int, run: str = "run") -> list[Batch]:
    return list(
        split_into_batches(table_of([row(f"{run}-{number}") for number in range(count)]), run, 1)
    )


async def test_a_refused_batch_does_not_stop_the_others(client: StackClient) -> None:
    sent = batches(5)
    sent[2] = Batch("broken", b"no arrow", 1)
    stub = client.orders("platform", platform=SWIFT)

    answers = [answer async for answer in send_batches(stub, SWIFT, sent)]

    assert [answer.batch for answer in answers] == sent
    assert [answer.receipt and answer.receipt.created_count for answer in answers] == [
        *(1, 1, None, 1, 1)
    ]
    assert answers[2].refusal is not None
    assert answers[2].refusal.reason == "BATCH_UNREADABLE"


async def test_who_needs_every_batch_taken_is_told_of_the_first_refused(
    client: StackClient,
) -> None:
    sent, taken = batches(3), list[str]()
    sent[1] = Batch("broken", b"no arrow", 1)
    stub = client.orders("platform", platform=SWIFT)

    with pytest.raises(RemoteProblem) as refused:
        await upload_orders(stub, SWIFT, sent, lambda batch, _: taken.append(batch.batch_id))

    assert refused.value.reason == "BATCH_UNREADABLE"
    assert taken == [sent[0].batch_id]


async def test_a_caller_who_is_refused_is_refused_once(client: StackClient) -> None:
    stub = client.orders("platform", platform=PEARL)

    with pytest.raises(RemoteProblem) as refused:
        _ = [answer async for answer in send_batches(stub, SWIFT, batches(5))]

    assert refused.value.reason == "FORBIDDEN"


async def test_no_more_batches_are_made_than_may_wait_for_an_answer(client: StackClient) -> None:
    made_count = 0

    def counted() -> Iterator[Batch]:
        nonlocal made_count
        for batch in batches(30):
            made_count += 1
            yield batch

    stub = client.orders("platform", platform=SWIFT)
    ahead, answered = 0, 0
    async with aclosing(send_batches(stub, SWIFT, counted())) as answers:
        async for _ in answers:
            answered += 1
            await asyncio.sleep(0.01)
            ahead = max(ahead, made_count - answered)

    assert (made_count, answered) == (30, 30)
    assert ahead <= WINDOW


async def test_what_breaks_the_making_of_batches_is_raised_after_the_answers(
    client: StackClient,
) -> None:
    def broken() -> Iterator[Batch]:
        yield from batches(2)
        raise ValueError("the file ended")

    stub, taken = client.orders("platform", platform=SWIFT), list[str]()

    with pytest.raises(ValueError, match="the file ended"):
        await upload_orders(stub, SWIFT, broken(), lambda batch, _: taken.append(batch.batch_id))

    assert len(taken) == 2
