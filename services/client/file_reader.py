"""`python -m services.client.file_reader FILE`: a file's columns, as an Arrow stream on stdout.

Runs as a program of its own with limited memory; `files.read_file` starts it.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from services.client.files import TABLE

# What reading may take: a sound file unfolds to some tens of its size.
MEMORY_BYTES_LEAST = 2 << 30
MEMORY_BYTES_PER_BYTE = 64

_MOMENT = pa.timestamp("us", tz="UTC")
NEEDED = {
    "platform_hint": pa.string(),
    "order_no": pa.string(),
    "worker_hint": pa.string(),
    "accepted_at": _MOMENT,
    "completed_at": _MOMENT,
    "pickup_lng": pa.float64(),
    "pickup_lat": pa.float64(),
}
# A file of corrections has these too.
OPTIONAL = {"revision": pa.int32(), "state": pa.string(), "reason": pa.string()}


class Unreadable(Exception):  # noqa: N818 - is told, not raised to the top
    """The file is not one of orders; the text says why."""


def main() -> None:
    """Read the file that is named; say in the first line whether its table follows."""
    path, sink = Path(sys.argv[1]), sys.stdout.buffer
    _limit(path)
    try:
        table = read_columns(path)
    except Unreadable as refusal:
        sink.write(" ".join(str(refusal).split()).encode(errors="replace") + b"\n")
    else:
        _write(table, sink)


def read_columns(path: Path) -> pa.Table:
    """The columns of NEEDED, and those of OPTIONAL that are there. Raises Unreadable."""
    try:
        table = _whole(path)
        names = table.column_names
        missing = [name for name in NEEDED if name not in names]
        if missing:
            raise Unreadable(f"column {missing[0]} is missing; it needs {', '.join(NEEDED)}")
        kinds = {name: kind for name, kind in {**NEEDED, **OPTIONAL}.items() if name in names}
        doubled = [name for name in kinds if names.count(name) > 1]
        if doubled:
            raise Unreadable(f"column {doubled[0]} is there twice; remove one")
        return pa.table({name: _cast(table, name, kind) for name, kind in kinds.items()})
    except UnicodeDecodeError as error:
        # Names and time zones that are no UTF-8 show only when they are looked at.
        raise Unreadable("it is a damaged file (a name in it is no UTF-8)") from error
    except MemoryError as error:
        raise Unreadable(
            "it unfolds to more than fits the memory; cut it into smaller files"
        ) from error


def _limit(path: Path) -> None:
    size = path.stat().st_size if path.is_file() else 0
    most = MEMORY_BYTES_LEAST + MEMORY_BYTES_PER_BYTE * size
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _write(table: pa.Table, sink: BinaryIO) -> None:
    sink.write(TABLE)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    sink.flush()


def _cast(table: pa.Table, name: str, kind: pa.DataType) -> Any:
    column = table[name]
    try:
        if pa.types.is_timestamp(kind) and pa.types.is_timestamp(column.type):
            naive = column.type.tz is None
            return column.cast(pa.timestamp("us")).cast(kind) if naive else column.cast(kind)
        return column.cast(kind)
    except pa.ArrowMemoryError:
        raise
    except pa.ArrowException as error:
        what = f"column {name} is {str(column.type)[:100]} and cannot be read as {kind}"
        raise Unreadable(what) from error


def _whole(path: Path) -> pa.Table:
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise Unreadable(f"{path.suffix or 'no suffix'} is none of {', '.join(_READERS)}")
    try:
        table = read(path)
        table.validate(full=True)
    except FileNotFoundError as error:
        raise Unreadable("there is no such file") from error
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        first = str(error).splitlines()[0][:200]
        kind = path.suffix.lstrip(".")
        raise Unreadable(f"it is no {kind} file, or a damaged one ({first})") from error
    return table


def _parquet(path: Path) -> pa.Table:
    with pyarrow.parquet.ParquetFile(path) as file:
        names = file.schema_arrow.names
        # Nothing else is unfolded.
        return file.read(columns=[name for name in (*NEEDED, *OPTIONAL) if name in names])


def _csv(path: Path) -> pa.Table:
    convert = pyarrow.csv.ConvertOptions(
        column_types={**NEEDED, **OPTIONAL}, strings_can_be_null=False
    )
    return pyarrow.csv.read_csv(path, convert_options=convert)


def _ndjson(path: Path) -> pa.Table:
    texts = {name: pa.string() if kind == _MOMENT else kind for name, kind in NEEDED.items()}
    schema = pa.schema({**texts, **OPTIONAL})
    options = pyarrow.json.ParseOptions(explicit_schema=schema)
    table = pyarrow.json.read_json(path, parse_options=options)
    for name in ("accepted_at", "completed_at"):
        moments = pc.replace_substring(table[name], "Z", "+0000")
        place = table.column_names.index(name)
        table = table.set_column(place, name, moments.cast(_MOMENT))
    for name in OPTIONAL:
        if table[name].null_count == table.num_rows:
            table = table.drop_columns([name])
    return table


def _arrow(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        try:
            return pa.ipc.open_file(source).read_all()
        except pa.ArrowInvalid:
            source.seek(0)
            return pa.ipc.open_stream(source).read_all()


_READERS: dict[str, Callable[[Path], pa.Table]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".arrow": _arrow,
    ".ndjson": _ndjson,
}


if __name__ == "__main__":
    main()
