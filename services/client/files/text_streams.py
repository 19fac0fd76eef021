"""The text of a file: unpacked, in UTF-8, a block at a time."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any

import pyarrow as pa

from services.client.files.faults import FileFault, Unreadable
from services.client.files.mapping import ENCODINGS

BLOCK_BYTES = 1 << 20
PACKINGS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
# A text that expands more than this, and by more than the free part, is harmful or no text.
EXPANSION_MAX = 100
EXPANSION_FREE_BYTES = 128 << 20
_LINE_END = re.compile(rb"\r\n|\n|\r")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class TextStream:
    """A file's text in UTF-8 without a byte order mark; a file object that only reads.

    Bytes that are not in the encoding raise Unreadable with their line.
    """

    closed = False

    def __init__(self, path: Path, encoding: str = "") -> None:
        """Open the file. Raises Unreadable."""
        self._path = path
        self._packed_bytes = path.stat().st_size if path.is_file() else 0
        self._packing = PACKINGS.get(path.suffix.lower())
        self._source = pa.input_stream(
            str(path), compression=self._packing, buffer_size=BLOCK_BYTES
        )
        self._byte_count = 0
        self._waiting = b""
        self._names_encoding = bool(encoding)
        self.encoding = encoding
        head = self._raw(BLOCK_BYTES)
        self._decoder = self._decoder_for(head)
        self._waiting = self._decoded(head, is_last=len(head) < BLOCK_BYTES)

    def read(self, count: int = -1) -> bytes:
        """The next bytes, at most `count`; none at the end."""
        while not self._waiting:
            block = self._raw(BLOCK_BYTES)
            if not block:
                self._decoded(b"", is_last=True)
                return b""
            self._waiting = self._decoded(block)
        if count < 0 or count >= len(self._waiting):
            content, self._waiting = self._waiting, b""
            return content
        content, self._waiting = self._waiting[:count], self._waiting[count:]
        return content

    def head(self, count: int) -> bytes:
        """The first bytes, which stay to be read; call it before `read`."""
        parts = [self._waiting]
        while sum(map(len, parts)) < count:
            block = self._raw(BLOCK_BYTES)
            if not block:
                break
            parts.append(self._decoded(block))
        self._waiting = b"".join(parts)
        return self._waiting[:count]

    def skip(self, count: int) -> None:
        """Leave out bytes of the head."""
        self._waiting = self._waiting[count:]

    def close(self) -> None:
        """Close the file."""
        self.closed = True
        self._source.close()

    def readable(self) -> bool:
        """It is a file that is read."""
        return True

    def _raw(self, count: int) -> bytes:
        content: bytes = self._source.read(count)
        self._byte_count += len(content)
        if (
            self._packing
            and self._byte_count > EXPANSION_FREE_BYTES
            and self._byte_count > EXPANSION_MAX * self._packed_bytes
        ):
            raise Unreadable(
                FileFault.EXPANDS, ratio=EXPANSION_MAX, mebibytes=self._byte_count >> 20
            )
        return content

    def _decoder_for(self, head: bytes) -> Any:
        """The decoder; a byte order mark names the encoding if nothing else does."""
        if not self.encoding:
            self.encoding = next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")
        if self.encoding == "utf-8" and 3 * head[:64].count(b"\0") > len(head[:64]):
            raise Unreadable(FileFault.LOOKS_LIKE_UTF16)
        return codecs.getincrementaldecoder(ENCODINGS[self.encoding])()

    def _decoded(self, block: bytes, *, is_last: bool = False) -> bytes:
        is_first = self._byte_count == len(block)
        try:
            text: str = self._decoder.decode(block, is_last)
        except UnicodeDecodeError as error:
            before = self._byte_count - len(error.object) + error.start
            raise self._refusal(before) from error
        if self.encoding == "utf-8":
            return block.removeprefix(codecs.BOM_UTF8) if is_first else block
        return (text.removeprefix("\ufeff") if is_first else text).encode("utf-8", "replace")

    def _refusal(self, byte_count: int) -> Unreadable:
        """The refusal of a file of which this many bytes are in its encoding."""
        line = 1 + _line_count(self._path, self._packing, byte_count)
        if self._names_encoding:
            return Unreadable(FileFault.WRONG_ENCODING, line=line, encoding=self.encoding)
        return Unreadable(FileFault.NOT_UTF8, line=line)


def _line_count(path: Path, packing: str | None, byte_count: int) -> int:
    """The ends of lines in the first bytes of a file."""
    count = 0
    with pa.input_stream(str(path), compression=packing) as source:
        while byte_count > 0 and (block := source.read(min(byte_count, BLOCK_BYTES))):
            count += len(_LINE_END.findall(block))
            byte_count -= len(block)
    return count
