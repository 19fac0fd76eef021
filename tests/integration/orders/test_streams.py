"""Streams that block each other, or are abandoned in the middle."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from oip.orders.v1 import orders_pb2 as pb

from services.orders.api.upload import PAUSE_SECONDS, UploadStream
from services.orders.commands import enrolments
from services.orders.domain.problems import BatchBrokeReader
from services.orders.reader.pool import ReaderPool
from services.orders.reader.process import PRIORITY_STEPS
from services.runtime.base.settings import Settings
from tests.support.databases import Databases
from tests.support.killed_orders import until
from tests.support.platforms import PEARL, SWIFT
from tests.support.stack_client import StackClient
from tests.support.uploads import (
    as_rows,
    enrol,
    orders_client,
    problem_in,
    row,
    upload,
    upload_one,
)

# Workers from here on are not enrolled.
UNKNOWN_WORKERS = 1000


async def batches(stream: int, count: int) -> AsyncIterator[Any]:
    """Batches whose workers are waited for, and then no end of the stream."""
    for number in range(count):
        name = f"{stream}-{number}"
        yield as_rows(name, [row(name, worker=UNKNOWN_WORKERS + 100 * stream + number)])
    await asyncio.Event().wait()


def streams_open() -> int:
    """Streams whose reading goes on; the service runs on the loop of this test."""
    return sum(UploadStream.__name__ in repr(task.get_coro()) for task in asyncio.all_tasks())


async def test_a_stream_given_up_with_its_window_full_leaves_nothing_behind(
    client: StackClient,
) -> None:
    stub = client.orders("platform", platform=SWIFT)
    for number in range(3):
        call = stub.UploadOrders(batches(number, 9), timeout=60)
        reading = asyncio.ensure_future(call.read())
        await until(streams_are_open)
        await asyncio.sleep(0.3)
        call.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    async def all_ended() -> bool:
        return streams_open() == 0

    await until(all_ended)
    receipt = await upload_one(client, as_rows("after", [row("after")]))
    assert receipt.created_count == 1


async def streams_are_open() -> bool:
    return streams_open() > 0


async def test_unknown_workers_of_one_platform_hold_up_no_other(
    client: StackClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than the test may last: only a batch that need not wait for them comes through.
    monkeypatch.setattr(enrolments, "WAITS", (3600.0,))
    await enrol(client, 1, platform=PEARL)
    stub = client.orders("platform", platform=SWIFT)
    waiting = [
        asyncio.ensure_future(stub.UploadOrders(batches(number, 3), timeout=60).read())
        for number in range(client.stack.settings.limits.platform.streams)
    ]
    await until(streams_are_open)
    # As many batches as the service had slots in all.
    await asyncio.sleep(1)

    pearl = client.orders("platform", platform=PEARL)
    other = as_rows("other", [row("other")], platform=PEARL)
    (answer,) = [one async for one in pearl.UploadOrders(iter([other]), timeout=30)]

    assert answer.receipt.created_count == 1
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_batches_that_cannot_be_read_count_too_and_above_the_limit_the_stream_is_slowed(
    stack: Settings, databases: Databases
) -> None:
    limits = stack.limits.model_copy(update={"batches_per_minute": 6})
    settings = stack.model_copy(update={"limits": limits})
    nonsense = pb.UploadOrdersRequest(platform=f"platforms/{SWIFT}")
    async with orders_client(settings, databases) as client:
        await enrol(client, 1, platform=PEARL)
        begin = time.monotonic()
        answers = await upload(client, *[nonsense] * 9)
        seconds = time.monotonic() - begin

        reasons = [problem_in(answer.problem)[1] for answer in answers]
        assert reasons == ["MALFORMED"] * 6 + ["LIMIT_REACHED"] * 3
        assert seconds > 2 * PAUSE_SECONDS
        await upload_one(client, as_rows("other", [row("other")], PEARL), PEARL)


async def test_reader_processes_leave_the_cores_to_questions() -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    pool = ReaderPool(1)
    async with pool.reader("p") as reader:
        await reader.read("rows", SWIFT, as_rows("b", [row("a")]).rows.SerializeToString())
        assert reader.pid is not None
        # Nineteen is the lowest priority there is.
        expected = min(own + PRIORITY_STEPS, 19)
        assert os.getpriority(os.PRIO_PROCESS, reader.pid) == expected
    await pool.close()


async def test_a_pool_closes_while_it_is_talked_with() -> None:
    """Nothing is left running, and the caller's request fails."""
    pool = ReaderPool(1)
    rows = as_rows("b", [row("a")]).rows.SerializeToString()

    async def ask() -> None:
        async with pool.reader("p") as reader:
            while True:
                await reader.read("rows", SWIFT, rows)

    asking = asyncio.create_task(ask())
    (reader,) = pool.readers

    async def is_talking() -> bool:
        return reader.pid is not None

    await until(is_talking)
    async with asyncio.timeout(10):
        await pool.close()

    assert reader.pid is None
    with pytest.raises(BatchBrokeReader):
        await asking
