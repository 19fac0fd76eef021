"""ServiceContext several tasks side by side, and ending them for certain.

`asyncio.wait_for` of Python 3.11 swallows a cancellation that comes at the same moment as what it
waits for, and libraries use it. A task is therefore cancelled again until it has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

AGAIN_SECONDS = 1.0


async def side_by_side(works: Iterable[tuple[str, Coroutine[Any, Any, object]]]) -> None:
    """Run named pieces of work until one of them fails, or until cancelled; then end them all."""
    tasks = [asyncio.create_task(work, name=name) for name, work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        await end(tasks)


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended; a cancellation of our own waits for that."""
    left = set(tasks)
    cancelled: asyncio.CancelledError | None = None
    while left:
        for task in left:
            task.cancel()
        try:
            _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
        except asyncio.CancelledError as error:
            cancelled = error
            left = {task for task in left if not task.done()}
    if cancelled is not None:
        raise cancelled
