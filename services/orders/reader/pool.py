"""The pool of reader processes: fresh interpreters that share nothing with the service but pipes.

They are started by `exec` and never forked from a process that holds gRPC objects. One that dies or
does not answer in time fails the batch it was reading, and is replaced.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from array import array
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import Any

from services.orderlog import columns, tree
from services.orders.domain.prepared_batches import PreparedBatch
from services.orders.domain.problems import BatchBrokeReader
from services.orders.domain.row_rules import Rules
from services.orders.reader.protocol import LENGTH, Header, frame, unpack_batch
from services.runtime.base.fair_slots import FairSlots
from services.runtime.base.log import logger

READER_COUNT = 2
ANSWER_SECONDS = 30
STREAM_BYTES = 1 << 22
STOP_SECONDS = 2

log = logger("orders")


class ReaderProcess:
    """One reader process, started with its first request.

    Every request raises the process's Problem (BatchUnreadable and the like), or BatchBrokeReader.
    """

    def __init__(self) -> None:
        self._process: Process | None = None

    async def read(self, form: str, platform: str, content: bytes) -> Sequence[int]:
        """Read a batch; returns the workers whose enrolment must be looked up."""
        request = {"method": "read", "form": form, "platform": platform}
        _, (packed,) = await self._ask(request, content)
        workers = array("q")
        workers.frombytes(packed)
        return workers

    async def validate(
        self, rules: Rules, not_enrolled: Sequence[int], batch_no: int
    ) -> PreparedBatch:
        """Check, hash and encode the batch that was read last."""
        request = {"rules": asdict(rules), "not_enrolled": not_enrolled, "batch_no": batch_no}
        return unpack_batch(*await self._ask({"method": "validate", **request}))

    async def content_hash(self, rows: bytes) -> bytes:
        """The content hash of an OrderRows message."""
        _, (content_hash,) = await self._ask({"method": "content_hash"}, rows)
        return content_hash

    async def select(self, batch: PreparedBatch, verdicts: str) -> tuple[bytes, bytes, bytes]:
        """Root, packed leaf hashes and COPY rows of the rows of a batch that are new."""
        parts = (verdicts.encode("ascii"), batch.hashes, batch.rows, batch.offsets)
        _, (root, hashes, rows) = await self._ask({"method": "select"}, *parts)
        return root, hashes, rows

    async def path(self, packed_hashes: bytes, index: int) -> tuple[bytes, list[bytes]]:
        """The root over packed leaf hashes, and the inclusion proof of one leaf."""
        _, (root, packed) = await self._ask({"method": "path", "index": index}, packed_hashes)
        return root, tree.unpack(packed)

    async def start(self) -> None:
        """Start the process if it does not run."""
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.orders.reader.process",
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
        """Kill the process; a request under way fails."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def stop(self) -> None:
        """Kill the process and wait for its end. Call it only while holding the reader."""
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

    async def _ask(self, header: Header, *parts: Any) -> tuple[Header, list[bytes]]:
        """One request, one answer."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer, content = await self._exchange(header, list(parts))
        except (TimeoutError, OSError, EOFError, ValueError) as error:
            log.warning("reader_replaced", error=type(error).__name__)
            await self.stop()
            raise BatchBrokeReader from error
        except BaseException:
            # An unread answer may be left, which the next request must not read.
            await self.stop()
            raise
        if "problem" in answer:
            raise getattr(columns, answer["problem"])(**answer["facts"])
        return answer, content

    async def _exchange(self, header: Header, parts: list[Any]) -> tuple[Header, list[bytes]]:
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


class ReaderPool:
    """A fixed number of readers; a caller waits until one is free, platforms in turn."""

    def __init__(self, size: int = READER_COUNT) -> None:
        self.readers = [ReaderProcess() for _ in range(size)]
        self._turns = FairSlots(size)
        self._free: asyncio.LifoQueue[ReaderProcess] = asyncio.LifoQueue()
        for reader in self.readers:
            self._free.put_nowait(reader)

    @asynccontextmanager
    async def reader(self, platform: str) -> AsyncIterator[ReaderProcess]:
        """A reader for one sequence of requests about a platform's records."""
        async with self._turns.slot(platform):
            reader = await self._free.get()
            try:
                yield reader
            finally:
                self._free.put_nowait(reader)

    async def close(self) -> None:
        """End all readers; a request under way fails."""
        for reader in self.readers:
            reader.kill()
        for _ in self.readers:
            await (await self._free.get()).stop()
