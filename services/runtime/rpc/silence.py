"""How long a stream may be silent before it is ended, because it holds a place of its tenant."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from services.kernel.problems import Kind, Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from services.runtime.base.tenant_limits import Limits

RETRY_SECONDS = 1


class StreamSilent(Problem):
    """Nothing came on the stream for so long that it was ended."""

    kind, reason = Kind.OVERLOADED, "STREAM_SILENT"
    message = "Nothing came on the stream for {seconds} seconds; open one when there is data."
    message_zh = "数据流 {seconds} 秒内无数据, 已关闭; 有数据时请重新打开。"


class Patience:
    """The silence of one stream.

    `answers_each` is for a stream that answers each message with one: while an answer is due, the
    caller may be silent.
    """

    def __init__(self, limits: Limits, *, answers_each: bool = False) -> None:
        self._limits = limits
        self._answers_each = answers_each
        self._due_count = 0
        self._waiting: asyncio.Timeout | None = None

    async def watch(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The messages of a stream. Raises StreamSilent if none comes in time."""
        seconds = self._limits.first_message_seconds
        while True:
            try:
                async with asyncio.timeout(None if self._is_due else seconds) as self._waiting:
                    request = await anext(requests)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise StreamSilent(seconds=f"{seconds:g}") from None
            finally:
                self._waiting = None
            seconds = self._limits.idle_seconds
            self._due_count += 1
            yield request

    @contextmanager
    def until_taken(self) -> Iterator[None]:
        """While an answer is being sent: a caller that does not take it ends the call."""
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._limits.idle_seconds, task.cancel)
        try:
            yield
        finally:
            timer.cancel()
        self._due_count -= 1
        waiting = self._waiting
        if waiting is not None and not waiting.expired() and not self._is_due:
            waiting.reschedule(loop.time() + self._limits.idle_seconds)

    @property
    def _is_due(self) -> bool:
        return self._answers_each and self._due_count > 0
