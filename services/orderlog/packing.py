"""Rows as bytes, many at a time: constants, fixed-width columns and texts laid into one array.

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

_CODES = {1: "b", 2: "h", 4: "i", 8: "q"}
_TYPES = {1: pa.int8(), 2: pa.int16(), 4: pa.int32(), 8: pa.int64()}


@dataclass(frozen=True)
class Fixed:
    """A column of fixed width, big-endian, one value after the other."""

    content: bytes
    width: int


Piece: TypeAlias = "bytes | Fixed | pa.BinaryArray"


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
    return Fixed(swapped(values), width)


def offsets_of(values: pa.BinaryArray) -> list[int]:
    """Where each value begins, and where the last one ends, in the array's content buffer."""
    offsets = array("i")
    start = values.offset * 4
    offsets.frombytes(memoryview(values.buffers()[1])[start : start + (len(values) + 1) * 4])
    return offsets.tolist()


def text(column: Any, length_width: int) -> list[Piece]:
    """A text with its length in bytes before it."""
    binary = column.cast(pa.binary())
    if pc.max(pc.binary_length(binary)).as_py() in {0, None}:
        return [bytes(length_width)]
    return [big_endian(pc.binary_length(binary), length_width), binary]


def swapped(values: array[int]) -> bytes:
    """The bytes of integers in the other byte order; the array itself is changed."""
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
