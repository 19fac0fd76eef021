"""Rows as bytes, many at a time: leaves for hashing (docs/evidence.md), rows for binary COPY.

Fixed-width columns are turned big-endian as a whole and laid into all rows at once by slices with a
stride; parts of varying length are joined to them by Arrow. No object per row.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from services.orders.domain.columns import Columns

LEAF_VERSION = 1
# PostgreSQL counts microseconds from 2000-01-01.
POSTGRES_EPOCH_US = 946_684_800_000_000
COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_CODES = {1: "b", 2: "h", 4: "i", 8: "q"}
_TYPES = {1: pa.int8(), 2: pa.int16(), 4: pa.int32(), 8: pa.int64()}

# The columns of COPY in the order in which `copy_rows` writes them.
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


@dataclass(frozen=True)
class Fixed:
    """A column of fixed width, big-endian, one value after the other."""

    content: bytes
    width: int


Piece: TypeAlias = "bytes | Fixed | pa.BinaryArray"


def leaves(columns: Columns, platform: str) -> pa.BinaryArray:
    """The leaf of each row, with the 0x00 of RFC 6962 before it."""
    return rows(
        len(columns),
        [
            bytes((0, LEAF_VERSION)) + platform.encode("ascii"),
            big_endian(columns.revision, 4),
            big_endian(columns.worker, 8),
            big_endian(columns.industry, 1),
            big_endian(columns.state, 1),
            big_endian(columns.accept_time, 8),
            big_endian(columns.pick_up_time, 8),
            big_endian(columns.end_time, 8),
            big_endian(columns.place, 4),
            *_text(columns.order_no, 2),
            *_text(columns.reason, 2),
        ],
    )


def copy_rows(
    columns: Columns, area: pa.Int32Array, platform: str, batch_no: int, *, first: int = 0
) -> pa.BinaryArray:
    """Each row as binary COPY wants it, numbered from `first`; `copy_parts` puts them together."""
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
            Fixed(_swapped(array("i", range(first, first + count))), 4),
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
            *_text(columns.order_no, 4),
        ],
    )


def copy_parts(content: Any) -> list[Any]:
    """A whole COPY of rows that lie one after the other, to be sent part by part."""
    return [COPY_HEADER, content, COPY_TRAILER]


def kept(content: bytes, offsets: bytes, mask: Sequence[bool]) -> memoryview:
    """Of rows that lie one after the other, those where the mask is true."""
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(content)]
    found = pa.Array.from_buffers(pa.binary(), len(mask), buffers).filter(pa.array(mask))
    ends = offsets_of(found)
    return memoryview(found.buffers()[2])[ends[0] : ends[-1]]


def packed(values: pa.BinaryArray) -> tuple[Any, bytes]:
    """The values one after the other, and 32-bit offsets, for `kept`."""
    offsets = array("i", offsets_of(values))
    return memoryview(values.buffers()[2])[: offsets[-1]], offsets.tobytes()


def rows(count: int, pieces: Sequence[Piece]) -> pa.BinaryArray:
    """Rows made of pieces: constants, fixed-width columns, and binary arrays."""
    arrays: list[Any] = []
    waiting: list[bytes | Fixed] = []
    for piece in pieces:
        if isinstance(piece, bytes | Fixed):
            waiting.append(piece)
            continue
        if waiting:
            arrays.append(_interleaved(count, waiting))
            waiting = []
        arrays.append(piece)
    if waiting:
        arrays.append(_interleaved(count, waiting))
    if len(arrays) == 1:
        return arrays[0]
    return pc.binary_join_element_wise(*arrays, pa.scalar(b"", pa.binary()))


def big_endian(column: Any, width: int) -> Fixed:
    """An integer column without nulls as big-endian values of this width."""
    column = column.cast(_TYPES[width])
    offset, buffer = column.offset, column.buffers()[1]
    content = memoryview(buffer)[offset * width : (offset + len(column)) * width]
    values = array(_CODES[width])
    values.frombytes(content)
    return Fixed(_swapped(values), width)


def offsets_of(values: pa.BinaryArray) -> list[int]:
    """Where each value begins, and where the last one ends, in the array's content buffer."""
    offsets = array("i")
    start = values.offset * 4
    offsets.frombytes(memoryview(values.buffers()[1])[start : start + (len(values) + 1) * 4])
    return offsets.tolist()


def _swapped(values: array[int]) -> bytes:
    values.byteswap()
    return values.tobytes()


def _interleaved(count: int, pieces: Sequence[bytes | Fixed]) -> pa.BinaryArray:
    """Constants and fixed-width columns laid out row by row."""
    template = b"".join(
        piece if isinstance(piece, bytes) else bytes(piece.width) for piece in pieces
    )
    stride, content, start = len(template), bytearray(template * count), 0
    for piece in pieces:
        if isinstance(piece, bytes):
            start += len(piece)
            continue
        for byte in range(piece.width):
            content[start + byte :: stride] = piece.content[byte :: piece.width]
        start += piece.width
    offsets = array("i", range(0, (count + 1) * stride, stride))
    return pa.Array.from_buffers(
        pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(content)]
    )


def _text(column: Any, length_width: int) -> list[Piece]:
    """A text with its length in bytes before it."""
    binary = column.cast(pa.binary())
    if pc.max(pc.binary_length(binary)).as_py() in {0, None}:
        return [bytes(length_width)]
    return [big_endian(pc.binary_length(binary), length_width), binary]


def _text_or_null(column: Any) -> list[Piece]:
    """A text as COPY wants it; an empty one is null."""
    binary = column.cast(pa.binary())
    given = pc.greater(pc.binary_length(binary), 0)
    if not pc.any(given).as_py():
        return [_NULL]
    sized = rows(len(column), _text(column, 4))
    return [pc.if_else(given, sized, pa.scalar(_NULL, pa.binary()))]


def _moment_or_null(column: Any) -> list[Piece]:
    """Unix microseconds as COPY wants a moment; 0 is null."""
    given = pc.not_equal(column, 0)
    if not pc.any(given).as_py():
        return [_NULL]
    shifted = big_endian(pc.subtract(column, POSTGRES_EPOCH_US), 8)
    sized: list[Piece] = [(8).to_bytes(4, "big"), shifted]
    if pc.all(given).as_py():
        return sized
    return [pc.if_else(given, rows(len(column), sized), pa.scalar(_NULL, pa.binary()))]


def _sized(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content
