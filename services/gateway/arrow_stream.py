"""An Arrow IPC stream cut into streams of one record batch each, without reading the columns.

Bad columns can crash a reader of Arrow, so only the reader process of the orders service reads
them. Here the frames of the messages are followed: of each its kind and the length of its body.
"""

from __future__ import annotations

from struct import error as struct_error
from struct import unpack_from
from typing import TYPE_CHECKING

from services.gateway.problems import ArrowHasDictionary, ArrowUnreadable, RecordBatchTooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CONTINUES = b"\xff\xff\xff\xff"
_END = _CONTINUES + b"\x00\x00\x00\x00"
_FRAME = 8
# Kinds of messages in the format's Message.fbs.
_SCHEMA, _DICTIONARY, _RECORD_BATCH = 1, 2, 3
# Places of fields in the table `Message` there.
_KIND_FIELD, _BODY_LENGTH_FIELD = 1, 3


class _Pieces:
    """Bytes as they come, to be taken in exact lengths."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._held = bytearray()
        self.position = 0

    async def take(self, count: int) -> bytes:
        """The next bytes; fewer at the end of the body."""
        while len(self._held) < count:
            piece = await anext(self._pieces, None)
            if piece is None:
                break
            self._held += piece
        taken = bytes(self._held[:count])
        del self._held[:count]
        self.position += len(taken)
        return taken


async def record_batches(pieces: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[bytes]:
    """Each record batch as an Arrow IPC stream of at most `max_bytes` with the same schema."""
    body = _Pieces(pieces)
    schema = b""
    index = 0
    while True:
        begin = body.position
        frame = await body.take(_FRAME)
        if frame == _END or (not frame and schema):
            return
        kind, metadata, length = await _message(body, frame, begin, max_bytes)
        if kind == _DICTIONARY:
            raise ArrowHasDictionary(field="request")
        if kind != (_RECORD_BATCH if schema else _SCHEMA):
            raise ArrowUnreadable(field="request", position=begin)
        if len(schema) + _FRAME + len(metadata) + length + len(_END) > max_bytes:
            raise RecordBatchTooLarge(index=index, max_bytes=max_bytes)
        content = await body.take(length)
        if len(content) < length:
            raise ArrowUnreadable(field="request", position=begin)
        if not schema:
            schema = frame + metadata + content
            continue
        yield schema + frame + metadata + content + _END
        index += 1


async def _message(
    body: _Pieces, frame: bytes, begin: int, max_bytes: int
) -> tuple[int, bytes, int]:
    """The kind of a message, its metadata, and the length of the body that follows."""
    size = int.from_bytes(frame[4:], "little")
    if not frame.startswith(_CONTINUES) or len(frame) < _FRAME or not 0 < size <= max_bytes:
        raise ArrowUnreadable(field="request", position=begin)
    metadata = await body.take(size)
    try:
        kind, length = _kind_and_length(metadata)
    except (struct_error, IndexError):
        raise ArrowUnreadable(field="request", position=begin) from None
    if length < 0 or len(metadata) < size:
        raise ArrowUnreadable(field="request", position=begin)
    return kind, metadata, length


def _kind_and_length(metadata: bytes) -> tuple[int, int]:
    """Two fields of a flatbuffer: a table points back to the places of its fields."""
    (table,) = unpack_from("<I", metadata, 0)
    (back,) = unpack_from("<i", metadata, table)
    places = table - back
    if places < 0:
        raise IndexError
    (size,) = unpack_from("<H", metadata, places)

    def place(field: int) -> int:
        offset = 4 + 2 * field
        return int(unpack_from("<H", metadata, places + offset)[0]) if offset < size else 0

    kind = metadata[table + place(_KIND_FIELD)] if place(_KIND_FIELD) else 0
    length = 0
    if place(_BODY_LENGTH_FIELD):
        (length,) = unpack_from("<q", metadata, table + place(_BODY_LENGTH_FIELD))
    return kind, length
