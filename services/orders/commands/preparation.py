"""Everything about a batch before its transaction: a reader process validates it."""

from __future__ import annotations

import asyncio
from hashlib import sha256

from services.orders.commands.enrolments import EnrolledWorkers
from services.orders.domain.batches import Upload
from services.orders.domain.law import rules_at
from services.orders.domain.prepared_batches import PreparedBatch
from services.orders.reader.pool import ReaderPool
from services.orders.store import intake as store
from services.runtime.service.context import ServiceContext
from services.runtime.storage.database import assume_role

NUMBERS_PER_QUERY = 32


class Preparation:
    """Prepares the batches of one running service."""

    def __init__(self, context: ServiceContext, readers: ReaderPool) -> None:
        self._context = context
        self._readers = readers
        self._workers = EnrolledWorkers(context.database)
        self._numbers: list[int] = []

    async def prepare(self, upload: Upload) -> PreparedBatch:
        """Have a reader process validate a batch. Raises a Problem if it cannot be read.

        The reader is released while enrolments are awaited, and reads the batch again afterwards,
        so that a platform's unknown workers delay no other platform.
        """
        batch_no = await self._next_number()
        while True:
            async with self._readers.reader(upload.platform) as reader:
                workers = await reader.read(upload.form, upload.platform, upload.content)
                not_enrolled = await self._workers.not_enrolled(upload.platform, workers)
                if not self._workers.worth_waiting(upload.platform, not_enrolled):
                    rules = rules_at(self._context.clock.now(), self._context.province)
                    return await reader.validate(rules, not_enrolled, batch_no)
            await self._workers.wait_for(upload.platform, not_enrolled)

    async def content_hash(self, upload: Upload, expected: bytes) -> bytes:
        """The content's hash. Rows are parsed for it only if their bytes are not as expected."""
        content_hash = await asyncio.to_thread(lambda: sha256(upload.content).digest())
        if content_hash != expected and upload.form == "rows":
            async with self._readers.reader(upload.platform) as reader:
                content_hash = await reader.content_hash(upload.content)
        return content_hash

    async def _next_number(self) -> int:
        if not self._numbers:
            async with self._context.database.begin() as tx:
                await assume_role(tx, store.ROLE, lock_wait=store.LOCK_WAIT)
                self._numbers = await store.get_batch_numbers(tx, NUMBERS_PER_QUERY)
        return self._numbers.pop(0)
