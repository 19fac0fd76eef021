"""Parquet, CSV, Arrow and NDJSON piece by piece: a file may be larger than the memory."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from services.client.upload.columns import KINDS, MOMENT, Unreadable, present

ROWS_PER_PIECE = 65_536
# The longest line; a row of an order has a few hundred bytes. It is also the size of a read block,
# and some dozens of blocks are read ahead.
LINE_BYTES_MAX = 1 << 20
_READ_BYTES = 1 << 20
_TEXT_KINDS = frozenset({"csv", "ndjson"})
# How pyarrow reports a row with more or fewer cells than the header.
_UNEVEN_ROW = re.compile(r"(?:Row #(\d+): )?Expected (\d+) columns, got (\d+)")


def pieces(path: Path, encoding: str = "utf-8") -> Iterator[pa.Table]:
    """The rows of a file with our columns, in the file's types. Raises Unreadable."""
    kind = kind_of(path)
    row_count = 0
    try:
        for piece in _READERS[kind](path, encoding):
            piece.validate(full=True)
            for start in range(0, piece.num_rows, ROWS_PER_PIECE):
                yield piece.slice(start, ROWS_PER_PIECE)
            row_count += piece.num_rows
    except FileNotFoundError as error:
        raise Unreadable("there is no such file") from error
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Unreadable(_sentence(error, path, kind, encoding, row_count)) from error


def kind_of(path: Path) -> str:
    """The kind of file by its suffix. Raises Unreadable if the suffix is unknown."""
    name, is_packed = path.name.lower(), path.suffix.lower() == ".gz"
    suffix = Path(name.removesuffix(".gz")).suffix
    kind = _KINDS.get(suffix)
    if kind is None:
        known = ", ".join(_KINDS)
        raise Unreadable(
            f"{path.suffix or 'no suffix'} is not one of {known}; save it as one of these"
        )
    if is_packed and kind not in _TEXT_KINDS:
        raise Unreadable(f"{suffix} is not read compressed; unpack the file")
    return kind


def _parquet(path: Path, _encoding: str) -> Iterator[pa.Table]:
    # Pre-buffered bytes stay in memory to the end: a file of 9 million rows took 140 MB more.
    with pyarrow.parquet.ParquetFile(path, buffer_size=_READ_BYTES, pre_buffer=False) as file:
        # Only these columns are decoded.
        ours = present(file.schema_arrow.names)
        for batch in file.iter_batches(ROWS_PER_PIECE, columns=ours):
            yield pa.Table.from_batches([batch])


def _arrow(path: Path, _encoding: str) -> Iterator[pa.Table]:
    with pa.memory_map(str(path)) as source:
        try:
            file = pa.ipc.open_file(source)
        except pa.ArrowInvalid:
            source.seek(0)
            with pa.ipc.open_stream(source) as stream:
                ours = present(stream.schema.names)
                yield from (_whole(batch).select(ours) for batch in stream)
            return
        ours = present(file.schema.names)
        for number in range(file.num_record_batches):
            yield _whole(file.get_batch(number)).select(ours)


def _whole(batch: pa.RecordBatch) -> pa.Table:
    # Before any value is used: bad bytes can crash whatever reads them.
    batch.validate(full=True)
    return pa.Table.from_batches([batch])


def _csv(path: Path, encoding: str) -> Iterator[pa.Table]:
    # One thread: rows are then counted, so that a faulty row can be named.
    read = pyarrow.csv.ReadOptions(block_size=LINE_BYTES_MAX, use_threads=False)
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    with pyarrow.csv.open_csv(_text(path, encoding), read, parse) as header:
        ours = present(header.schema.names)
    convert = pyarrow.csv.ConvertOptions(
        include_columns=ours,
        column_types=dict.fromkeys(ours, pa.string()),
        strings_can_be_null=False,
    )
    with pyarrow.csv.open_csv(_text(path, encoding), read, parse, convert) as reader:
        for batch in reader:
            yield pa.Table.from_batches([batch])


def _ndjson(path: Path, encoding: str) -> Iterator[pa.Table]:
    if not _check_first_line(path, encoding):
        return
    schema = pa.schema(
        {name: pa.string() if kind == MOMENT else kind for name, kind in KINDS.items()}
    )
    read = pyarrow.json.ReadOptions(block_size=LINE_BYTES_MAX)
    parse = pyarrow.json.ParseOptions(
        explicit_schema=schema, unexpected_field_behavior="ignore", newlines_in_values=False
    )
    with pyarrow.json.open_json(_text(path, encoding), read, parse) as reader:
        for batch in reader:
            yield pa.Table.from_batches([batch])


def _check_first_line(path: Path, encoding: str) -> bool:
    """Whether the file has a line; the first line names every column, as a header does."""
    with _text(path, encoding) as text:
        start = text.read(LINE_BYTES_MAX).lstrip()
    if not start:
        return False
    try:
        first = json.loads(start.splitlines()[0])
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        raise Unreadable("row 1 is not a JSON object; write one object a line") from error
    if not isinstance(first, dict):
        raise Unreadable("row 1 is not a JSON object; write one object a line")
    present(list(first))
    return True


def _text(path: Path, encoding: str) -> pa.NativeFile:
    """The file's text in UTF-8."""
    packing = "gzip" if path.suffix.lower() == ".gz" else None
    stream = pa.input_stream(str(path), compression=packing, buffer_size=_READ_BYTES)
    return stream if encoding == "utf-8" else pa.transcoding_input_stream(stream, encoding, "utf-8")


def _sentence(error: Exception, path: Path, kind: str, encoding: str, rows_before: int) -> str:
    """What is wrong, and in which row; rows count from 1 without a header and blank lines."""
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    if kind in _TEXT_KINDS and (isinstance(error, UnicodeDecodeError) or "UTF8" in reason):
        if encoding != "utf-8":
            return f"{_line(path, encoding)}is not {encoding}, as the mapping says it is"
        return (
            f"{_line(path, encoding)}is not UTF-8; save the file as UTF-8, or name its encoding "
            'in the mapping, for example encoding = "gb18030"'
        )
    if isinstance(error, UnicodeDecodeError):
        # Names and time zones that are not UTF-8 fail only when they are used.
        return "it is a damaged file (a name in it is not UTF-8)"
    if kind in _TEXT_KINDS and "straddling" in reason:
        return (
            f"there is no end of the line within {LINE_BYTES_MAX >> 20} MiB after row "
            f"{rows_before}; write one order a line, and close every quotation mark"
        )
    if reason == "Empty CSV file":
        return "it is empty, without even a header"
    if match := _UNEVEN_ROW.search(reason):
        row = f"row {int(match[1]) - 1}" if match[1] else "a row"
        reason = (
            f"{row} has {match[3]} cells, but the header has {match[2]}; write one cell for each "
            "column, and put a cell that contains a comma in quotation marks"
        )
    reason = re.sub(r"Row #(\d+)", lambda row: f"row {int(row[1]) - 1}", reason)
    reason = re.sub(r"in row (\d+)", lambda row: f"in row {int(row[1]) + rows_before + 1}", reason)
    return f"it is not a valid {kind} file ({reason})"


def _line(path: Path, encoding: str) -> str:
    """`line 3 `: the first line that is not in this encoding; `it ` if there is none."""
    number = 1
    with suppress(OSError, EOFError, zlib.error), _as_bytes(path) as lines:
        while line := lines.readline(LINE_BYTES_MAX):
            try:
                line.decode(encoding)
            except UnicodeDecodeError:
                return f"line {number} "
            number += line.endswith(b"\n")
    return "it "


def _as_bytes(path: Path) -> BinaryIO:
    is_packed = path.suffix.lower() == ".gz"
    return cast("BinaryIO", gzip.open(path) if is_packed else path.open("rb"))


_READERS: dict[str, Callable[[Path, str], Iterator[pa.Table]]] = {
    "parquet": _parquet,
    "csv": _csv,
    "arrow": _arrow,
    "ndjson": _ndjson,
}
_KINDS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".arrow": "arrow",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}
