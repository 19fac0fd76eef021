"""Batches: tables of orders split into messages of a bounded size; an id names the rows of each."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

import pyarrow as pa

from services.orderlog.columns import SCHEMA

ROWS_PER_BATCH = 40_000
CONTENT_BYTES_MAX = 4 * 1024 * 1024 - 4096
# A batch id is the run, the batch's number and a part of its content's digest: 63 characters at
# most.
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_DIGEST_LENGTH = 16


@dataclass(frozen=True)
class Batch:
    """A batch to be sent: its id and an Arrow IPC stream; `file_rows` are places in the file."""

    batch_id: str
    content: bytes
    row_count: int
    file_rows: Sequence[int] = ()


def split_into_batches(
    orders: pa.Table | Iterable[pa.Table], run: str, rows_per_batch: int = ROWS_PER_BATCH
) -> Iterator[Batch]:
    """Split tables (columns of the proto, optionally `file_row`) into batches, one at a time.

    A batch id is `{run}-{number}-{digest}`: the same rows under the same run give the same id, so
    an interrupted upload can resume. Rows that changed since (a worker was enrolled, for example)
    give another id, and the service counts those it already stores as `exists`. `run` has 1 to 40
    characters; any other raises ValueError.
    """
    if not _RUN.fullmatch(run):
        raise ValueError("a run is 1 to 40 letters, digits, '.', '_' or '-'")
    number = 0
    for table in _in_lots([orders] if isinstance(orders, pa.Table) else orders, rows_per_batch):
        for part, content in _in_size(table):
            rows = _rows(part["file_row"]) if "file_row" in part.column_names else ()
            digest = sha256(content).hexdigest()[:_DIGEST_LENGTH]
            yield Batch(f"{run}-{number:05d}-{digest}", content, part.num_rows, rows)
            number += 1


def _in_lots(tables: Iterable[pa.Table], rows_per_lot: int) -> Iterator[pa.Table]:
    """The same rows in tables of `rows_per_lot` rows; the last may have fewer."""
    lot: list[pa.Table] = []
    count = 0
    for table in tables:
        start = 0
        while count + table.num_rows - start >= rows_per_lot:
            lot.append(table.slice(start, rows_per_lot - count))
            start += rows_per_lot - count
            yield pa.concat_tables(lot)
            lot, count = [], 0
        if start < table.num_rows:
            lot.append(table.slice(start))
            count += table.num_rows - start
    if lot:
        yield pa.concat_tables(lot)


def _in_size(table: pa.Table) -> Iterator[tuple[pa.Table, bytes]]:
    """A table and its content; its halves if the content is too long."""
    content = _ipc(_compacted(table.select(SCHEMA.names).cast(SCHEMA)))
    if len(content) <= CONTENT_BYTES_MAX or table.num_rows == 1:
        yield table, content
        return
    half = table.num_rows // 2
    yield from _in_size(table.slice(0, half))
    yield from _in_size(table.slice(half))


def _compacted(table: pa.Table) -> pa.Table:
    """The same rows in separate buffers, so that their bytes depend on the rows alone."""
    columns = [
        pa.concat_arrays([*column.chunks, pa.array([], column.type)]) for column in table.columns
    ]
    return pa.table(columns, table.schema)


def _rows(column: pa.ChunkedArray) -> Sequence[int]:
    """The numbers of the rows in compact form: usually they are consecutive."""
    first, last = column[0].as_py(), column[-1].as_py()
    if last - first + 1 == len(column):
        return range(first, last + 1)
    return array("q", column.to_pylist())


def _ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content
