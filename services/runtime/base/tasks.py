"""Running several tasks together, and cancelling tasks until they have ended.

`asyncio.wait_for` of Python 3.11 swallows a cancellation that arrives together with the result it
waits for, and libraries use it. A task is therefore cancelled repeatedly until it has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

RECANCEL_SECONDS = 1.0


async def run_together(works: Iterable[tuple[str, Coroutine[Any, Any, object]]]) -> None:
    """Run named coroutines until one of them fails or this one is cancelled; then end them all."""
    tasks = [asyncio.create_task(work, name=name) for name, work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        await end(tasks)


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended; the caller's own cancellation is raised afterwards."""
    running = set(tasks)
    cancelled: asyncio.CancelledError | None = None
    while running:
        for task in running:
            task.cancel()
        try:
            _, running = await asyncio.wait(running, timeout=RECANCEL_SECONDS)
        except asyncio.CancelledError as error:
            cancelled = error
            running = {task for task in running if not task.done()}
    if cancelled is not None:
        raise cancelled
