"""The rows of an archive: from the database's CSV to Arrow, and their leaves; docs/retention.md."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.csv as arrow_csv

from services.kernel.periods import Month
from services.orderlog.columns import SCHEMA
from services.orders.domain.problems import MonthNotOver

# A row has at most 64 + 200 characters of text, so 2,000 rows stay below 4 MiB.
ROWS_PER_MESSAGE = 2_000
# A batch is committed within its stream's longest deadline; after it a month gets no more batches.
LAST_COMMIT_AFTER = timedelta(hours=1)

# Moments come as Unix microseconds.
_CSV_TYPES = {
    field.name: pa.int64() if pa.types.is_timestamp(field.type) else field.type for field in SCHEMA
}


def require_over(month: Month, now: datetime) -> None:
    """Raise MonthNotOver while a batch of the month may be on its way."""
    closed = month.moments[1] + LAST_COMMIT_AFTER
    if now < closed:
        raise MonthNotOver(month=str(month), closed_time=closed.isoformat())


def from_csv(content: bytes) -> pa.Table:
    """Rows as the database writes them (COPY, format csv): moments in Unix microseconds."""
    return arrow_csv.read_csv(
        pa.BufferReader(content),
        read_options=arrow_csv.ReadOptions(column_names=SCHEMA.names, use_threads=False),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        # An order may be numbered "null" or "NA": only what COPY leaves empty is missing.
        convert_options=arrow_csv.ConvertOptions(
            column_types=_CSV_TYPES,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    ).cast(SCHEMA)


def messages(rows: pa.Table) -> Iterator[bytes]:
    """Rows as Arrow IPC streams that each fit a message."""
    for start in range(0, rows.num_rows, ROWS_PER_MESSAGE):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, SCHEMA) as writer:
            writer.write_table(rows.slice(start, ROWS_PER_MESSAGE).combine_chunks())
        yield sink.getvalue().to_pybytes()
