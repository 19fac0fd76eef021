"""Parquet and Arrow files: whole columns of types, of which only those of the mapping are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from services.client.files.cells import as_texts
from services.client.files.columns import Ref
from services.client.files.faults import FileFault, Unreadable
from services.client.files.mapping import FileForm
from services.client.files.pieces import (
    ROWS_PER_PIECE,
    Piece,
    missing,
    numbered,
    require_few,
    require_small,
    resolve,
)

_READ_BYTES = 1 << 20


def read_parquet(
    path: Path, _form: FileForm, fields: Mapping[Ref, str], *, whole: bool
) -> Iterator[Piece]:
    """The rows of a Parquet file with the columns of `fields`. Raises Unreadable."""
    # Pre-buffered bytes stay in memory to the end: a file of 9 million rows took 140 MB more.
    with pyarrow.parquet.ParquetFile(path, buffer_size=_READ_BYTES, pre_buffer=False) as file:
        paths = _paths(fields, file.schema_arrow)
        needed = sorted({names[0] for names in paths.values()})
        batches = file.iter_batches(ROWS_PER_PIECE, columns=None if whole else needed)
        yield from _pieces(batches, paths, fields, whole=whole)


def read_arrow(
    path: Path, _form: FileForm, fields: Mapping[Ref, str], *, whole: bool
) -> Iterator[Piece]:
    """The rows of an Arrow file or stream with the columns of `fields`. Raises Unreadable."""
    with pa.memory_map(str(path)) as source:
        try:
            file = pa.ipc.open_file(source)
        except pa.ArrowInvalid:
            source.seek(0)
            with pa.ipc.open_stream(source) as stream:
                paths = _paths(fields, stream.schema)
                yield from _pieces(iter(stream), paths, fields, whole=whole)
            return
        paths = _paths(fields, file.schema)
        batches = (file.get_batch(number) for number in range(file.num_record_batches))
        yield from _pieces(batches, paths, fields, whole=whole)


def _pieces(
    batches: Iterator[pa.RecordBatch],
    paths: Mapping[Ref, list[str]],
    fields: Mapping[Ref, str],
    *,
    whole: bool,
) -> Iterator[Piece]:
    first = 1
    for batch in batches:
        # Before any value is used: bad bytes can crash whatever reads them.
        batch.validate(full=True)
        for start in range(0, batch.num_rows, ROWS_PER_PIECE):
            part = batch.slice(start, ROWS_PER_PIECE)
            columns = {ref: _column(part, names, fields[ref]) for ref, names in paths.items()}
            require_small(columns)
            joined = _joined(part) if whole else None
            yield Piece(columns, numbered(first, part.num_rows), joined)
            first += part.num_rows


def _paths(fields: Mapping[Ref, str], schema: pa.Schema) -> dict[Ref, list[str]]:
    """The path of each column: its name, or the names of a column and of fields in it."""
    names = list(schema.names)
    require_few(len(names))
    paths = {}
    for ref, field_name in fields.items():
        column, _, rest = ref.column.partition(".")
        is_nested = rest and ref.column not in names and column in names
        whole = Ref(column) if is_nested else ref
        place = resolve({whole: field_name}, names)[whole]
        if names.count(names[place]) > 1:
            raise Unreadable(FileFault.COLUMN_TWICE, column=names[place], field=field_name)
        paths[ref] = [names[place], *(rest.split(".") if is_nested else ())]
    return paths


def _column(batch: pa.RecordBatch, names: list[str], field_name: str) -> Any:
    column = batch.column(names[0])
    for depth, name in enumerate(names[1:], 1):
        kind = column.type
        if not pa.types.is_struct(kind) or kind.get_field_index(name) < 0:
            known = [kind.field(n).name for n in range(kind.num_fields)] if kind.num_fields else []
            raise missing(".".join(names[: depth + 1]), field_name, known)
        column = pc.struct_field(column, name)
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_nested(column.type):
        kind = column.type
        key = kind.field(0).name if pa.types.is_struct(kind) and kind.num_fields else "0"
        path = ".".join(names)
        raise Unreadable(FileFault.NESTED_VALUE, column=path, field=field_name, key=key)
    return column


def _joined(batch: pa.RecordBatch) -> Any:
    """All cells of each row as one text."""
    texts = [as_texts(_flat(column)) for column in batch.columns]
    return pc.binary_join_element_wise(*(pc.fill_null(text, "") for text in texts), "\x1f")


def _flat(column: Any) -> Any:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return (
        column
        if as_texts(column) is not None
        else pa.array([str(value) for value in column.to_pylist()], pa.string())
    )
