"""`python -m services.client.files.file_reader FILE < MAPPING`: a file's rows on stdout.

The mapping comes as JSON. The first line of the answer is TABLE, then follows an Arrow stream, and
the last line is END. Any other line is a JSON object that says what is wrong with the file. It runs
as a separate program with limited memory; `order_files.read_rows` starts it.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from services.client.error_words import NAME_NOT_UTF8
from services.client.files.faults import FileFault, Unreadable
from services.client.files.formats import pieces
from services.client.files.mapping import FileMapping
from services.client.files.order_files import END, TABLE
from services.client.files.rows import RowReader

# Memory for reading. Files are read piece by piece, but an Arrow file is mapped as a whole.
MEMORY_BYTES_LEAST = 2 << 30
MEMORY_BYTES_PER_BYTE = 4


def main() -> None:
    """Read the file; the last line says whether it was read as a whole."""
    path = Path(sys.argv[1])
    mapping = FileMapping.model_validate_json(sys.stdin.buffer.read())
    limit_memory(path)
    _write(rows_of(path, mapping), sys.stdout.buffer)


def rows_of(path: Path, mapping: FileMapping) -> Iterator[pa.Table]:
    """The rows of a file, orders and wrong ones, with the columns of SCHEMA. Raises Unreadable."""
    before = _mark(path)
    fields = mapping.columns.fields_by_ref()
    try:
        reader = RowReader(mapping)
        for piece in pieces(path, mapping.file, fields, whole=mapping.columns.hashes_rows):
            yield reader.table(piece)
    except MemoryError as error:
        raise Unreadable(FileFault.MEMORY) from error
    except UnicodeDecodeError as error:
        # Names and time zones that are not UTF-8 fail only when they are used.
        raise Unreadable(FileFault.DAMAGED, kind=path.suffix, reason=NAME_NOT_UTF8) from error
    if _mark(path) != before:
        raise Unreadable(FileFault.CHANGED)


def _mark(path: Path) -> tuple[int, int]:
    """Size and time of change; a pipe has neither."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return (status.st_size, status.st_mtime_ns) if path.is_file() else (0, 0)


def limit_memory(path: Path) -> None:
    """Let this process have a few gigabytes and no more: some files expand without end."""
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
        last = json.dumps(asdict(refusal.reason)).encode("ascii") + b"\n"
    if writer is not None:
        writer.close()
    sink.write(last)
    sink.flush()


if __name__ == "__main__":
    main()
