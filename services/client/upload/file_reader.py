"""`python -m services.client.upload.file_reader FILE ZONE ENCODING`: a file's columns on stdout.

The first line is TABLE, then follows an Arrow stream, and the last line is END. Any other line says
what is wrong with the file. It runs as a separate program with limited memory;
`order_files.read_file` starts it.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from services.client.upload.columns import Unreadable, cast
from services.client.upload.formats import pieces
from services.client.upload.order_files import END, TABLE

# Memory for reading. Files are read piece by piece, but an Arrow file is mapped as a whole.
MEMORY_BYTES_LEAST = 2 << 30
MEMORY_BYTES_PER_BYTE = 4


def main() -> None:
    """Read the file; the last line says whether it was read as a whole."""
    path, zone, encoding = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    _limit(path)
    _write(read_columns(path, zone, encoding), sys.stdout.buffer)


def read_columns(path: Path, zone: str = "", encoding: str = "utf-8") -> Iterator[pa.Table]:
    """The columns of REQUIRED, and those of OPTIONAL in the file. Raises Unreadable."""
    row_count = 0
    try:
        for piece in pieces(path, encoding):
            yield cast(piece, row_count, zone)
            row_count += piece.num_rows
    except UnicodeDecodeError as error:
        # Names and time zones that are not UTF-8 fail only when they are used.
        raise Unreadable("it is a damaged file (a name in it is not UTF-8)") from error
    except MemoryError as error:
        raise Unreadable(
            "its content does not fit the memory; split it into smaller files"
        ) from error


def _limit(path: Path) -> None:
    size = path.stat().st_size if path.is_file() else 0
    most = MEMORY_BYTES_LEAST + MEMORY_BYTES_PER_BYTE * size
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _write(tables: Iterator[pa.Table], sink: BinaryIO) -> None:
    writer, last = None, END
    try:
        for table in tables:
            if writer is None:
                sink.write(TABLE)
                writer = pa.ipc.new_stream(sink, table.schema)
            writer.write_table(table)
    except Unreadable as refusal:
        last = " ".join(str(refusal).split()).encode(errors="replace") + b"\n"
    if writer is not None:
        writer.close()
    sink.write(last)
    sink.flush()


if __name__ == "__main__":
    main()
