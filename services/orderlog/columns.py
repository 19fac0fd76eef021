"""A batch as whole columns, whatever form it came in. No object per row but for messages."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from services.kernel.problems import Kind, Problem

ROWS_MAX = 50_000
# Size of an Arrow batch in memory: more than the longest texts need in ROWS_MAX rows.
BYTES_MAX = 64 << 20

_MOMENT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        ("order_no", pa.string()),
        ("revision", pa.int32()),
        ("worker", pa.int64()),
        ("industry", pa.int8()),
        ("state", pa.int8()),
        ("accept_time", _MOMENT),
        ("pick_up_time", _MOMENT),
        ("end_time", _MOMENT),
        ("place_of_acceptance", pa.int32()),
        ("reason", pa.string()),
    ]
)


# Of what a caller has written and a sentence repeats.
_SHOWN_LENGTH = 300


class BatchUnreadable(Problem):
    """The batch does not have the form it declares."""

    kind, reason = Kind.MALFORMED, "BATCH_UNREADABLE"
    message = "The batch cannot be read: {what}; send it again as the proto describes it."
    message_zh = "无法读取该批次: {what_zh}; 请按接口定义重新发送。"

    @classmethod
    def of(cls, what: str, what_zh: str) -> BatchUnreadable:
        """What is wrong with its form, in both languages."""
        return cls(what=what[:_SHOWN_LENGTH], what_zh=what_zh[:_SHOWN_LENGTH])


class BatchSizeWrong(Problem):
    """The batch has no rows."""

    kind, reason = Kind.MALFORMED, "BATCH_SIZE_WRONG"
    message = "The batch has no rows; send 1 to {most} rows a batch."
    message_zh = "该批次没有任何行; 每批请发送 1 至 {most} 行。"


class BatchTooLarge(Problem):
    """The batch has more rows than a batch may have."""

    kind, reason = Kind.TOO_LARGE, "BATCH_TOO_LARGE"
    message = "The batch has more than {most} rows; send them as several batches."
    message_zh = "该批次超过 {most} 行; 请分成多个批次发送。"


@dataclass(frozen=True)
class Columns:
    """A batch column by column; nothing is null: times are microseconds, 0 where not given."""

    order_no: pa.StringArray
    revision: pa.Int32Array
    worker: pa.Int64Array
    industry: pa.Int8Array
    state: pa.Int8Array
    accept_time: pa.Int64Array
    pick_up_time: pa.Int64Array
    end_time: pa.Int64Array
    place: pa.Int32Array
    reason: pa.StringArray

    def __len__(self) -> int:
        return len(self.order_no)

    def take(self, mask: pa.BooleanArray) -> Columns:
        """The rows where the mask is true."""
        return Columns(*(column.filter(mask) for column in vars(self).values()))

    def workers(self) -> pa.Int64Array:
        """The workers that are named, each once."""
        return self.worker.unique()

    def row(self, index: int) -> dict[str, Any]:
        """One row as plain values, for a rejection that keeps its content."""
        return {name: column[index].as_py() for name, column in vars(self).items()}


def from_arrow(content: bytes | memoryview) -> Columns:
    """Read an Arrow IPC stream: schema first, then batch by batch, each validated in full.

    Bad bytes can crash the reader, so this runs in a reader process and nowhere else.
    """
    batches, count, size = [], 0, 0
    try:
        with pa.ipc.open_stream(pa.py_buffer(content)) as reader:
            _check_schema(reader.schema)
            for batch in reader:
                batch.validate(full=True)
                count += batch.num_rows
                size += batch.nbytes
                if count > ROWS_MAX or size > BYTES_MAX:
                    break
                batches.append(batch)
    except (pa.ArrowException, OSError, ValueError) as error:
        fault = type(error).__name__
        raise BatchUnreadable.of(
            f"it is not an Arrow IPC stream ({fault})", f"不是 Arrow IPC 流 ({fault})"
        ) from error
    if size > BYTES_MAX:
        raise BatchUnreadable.of(
            f"unpacked it has more than {BYTES_MAX >> 20} MiB",
            f"解压后超过 {BYTES_MAX >> 20} MiB",
        )
    check_size(count)
    return of_table(pa.Table.from_batches(batches))


def of_table(table: pa.Table) -> Columns:
    """A table with the columns of SCHEMA, or more, column by column."""
    return _columns([table[name].combine_chunks() for name in SCHEMA.names])


def from_rows(rows: Sequence[Any]) -> Columns:
    """Read row messages (OrderRow); times are Unix microseconds, 0 where not given."""
    check_size(len(rows))
    messages = list(rows)

    def texts(name: str) -> Any:
        return pa.array(list(map(attrgetter(name), messages)), pa.string())

    def numbers(name: str) -> Any:
        values = array("q", map(attrgetter(name), messages))
        buffers = [None, pa.py_buffer(values)]
        return pa.Array.from_buffers(pa.int64(), len(messages), buffers)

    return Columns(
        texts("order_no"),
        numbers("revision").cast(pa.int32()),
        numbers("worker"),
        _small(numbers("industry")),
        _small(numbers("state")),
        numbers("accept_time_us"),
        numbers("pick_up_time_us"),
        numbers("end_time_us"),
        numbers("place_of_acceptance").cast(pa.int32()),
        texts("reason"),
    )


def _small(numbers: Any) -> Any:
    """An enum may be any int32; one that does not fit a byte is not an industry or a state."""
    fits = pc.and_(pc.greater_equal(numbers, 0), pc.less(numbers, 128))
    return pc.if_else(fits, numbers, 0).cast(pa.int8())


def _check_schema(schema: pa.Schema) -> None:
    names = sorted(schema.names)
    if names != sorted(SCHEMA.names):
        missing = sorted(set(SCHEMA.names) - set(names))
        unknown = sorted(set(names) - set(SCHEMA.names))
        raise BatchUnreadable.of(
            f"columns missing: {missing}, unknown or doubled: {unknown or names}",
            f"缺少列: {missing}, 未知或重复的列: {unknown or names}",
        )
    for field in schema:
        wanted = SCHEMA.field(field.name).type
        if field.type != wanted:
            raise BatchUnreadable.of(
                f"column {field.name} is {field.type}, not {wanted}",
                f"列 {field.name} 的类型为 {field.type}, 应为 {wanted}",
            )


def check_size(count: int) -> None:
    """Raise BatchSizeWrong or BatchTooLarge unless a batch may have this number of rows."""
    if count < 1:
        raise BatchSizeWrong(most=ROWS_MAX)
    if count > ROWS_MAX:
        raise BatchTooLarge(most=ROWS_MAX)


def _columns(arrays: list[Any]) -> Columns:
    filled = []
    for column in arrays:
        if pa.types.is_timestamp(column.type):
            filled.append(pc.fill_null(column.view(pa.int64()), 0))
        elif pa.types.is_string(column.type):
            filled.append(pc.fill_null(column, ""))
        else:
            filled.append(pc.fill_null(column, 0))
    return Columns(*filled)
