"""Streams that hold each other up, or are given up in the middle."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.orders.api.upload import UploadApi
from services.orders.commands import enrolled
from services.orders.commands.worker import PRIORITY_STEPS
from services.orders.commands.workers import BatchBrokeReader, WorkerPool
from services.runtime.base.settings import Settings
from tests.support.databases import Databases
from tests.support.order_lives import until
from tests.support.uploading import PEARL, SWIFT, OrderDesk, as_rows, order_desk, row

STRANGER = 1000


@pytest.fixture
async def desk(stack: Settings, databases: Databases) -> AsyncIterator[OrderDesk]:
    async with order_desk(stack, databases) as desk:
        yield desk


async def batches(stream: int, count: int) -> AsyncIterator[Any]:
    """Batches whose workers are waited for, and then no end of the stream."""
    for number in range(count):
        name = f"{stream}-{number}"
        yield as_rows(name, [row(name, worker=STRANGER + 100 * stream + number)])
    await asyncio.Event().wait()


def streams_open() -> int:
    """Streams whose reading goes on; the service runs on the loop of this test."""
    return sum(UploadApi.__name__ in repr(task.get_coro()) for task in asyncio.all_tasks())


async def test_a_stream_given_up_with_its_window_full_leaves_nothing_behind(
    desk: OrderDesk,
) -> None:
    stub = desk.at("platform", platform=SWIFT)
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
    receipt = await desk.receipt(as_rows("after", [row("after")]))
    assert receipt.created_count == 1


async def streams_are_open() -> bool:
    return streams_open() > 0


async def test_unknown_workers_of_one_platform_hold_up_no_other(
    desk: OrderDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than the test may last: only a batch that need not wait for them comes through.
    monkeypatch.setattr(enrolled, "WAITS", (3600.0,))
    await desk.enrol(1, platform=PEARL)
    stub = desk.at("platform", platform=SWIFT)
    waiting = [
        asyncio.ensure_future(stub.UploadOrders(batches(number, 2), timeout=60).read())
        for number in range(2)
    ]
    await until(streams_are_open)

    pearl = desk.at("platform", platform=PEARL)
    other = as_rows("other", [row("other")], platform=PEARL)
    (answer,) = [one async for one in pearl.UploadOrders(iter([other]), timeout=30)]

    assert answer.receipt.created_count == 1
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_worker_processes_leave_the_cores_to_questions() -> None:
    pool = WorkerPool(1)
    async with pool.worker() as worker:
        rows = as_rows("b", [row("a")]).rows.SerializeToString()
        await worker.ask({"ask": "read", "form": "rows", "platform": SWIFT}, rows)
        assert worker.pid is not None
        assert os.getpriority(os.PRIO_PROCESS, worker.pid) == PRIORITY_STEPS
    await pool.close()


async def test_a_pool_closes_while_it_is_talked_with() -> None:
    """Nothing is left running, and whoever asked hears of it."""
    pool = WorkerPool(1)
    rows = as_rows("b", [row("a")]).rows.SerializeToString()

    async def ask() -> None:
        async with pool.worker() as worker:
            while True:
                await worker.ask({"ask": "read", "form": "rows", "platform": SWIFT}, rows)

    asking = asyncio.create_task(ask())
    (worker,) = pool.workers

    async def is_talking() -> bool:
        return worker.pid is not None

    await until(is_talking)
    async with asyncio.timeout(10):
        await pool.close()

    assert worker.pid is None
    with pytest.raises(BatchBrokeReader):
        await asking
