"""Accept batches: a reader process prepares each, one transaction writes it.

The batches of one platform are written one after the other, because each is added to the platform's
log and because the revisions of an order must meet; different platforms are written in parallel.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

from services.kernel.scope import Scope
from services.orderlog.signer import Signer
from services.orders.commands.allowances import Allowances
from services.orders.commands.batches import copy_rows, record_batch, resolve_known_rows
from services.orders.commands.preparation import Preparation
from services.orders.commands.registrations import RegisteredPlatforms
from services.orders.domain import logs
from services.orders.domain.batches import Batch, Upload
from services.orders.domain.prepared_batches import PreparedBatch
from services.orders.reader.pool import ReaderPool
from services.orders.store import batches as batch_store
from services.orders.store import intake as store
from services.orders.store import logs as log_store
from services.runtime.base.failpoints import failpoint
from services.runtime.base.fair_slots import FairSlots
from services.runtime.service.context import ServiceContext
from services.runtime.storage.database import Transaction, assume_role

# Connections that intake may use; the rest of the pool answers queries.
WRITERS_MAX = 2


class Intake:
    """Accepts the batches of one running service."""

    def __init__(
        self,
        context: ServiceContext,
        readers: ReaderPool,
        signer: Signer,
        platforms: RegisteredPlatforms,
    ) -> None:
        self._context = context
        self._readers = readers
        self._platforms = platforms
        self._preparation = Preparation(context, readers)
        self._signer = signer
        self._writers = asyncio.Semaphore(WRITERS_MAX)
        # Batches in memory. Acquired while a stream is read, in the order of its batches: a batch
        # that waits for the one before it never holds the slot that one needs. A platform whose
        # batches wait, for example for an enrolment, holds its own slots and nobody else's.
        self.slots = FairSlots(context.limits.batches, context.limits.platform_batches)
        self.allowances = Allowances(context.limits, time.monotonic)
        self._platform_locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._sends_known_rows: set[str] = set()

    async def upload(self, upload: Upload, previous: Awaitable[object] | None = None) -> Batch:
        """Accept a batch and return its receipt; a repeat returns the first receipt.

        It is written after `previous` is done: the batches of a stream are written in the order
        sent. Raises a Problem if the batch is refused as a whole; then nothing is stored.
        """
        await self._platforms.require(upload.platform)
        receipt = await self._stored_receipt(upload)
        if receipt is not None:
            return receipt
        prepared = await self._preparation.prepare(upload)
        self.allowances.take_rows(upload.platform, prepared.received_count)
        if previous is not None:
            await asyncio.wait([asyncio.ensure_future(previous)])
        await failpoint("orders.before_copy")
        batch = await self._write(upload, prepared)
        await failpoint("orders.after_commit")
        self._context.wake.set()
        return batch

    async def _stored_receipt(self, upload: Upload) -> Batch | None:
        """The receipt of a batch accepted before. Raises BatchIdReused for other content."""
        async with self._context.database.begin(Scope(platform=upload.platform)) as tx:
            batch = await batch_store.get(tx, upload.platform, upload.batch_id)
        if batch is not None:
            batch.require_content(await self._preparation.content_hash(upload, batch.content_hash))
        return batch

    async def _write(self, upload: Upload, prepared: PreparedBatch) -> Batch:
        """Write a batch, by plain COPY first if that may succeed.

        A platform whose last batch repeated rows is likely to be sending a file again.
        """
        if prepared.is_first and upload.platform not in self._sends_known_rows:
            try:
                async with self._transaction(upload.platform) as tx:
                    return await self._record(tx, upload, prepared, straight=True)
            except store.KnownRowsError:
                self._sends_known_rows.add(upload.platform)
        async with self._transaction(upload.platform) as tx:
            batch = await self._record(tx, upload, prepared, straight=False)
        if batch.created_count == batch.received_count:
            self._sends_known_rows.discard(upload.platform)
        return batch

    @asynccontextmanager
    async def _transaction(self, platform: str) -> AsyncIterator[Transaction]:
        async with (
            self._platform_locks[platform],
            self._writers,
            self._context.database.begin(Scope(platform=platform)) as tx,
        ):
            await assume_role(tx, store.ROLE, lock_wait=store.LOCK_WAIT)
            yield tx
            await failpoint("orders.before_commit")

    async def _record(
        self, tx: Transaction, upload: Upload, prepared: PreparedBatch, *, straight: bool
    ) -> Batch:
        """Write a prepared batch, by plain COPY or through staging."""
        log = await log_store.lock(tx, upload.platform)
        logs.require_unchanged(log, self._signer)
        stored = await batch_store.get(tx, upload.platform, upload.batch_id)
        if stored is not None:
            stored.require_content(prepared.content_hash)
            return stored
        command = self._context.command()
        now = log.next_time(command.now)
        if straight:
            await copy_rows(tx, prepared, log)
        else:
            prepared, log = await resolve_known_rows(tx, prepared, log, self._readers, now)
        return await record_batch(
            tx, command, upload, prepared, log=log, signer=self._signer, now=now
        )
