"""The pool of worker processes: fresh interpreters that share nothing with the service but pipes.

They are started by `exec` and never forked from a process that holds gRPC objects. One that dies or
does not answer in time costs the batch it was given, and is replaced.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from services.kernel.problems import Kind, Problem
from services.orderlog import columns
from services.orders.commands.worker import LENGTH, frame
from services.runtime.base.log import logger

ANSWER_SECONDS = 30
STREAM_BYTES = 1 << 22
STOP_SECONDS = 2

log = logger("orders")


class BatchBrokeReader(Problem):
    """The process that read the batch died of it, or did not come to an end."""

    kind, reason = Kind.MALFORMED, "BATCH_BROKE_READER"
    message = (
        "Reading the batch broke the program that reads it, and nothing was stored; "
        "write the batch anew, or send it as protobuf rows."
    )
    message_zh = (
        "读取该批次时程序异常退出, 未保存任何数据; 请重新生成该批次, 或改用 protobuf 行格式发送。"
    )


class Worker:
    """One worker process, started when it is first asked."""

    def __init__(self) -> None:
        self._process: Process | None = None

    async def ask(self, header: dict[str, Any], *parts: Any) -> tuple[dict[str, Any], list[bytes]]:
        """One question, one answer. Raises the worker's Problem, or BatchBrokeReader."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer, content = await self._exchange(header, list(parts))
        except (TimeoutError, OSError, EOFError, ValueError) as error:
            log.warning("worker_replaced", error=type(error).__name__)
            await self.stop()
            raise BatchBrokeReader from error
        except BaseException:
            # Half a conversation is left: the next one must not read its end.
            await self.stop()
            raise
        if "problem" in answer:
            raise getattr(columns, answer["problem"])(**answer["facts"])
        return answer, content

    async def start(self) -> None:
        """Start the process if it does not run."""
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.orders.commands.worker",
                stdin=PIPE,
                stdout=PIPE,
                env={
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                    "ARROW_DEFAULT_MEMORY_POOL": "system",
                    "OMP_NUM_THREADS": "1",
                },
                limit=STREAM_BYTES,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End the process; whoever waits for its answer hears of it."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def stop(self) -> None:
        """End the process, whatever it is doing; for whoever has the worker."""
        self.kill()
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await process.communicate()

    @property
    def pid(self) -> int | None:
        """The process's number, for tests that kill it."""
        return None if self._process is None else self._process.pid

    async def _exchange(
        self, header: dict[str, Any], parts: list[Any]
    ) -> tuple[dict[str, Any], list[bytes]]:
        await self.start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        for part in frame(header, parts):
            process.stdin.write(part)
            await process.stdin.drain()
        size = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))[0]
        answer = json.loads(await process.stdout.readexactly(size))
        return answer, [await process.stdout.readexactly(size) for size in answer["sizes"]]


class WorkerPool:
    """A fixed number of workers; who finds none free waits."""

    def __init__(self, size: int) -> None:
        self.workers = [Worker() for _ in range(size)]
        self._free: asyncio.LifoQueue[Worker] = asyncio.LifoQueue()
        for worker in self.workers:
            self._free.put_nowait(worker)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Worker]:
        """A worker for one conversation."""
        worker = await self._free.get()
        try:
            yield worker
        finally:
            self._free.put_nowait(worker)

    async def close(self) -> None:
        """End all workers; a conversation that is still going on ends with its process."""
        for worker in self.workers:
            worker.kill()
        for _ in self.workers:
            await (await self._free.get()).stop()
