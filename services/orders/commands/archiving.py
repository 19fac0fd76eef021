"""An archive's parts: which batches a month has, and page by page their rows and log paths.

Each part is a transaction of its own: nothing that is read can change, and nobody is held up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.kernel.periods import Month
from services.orderlog import tree
from services.orders.domain import archives
from services.orders.domain.changed import RecordsChanged
from services.orders.domain.records import Batch
from services.orders.store import archives as store
from services.orders.store import log, records
from services.orders.store.archives import Extent
from services.orders.store.log import Checkpoint
from services.runtime.storage.database import Transaction

# Of one part; a batch of more rows is a part of its own.
BATCHES_MAX = 200
ROWS_MAX = 50_000


@dataclass(frozen=True)
class Logged:
    """A batch, and the path from its entry to the log's root."""

    batch: Batch
    log_path: list[bytes]


@dataclass(frozen=True)
class Opened:
    """What the archive of a month is: its batches, the head they are proven under, neighbours."""

    extent: Extent
    checkpoint: Checkpoint
    before: Logged | None
    after: Logged | None


@dataclass(frozen=True)
class Part:
    """Some batches of an archive and their rows (domain.archives.from_csv)."""

    batches: list[Logged]
    rows: bytes

    @property
    def end(self) -> int:
        """The log index that comes next."""
        return self.batches[-1].batch.log_index + 1


async def open_archive(tx: Transaction, platform: str, month: Month, now: datetime) -> Opened:
    """What there is to archive. Raises MonthNotOver or NothingToArchive."""
    archives.require_over(month, now)
    extent = await store.extent(tx, platform, *archives.month_bounds(month))
    checkpoint = await log.get_checkpoint(tx, platform)
    if checkpoint is None or extent.start == extent.end:
        raise archives.NothingToArchive(platform=f"platforms/{platform}", month=month)
    beside = []
    for index in (extent.start - 1, extent.end):
        is_there = 0 <= index < checkpoint.log_size
        held = await records.list_batches(tx, platform, index - 1, 1) if is_there else []
        beside.append(next(iter(await _logged(tx, held, checkpoint)), None))
    return Opened(extent, checkpoint, *beside)


async def read_part(
    tx: Transaction, platform: str, start: int, end: int, checkpoint: Checkpoint
) -> Part:
    """The next batches from a log index on, as many as a part may hold."""
    count = min(BATCHES_MAX, end - start)
    held = await records.list_batches(tx, platform, start - 1, count)
    batches, row_count = held[:1], held[0].created_count
    for batch in held[1:]:
        row_count += batch.created_count
        if row_count > ROWS_MAX:
            break
        batches.append(batch)
    rows = await store.rows_of(tx, [one.batch_no for one in batches if one.created_count])
    return Part(await _logged(tx, batches, checkpoint), rows)


async def _logged(
    tx: Transaction, batches: Sequence[Batch], checkpoint: Checkpoint
) -> list[Logged]:
    """These batches with their paths to the head."""
    size = checkpoint.log_size
    places = {
        place
        for batch in batches
        for one in tree.path_ranges(batch.log_index, 0, size)
        for place in tree.range_places(*one)
    }
    node = await log.nodes(tx, checkpoint.platform, sorted(places)) if places else {}
    if len(node) < len(places):
        name = f"the log of platforms/{checkpoint.platform}"
        raise RecordsChanged(name=name, what="nodes are missing")
    return [
        Logged(batch, tree.log_path(batch.log_index, size, node.__getitem__)) for batch in batches
    ]
