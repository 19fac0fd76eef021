"""Tasks end when they are cancelled, even if a library swallows the first cancellation."""

from __future__ import annotations

import asyncio

import pytest

from services.runtime.base import tasks
from services.runtime.base.tasks import end, run_together


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "RECANCEL_SECONDS", 0.02)


async def deaf(times: int) -> None:
    """Swallow `times` cancellations."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            times -= 1
            if times < 0:
                raise


async def fail() -> None:
    await asyncio.sleep(0)
    raise ZeroDivisionError


async def test_a_task_that_swallows_cancellations_ends_all_the_same() -> None:
    task = asyncio.create_task(deaf(3))
    await asyncio.sleep(0)
    await end([task])

    assert task.cancelled()


async def test_the_failure_of_one_ends_the_others_and_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        await run_together([("fail", fail()), ("deaf", deaf(1))])

    assert not [task for task in asyncio.all_tasks() if task.get_name() == "deaf"]


async def test_cancelling_twice_still_waits_for_the_end() -> None:
    task = asyncio.create_task(run_together([("deaf", deaf(2)), ("deaf", deaf(0))]))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not [other for other in asyncio.all_tasks() if other.get_name() == "deaf"]
