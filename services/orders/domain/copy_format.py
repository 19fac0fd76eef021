"""Rows in PostgreSQL's binary COPY form, many at a time."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from services.orderlog.columns import Columns
from services.orderlog.packing import Fixed, Piece, big_endian, offsets_of, rows, swapped, text

# PostgreSQL counts microseconds from 2000-01-01.
POSTGRES_EPOCH_US = 946_684_800_000_000
COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"

# The columns of COPY in the order in which `encode_rows` writes them.
COPY_COLUMNS = (
    "pick_up_time",
    "end_time",
    "reason",
    "batch_no",
    "leaf_index",
    "worker",
    "accept_time",
    "revision",
    "place_of_acceptance",
    "pooling_area",
    "industry",
    "state",
    "platform",
    "order_no",
)


def encode_rows(
    columns: Columns, area: pa.Int32Array, platform: str, batch_no: int, *, first: int = 0
) -> pa.BinaryArray:
    """Each row in binary COPY form, numbered from `first`; `copy_parts` puts them together."""
    count = len(columns)
    return rows(
        count,
        [
            len(COPY_COLUMNS).to_bytes(2, "big"),
            *_moment_or_null(columns.pick_up_time),
            *_moment_or_null(columns.end_time),
            *_text_or_null(columns.reason),
            _sized(batch_no.to_bytes(8, "big")),
            (4).to_bytes(4, "big"),
            Fixed(swapped(array("i", range(first, first + count))), 4),
            (8).to_bytes(4, "big"),
            big_endian(columns.worker, 8),
            (8).to_bytes(4, "big"),
            big_endian(pc.subtract(columns.accept_time, POSTGRES_EPOCH_US), 8),
            (4).to_bytes(4, "big"),
            big_endian(columns.revision, 4),
            (4).to_bytes(4, "big"),
            big_endian(columns.place, 4),
            (4).to_bytes(4, "big"),
            big_endian(area, 4),
            (2).to_bytes(4, "big"),
            big_endian(columns.industry, 2),
            (2).to_bytes(4, "big"),
            big_endian(columns.state, 2),
            _sized(platform.encode("ascii")),
            *text(columns.order_no, 4),
        ],
    )


def copy_parts(content: Any) -> list[Any]:
    """A whole COPY of packed rows, to be sent part by part."""
    return [COPY_HEADER, content, COPY_TRAILER]


def filtered(content: bytes, offsets: bytes, mask: Sequence[bool]) -> memoryview:
    """Of packed rows, those where the mask is true."""
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(content)]
    rows_left = pa.Array.from_buffers(pa.binary(), len(mask), buffers).filter(pa.array(mask))
    ends = offsets_of(rows_left)
    return memoryview(rows_left.buffers()[2])[ends[0] : ends[-1]]


def packed(values: pa.BinaryArray) -> tuple[Any, bytes]:
    """The values one after the other, and 32-bit offsets, for `filtered`."""
    offsets = array("i", offsets_of(values))
    return memoryview(values.buffers()[2])[: offsets[-1]], offsets.tobytes()


def _text_or_null(column: Any) -> list[Piece]:
    """A text for COPY; an empty one is null."""
    binary = column.cast(pa.binary())
    has_value = pc.greater(pc.binary_length(binary), 0)
    if not pc.any(has_value).as_py():
        return [_NULL]
    sized = rows(len(column), text(column, 4))
    return [pc.if_else(has_value, sized, pa.scalar(_NULL, pa.binary()))]


def _moment_or_null(column: Any) -> list[Piece]:
    """Unix microseconds as a moment for COPY; 0 is null."""
    has_value = pc.not_equal(column, 0)
    if not pc.any(has_value).as_py():
        return [_NULL]
    shifted = big_endian(pc.subtract(column, POSTGRES_EPOCH_US), 8)
    sized: list[Piece] = [(8).to_bytes(4, "big"), shifted]
    if pc.all(has_value).as_py():
        return sized
    return [pc.if_else(has_value, rows(len(column), sized), pa.scalar(_NULL, pa.binary()))]


def _sized(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content
