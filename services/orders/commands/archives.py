"""The parts of an archive: which batches a month has, and page by page their rows and log paths.

Each part is read in a separate transaction: nothing that is read can change, and no other call is
delayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.kernel.periods import Month
from services.orderlog import tree
from services.orders.domain import archives
from services.orders.domain.batches import Batch
from services.orders.domain.logs import Checkpoint
from services.orders.domain.problems import (
    NODES_MISSING,
    NothingToArchive,
    RecordsChanged,
    log_name,
)
from services.orders.store import archives as archive_store
from services.orders.store import batches as batch_store
from services.orders.store import logs as log_store
from services.orders.store.archives import Extent
from services.runtime.storage.database import Transaction

# Of one part; a batch with more rows is a part by itself.
BATCHES_MAX = 200
ROWS_MAX = 50_000


@dataclass(frozen=True)
class LoggedBatch:
    """A batch, and the path from its entry to the log's root."""

    batch: Batch
    log_path: list[bytes]


@dataclass(frozen=True)
class MonthOverview:
    """The archive of a month: its batches, the head that proves them, and their neighbours."""

    extent: Extent
    checkpoint: Checkpoint
    before: LoggedBatch | None
    after: LoggedBatch | None


@dataclass(frozen=True)
class ArchivePart:
    """Some batches of an archive and their rows as CSV (domain.archives.from_csv)."""

    batches: list[LoggedBatch]
    rows: bytes

    @property
    def end(self) -> int:
        """The log index that follows."""
        return self.batches[-1].batch.log_index + 1


async def read_overview(
    tx: Transaction, platform: str, month: Month, now: datetime
) -> MonthOverview:
    """What a month has to archive. Raises MonthNotOver or NothingToArchive."""
    archives.require_over(month, now)
    extent = await archive_store.get_extent(tx, platform, *month.moments)
    checkpoint = await log_store.get_checkpoint(tx, platform)
    if checkpoint is None or extent.start == extent.end:
        raise NothingToArchive(platform=f"platforms/{platform}", month=month)
    neighbours = []
    for index in (extent.start - 1, extent.end):
        exists = 0 <= index < checkpoint.log_size
        batches = await batch_store.list_after(tx, platform, index - 1, 1) if exists else []
        neighbours.append(next(iter(await _with_paths(tx, batches, checkpoint)), None))
    return MonthOverview(extent, checkpoint, *neighbours)


async def read_part(
    tx: Transaction, platform: str, start: int, end: int, checkpoint: Checkpoint
) -> ArchivePart:
    """The next batches from a log index on, as many as a part may hold."""
    count = min(BATCHES_MAX, end - start)
    following = await batch_store.list_after(tx, platform, start - 1, count)
    batches, row_count = following[:1], following[0].created_count
    for batch in following[1:]:
        row_count += batch.created_count
        if row_count > ROWS_MAX:
            break
        batches.append(batch)
    numbers = [batch.batch_no for batch in batches if batch.created_count]
    rows = await archive_store.get_rows_as_csv(tx, numbers)
    return ArchivePart(await _with_paths(tx, batches, checkpoint), rows)


async def _with_paths(
    tx: Transaction, batches: Sequence[Batch], checkpoint: Checkpoint
) -> list[LoggedBatch]:
    """These batches with their paths to the head."""
    size = checkpoint.log_size
    positions = {
        position
        for batch in batches
        for start, end in tree.path_ranges(batch.log_index, 0, size)
        for position in tree.range_positions(start, end)
    }
    nodes = (
        await log_store.list_nodes(tx, checkpoint.platform, sorted(positions)) if positions else {}
    )
    if len(nodes) < len(positions):
        raise RecordsChanged(name=log_name(checkpoint.platform), what=NODES_MISSING)
    return [
        LoggedBatch(batch, tree.log_path(batch.log_index, size, nodes.__getitem__))
        for batch in batches
    ]
