"""Writes an archive from the service's answer: Parquet files, a check, then the manifest."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from oip.orders.v1 import orders_pb2

from services.client.proofs.archive import MANIFEST, check
from services.kernel import names
from services.kernel.phrases import Phrase
from services.orderlog.manifest import (
    ROWS_SCHEMA,
    Archive,
    ArchiveBroken,
    ArchivedFile,
    LoggedBatch,
)
from services.runtime.rpc.wire import moment_from_wire, month_from_wire

# A row group is read as a whole to prove one of its rows.
GROUP_ROWS = 50_000
FILE_ROWS = 5_000_000
ZSTD_LEVEL = 9
# Order numbers share prefixes, moments their leading digits; the other columns have few values.
_ENCODINGS = {
    "order_no": "DELTA_BYTE_ARRAY",
    "accept_time": "DELTA_BINARY_PACKED",
    "pick_up_time": "DELTA_BINARY_PACKED",
    "end_time": "DELTA_BINARY_PACKED",
    "worker": "PLAIN",
}


async def write_archive(
    parts: AsyncIterable[orders_pb2.GetOrderArchiveResponse],
    folder: Path,
    verifier_key: str,
    on_rows: Callable[[int, int], None] = lambda _done, _all: None,
) -> Archive:
    """Write the answer into an empty folder, and check the files; raises ArchiveBroken.

    A folder without a manifest is not an archive, so an interrupted one is never mistaken for a
    whole one. Memory is bounded by a row group and the manifest. `on_rows` is called with the
    number of rows received and the number expected.
    """
    writer, head = _Writer(folder), None
    async for part in parts:
        if part.HasField("archive"):
            head = part.archive
        elif part.HasField("batch"):
            writer.add_batch(_batch(part.batch))
        else:
            writer.add_rows(part.arrow_ipc)
        on_rows(writer.row_count, head.row_count if head else 0)
    writer.close()
    if head is None or len(writer.batches) != head.batch_count:
        raise ArchiveBroken(
            what=Phrase(
                "BATCHES_MISSING",
                "the service sent fewer batches than it announced",
                "服务发送的批次少于其声明的数量",
            )
        )
    (platform,) = names.parse(head.platform, "platforms")
    archive = Archive(
        platform=platform,
        month=month_from_wire(head.month, "month"),
        verifier_key=verifier_key,
        checkpoint=head.checkpoint.note,
        checkpoint_time=moment_from_wire(head.checkpoint.create_time, "create_time"),
        before=_batch(head.before) if head.HasField("before") else None,
        after=_batch(head.after) if head.HasField("after") else None,
        batches=tuple(writer.batches),
        files=tuple(writer.files),
    )
    check(folder, archive)
    draft = folder / f"{MANIFEST}.draft"
    draft.write_bytes(archive.manifest())
    draft.replace(folder / MANIFEST)
    return archive


@dataclass
class _Writer:
    """Batches and rows in the order received, in row groups of whole batches."""

    folder: Path
    batches: list[LoggedBatch] = field(default_factory=list)
    files: list[ArchivedFile] = field(default_factory=list)
    row_count: int = 0
    _waiting: deque[LoggedBatch] = field(default_factory=deque)
    _rows: list[pa.Table] = field(default_factory=list)
    _group: list[pa.Table] = field(default_factory=list)
    _file: pq.ParquetWriter | None = None
    _file_rows: int = 0
    _file_start: int = 0
    _complete: int = 0

    def add_batch(self, batch: LoggedBatch) -> None:
        """Expect a batch's rows."""
        if not self.batches:
            self._file_start = self._complete = batch.log_index
        self.batches.append(batch)
        self._waiting.append(batch)
        self._group_complete_batches()

    def add_rows(self, content: bytes) -> None:
        """Add the next rows."""
        table = pa.ipc.open_stream(content).read_all()
        self._rows.append(table)
        self.row_count += table.num_rows
        self._group_complete_batches()

    def close(self) -> None:
        """Write the rest; raises ArchiveBroken if rows are missing."""
        if self._waiting or sum(table.num_rows for table in self._rows):
            raise ArchiveBroken(
                what=Phrase(
                    "OTHER_ROWS",
                    "the service sent other rows than its batches have",
                    "服务发送的行与其批次不符",
                )
            )
        self._write_group()
        self._close_file()

    def _group_complete_batches(self) -> None:
        """Move batches whose rows are all here into the row group."""
        here = sum(table.num_rows for table in self._rows)
        while self._waiting and self._waiting[0].leaf_count <= here:
            batch = self._waiting.popleft()
            received = pa.concat_tables(self._rows) if self._rows else None
            if received is not None and batch.leaf_count:
                rows = received.slice(0, batch.leaf_count)
                index = pa.repeat(pa.scalar(batch.log_index, pa.int64()), batch.leaf_count)
                self._group.append(rows.add_column(0, ROWS_SCHEMA.field(0), index))
                self._rows = [received.slice(batch.leaf_count)]
                here -= batch.leaf_count
            self._complete = batch.log_index + 1
            if sum(table.num_rows for table in self._group) >= GROUP_ROWS:
                self._write_group()

    def _write_group(self) -> None:
        """Write the row group, and start another file after a full one."""
        if self._file_start == self._complete:
            return
        if self._file is None:
            self._file = _parquet(self.folder / self._file_name)
        if self._group:
            table = pa.concat_tables(self._group).combine_chunks()
            self._file.write_table(table, row_group_size=table.num_rows)
            self._file_rows += table.num_rows
            self._group = []
        if self._file_rows >= FILE_ROWS:
            self._close_file()

    def _close_file(self) -> None:
        if self._file is None:
            return
        self._file.close()
        content = self.folder / self._file_name
        with content.open("rb") as source:
            digest = hashlib.file_digest(source, "sha256").hexdigest()
            size = source.tell()
        start, end = self._file_start, self._complete
        name, count = self._file_name, self._file_rows
        self.files.append(ArchivedFile(name, size, digest, count, start, end))
        self._file, self._file_rows, self._file_start = None, 0, self._complete

    @property
    def _file_name(self) -> str:
        return f"orders-{len(self.files):04d}.parquet"


def _parquet(path: Path) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        path,
        ROWS_SCHEMA,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=[name for name in ROWS_SCHEMA.names if name not in _ENCODINGS],
        column_encoding=_ENCODINGS,
    )


def _batch(batch: orders_pb2.LoggedBatch) -> LoggedBatch:
    return LoggedBatch(
        name=batch.name,
        create_time=moment_from_wire(batch.create_time, "create_time"),
        log_index=batch.log_index,
        leaf_count=batch.leaf_count,
        root=batch.root,
        log_path=tuple(batch.log_path),
    )
