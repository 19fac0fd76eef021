"""Record a batch: everything that its transaction writes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from services.kernel.money import ZERO
from services.orderlog import tree
from services.orderlog.signer import Signer
from services.orders import events
from services.orders.commands.gaps import compare_affected_days
from services.orders.domain import copy_format, logs, resolutions
from services.orders.domain.batches import Batch, Upload
from services.orders.domain.logs import PlatformLog
from services.orders.domain.prepared_batches import PreparedBatch
from services.orders.domain.receipts import receipt_hash
from services.orders.domain.resolutions import NEW
from services.orders.reader.pool import ReaderPool
from services.orders.store import batches as batch_store
from services.orders.store import intake, staging
from services.orders.store import logs as log_store
from services.runtime.events import outbox
from services.runtime.service.context import CommandContext
from services.runtime.storage import audit
from services.runtime.storage.database import Transaction


async def copy_rows(tx: Transaction, prepared: PreparedBatch, log: PlatformLog) -> None:
    """COPY the rows straight into the table. Raises KnownRowsError if one of them may be stored."""
    if log.misses_first_revisions:
        raise intake.KnownRowsError
    if prepared.leaf_count:
        await intake.insert_rows(tx, copy_format.copy_parts(prepared.rows))


async def resolve_known_rows(
    tx: Transaction,
    prepared: PreparedBatch,
    log: PlatformLog,
    readers: ReaderPool,
    now: datetime,
) -> tuple[PreparedBatch, PlatformLog]:
    """Compare the rows with the stored ones and add the new ones: the resulting batch and log.

    `now` is when the batch is recorded: a revision may end the leg of another worker then.
    """
    if not prepared.leaf_count:
        return prepared, log
    await staging.insert_staged(tx, copy_format.copy_parts(prepared.rows))
    is_first = prepared.is_first and not log.misses_first_revisions
    resolution = await staging.list_verdicts(tx, log.platform, now, is_first=is_first)
    new_count = resolution.verdicts[: prepared.leaf_count].count(NEW)
    root, hashes, rows = prepared.root, prepared.hashes, prepared.rows
    if not new_count:
        root, hashes, rows = tree.EMPTY_ROOT, b"", b""
    elif new_count < len(resolution.verdicts):
        async with readers.reader(log.platform) as reader:
            root, hashes, rows = await reader.select(prepared, resolution.verdicts)
    if new_count:
        await intake.insert_rows(tx, copy_format.copy_parts(rows))
    misses = log.misses_first_revisions or resolution.misses_first_revisions
    resolved = resolutions.apply(prepared, resolution, root, hashes)
    return resolved, replace(log, misses_first_revisions=misses)


async def record_batch(
    tx: Transaction,
    context: CommandContext,
    upload: Upload,
    prepared: PreparedBatch,
    *,
    log: PlatformLog,
    signer: Signer,
    now: datetime,
) -> Batch:
    """Write all that belongs to a batch whose rows are stored: receipt, log, event, audit.

    `now` is when the batch is recorded.
    """
    batch = prepared.receipt(upload, log.size, now)
    await batch_store.insert(tx, batch, prepared.tallies)
    growth = logs.append_and_sign(log, batch.log_entry, signer, now)
    await log_store.update_log(tx, growth)
    recorded = events.order_batch_recorded(batch, prepared.tallies)
    await outbox.add_all(tx, [(event, ZERO) for event in recorded], now)
    days = {day for _, _, day, _ in prepared.tallies}
    await compare_affected_days(tx, batch.platform, days, now)
    await audit.append(
        tx,
        now=now,
        actor=context.actor,
        action="oip.orders.v1.UploadOrders",
        resource=batch.name,
        request_hash=receipt_hash(batch),
    )
    return batch
