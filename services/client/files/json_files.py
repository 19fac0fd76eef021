"""JSON: one object a line, or an array at a path; row by row, a bounded piece at a time.

Numbers are kept as they are written, so that an order number of twenty digits is not rounded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from services.client.error_words import library_words
from services.client.files.columns import Ref
from services.client.files.faults import FileFault, RowFault, Unreadable
from services.client.files.mapping import FileForm
from services.client.files.pieces import ROWS_PER_PIECE, Piece, WrongRow, missing
from services.client.files.text_streams import BLOCK_BYTES, TextStream

LINE_BYTES_MAX = 1 << 20
# Rows that are held as objects at a time.
_ROWS_PER_LOT = 1024
# A piece ends early where rows are long.
_PIECE_TEXT_MAX = 32 << 20
_SHOWN_MAX = 200
_PATHS_MAX = 50
_EVENTS_MAX = 200_000
# A fraction is kept as it is written: 6.9E+17 is damage, and must not become a number.
_DECODER = json.JSONDecoder(parse_float=str)
_TEXT_OR_NOTHING = {str, type(None)}

Row = tuple[int, Any]


def read_ndjson(
    path: Path, form: FileForm, fields: Mapping[Ref, str], *, whole: bool
) -> Iterator[Piece]:
    """The rows of a file with one object a line. Raises Unreadable."""
    yield from _pieces(json_rows(path, form, "ndjson"), fields, whole=whole)


def read_json(
    path: Path, form: FileForm, fields: Mapping[Ref, str], *, whole: bool
) -> Iterator[Piece]:
    """The rows of an array in a file. Raises Unreadable."""
    yield from _pieces(json_rows(path, form, "json"), fields, whole=whole)


def json_rows(path: Path, form: FileForm, kind: str) -> Iterator[Row]:
    """The rows of a file with their numbers; what is no object too. Raises Unreadable."""
    stream = TextStream(path, form.encoding)
    try:
        yield from _lines(stream) if kind == "ndjson" else _items(stream, path, form)
    finally:
        stream.close()


def value_at(row: Any, path: str) -> Any:
    """The value at a path such as `courier.id` or `stops.0.time`; a key of that name comes first.

    Raises KeyError where a part of the path is missing.
    """
    if isinstance(row, dict) and path in row:
        return row[path]
    value = row
    for part in path.split("."):
        if isinstance(value, dict):
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif value is None:
            return None
        else:
            raise KeyError(part)
    return value


def paths_in(row: Any, prefix: str = "") -> Iterator[str]:
    """The paths of the values in an object."""
    if isinstance(row, dict):
        for key, value in row.items():
            yield from paths_in(value, f"{prefix}{key}.")
    elif isinstance(row, list):
        for place, value in enumerate(row[:3]):
            yield from paths_in(value, f"{prefix}{place}.")
    else:
        yield prefix.removesuffix(".")


def arrays_in(path: Path, form: FileForm) -> list[str]:
    """The paths of the arrays of objects in a JSON file, the empty one for the file itself."""
    ijson = _library()
    paths: dict[str, None] = {}
    stream = TextStream(path, form.encoding)
    try:
        for prefix, event, _value in islice(ijson.parse(stream), _EVENTS_MAX):
            if event == "start_map" and (prefix == "item" or prefix.endswith(".item")):
                paths.setdefault(prefix.removesuffix("item").removesuffix("."))
            if len(paths) >= _PATHS_MAX:
                break
    except ijson.JSONError as error:
        raise _damaged(error) from error
    finally:
        stream.close()
    return [name for name in paths if ".item" not in f".{name}." and not name.startswith("item")]


def _items(stream: TextStream, path: Path, form: FileForm) -> Iterator[Row]:
    """The items of the array that the mapping names."""
    ijson = _library()
    number = 0
    try:
        for number, item in enumerate(
            ijson.items(stream, f"{form.path}.item" if form.path else "item"), 1
        ):
            yield number, item
    except ijson.JSONError as error:
        raise _damaged(error) from error
    if not number and (known := arrays_in(path, form)):
        named = ", ".join(f'"{name}"' for name in known)
        raise Unreadable(FileFault.NO_ARRAY, path=form.path, known=named)


def _library() -> Any:
    """What reads arrays of any size; the distribution has it as an extra."""
    try:
        import ijson  # noqa: PLC0415 - not everybody has it
    except ImportError as error:
        raise Unreadable(FileFault.LIBRARY_MISSING, extra="json") from error
    return ijson


def _damaged(error: Exception) -> Unreadable:
    return Unreadable(FileFault.DAMAGED, kind="json", reason=library_words(error))


def _lines(stream: TextStream) -> Iterator[Row]:
    """The objects of the lines; text where a line holds none."""
    number, rest = 0, b""
    while True:
        block = stream.read(BLOCK_BYTES)
        lines = (rest + block).split(b"\n")
        rest = lines.pop() if block else b""
        for line in lines:
            if line.strip():
                number += 1
                yield number, _object_in(line)
        if not block:
            return
        if len(rest) > LINE_BYTES_MAX:
            raise Unreadable(FileFault.LONG_LINE, mebibytes=LINE_BYTES_MAX >> 20, row=number)


def _object_in(line: bytes) -> Any:
    text = line.decode("utf-8")
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return text[:_SHOWN_MAX]


def _pieces(rows: Iterator[Row], fields: Mapping[Ref, str], *, whole: bool) -> Iterator[Piece]:
    """Rows in pieces; the first says whether the file has the columns."""
    for ref, field_name in fields.items():
        if ref.position:
            raise Unreadable(
                FileFault.POSITION_MISSING, position=ref.position, field=field_name, count=0
            )
    draft = _Draft(fields, whole=whole)
    while lot := list(islice(rows, _ROWS_PER_LOT)):
        draft.add(lot)
        if draft.is_full:
            yield draft.piece()
    if draft.row_count or draft.wrong:
        yield draft.piece()


class _Draft:
    """A piece that is being filled: the texts of its columns."""

    def __init__(self, fields: Mapping[Ref, str], *, whole: bool) -> None:
        self._fields = fields
        self._whole = whole
        # Columns that a row has had; the first piece must have all.
        self._missing = set(fields)
        self._is_first = True
        self._last: Any = None
        self._start()

    def _start(self) -> None:
        self._columns: dict[Ref, list[Any]] = {ref: [] for ref in self._fields}
        self._numbers: list[int] = []
        self._texts: list[str] = []
        self._text_size = 0
        self.wrong: list[WrongRow] = []

    @property
    def row_count(self) -> int:
        """The rows so far."""
        return len(self._numbers)

    @property
    def is_full(self) -> bool:
        """Whether it is as large as a piece may be."""
        return self.row_count >= ROWS_PER_PIECE or self._text_size > _PIECE_TEXT_MAX

    def add(self, lot: list[Row]) -> None:
        """Take the columns of some rows. Raises Unreadable if a value holds further ones."""
        objects = []
        for number, row in lot:
            if isinstance(row, dict):
                objects.append(row)
                self._numbers.append(number)
            else:
                self.wrong.append(WrongRow(number, RowFault.NOT_AN_OBJECT, _shown(row)))
        for ref, field_name in self._fields.items():
            texts = _texts_of(objects, ref.column, field_name)
            if ref in self._missing and any(_has(row, ref.column) for row in objects):
                self._missing.discard(ref)
            self._columns[ref].extend(texts)
            self._text_size += sum(map(len, filter(None, texts)))
        if self._whole:
            self._texts += [
                json.dumps(row, sort_keys=True, ensure_ascii=False, default=str) for row in objects
            ]
        self._last = objects[-1] if objects else self._last

    def piece(self) -> Piece:
        """The piece; another one begins. Raises Unreadable if its file lacks a column."""
        if self._is_first and self._numbers:
            for ref in self._fields:
                if ref in self._missing:
                    raise missing(ref.column, self._fields[ref], list(paths_in(self._last)))
            self._is_first = False
        numbers = self._numbers
        rows = pa.array(numbers, pa.int64())
        columns = {ref: pa.array(texts, pa.string()) for ref, texts in self._columns.items()}
        joined = pa.array(self._texts, pa.string()) if self._whole else None
        piece = Piece(columns, rows, joined, self.wrong)
        self._start()
        return piece


def _has(row: Any, path: str) -> bool:
    try:
        value_at(row, path)
    except (KeyError, IndexError):
        return False
    return True


def _texts_of(rows: list[dict[str, Any]], path: str, field_name: str) -> list[Any]:
    """The values at a path as texts. Raises Unreadable if one holds further values."""
    if "." in path:
        values = [value_at(row, path) if _has(row, path) else None for row in rows]
    else:
        values = [row.get(path) for row in rows]
    if set(map(type, values)) <= _TEXT_OR_NOTHING:
        return values
    return [_text(value, path, field_name) for value in values]


def _text(value: Any, path: str, field_name: str) -> str | None:
    if value is None or type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        key = next(iter(value), "key") if isinstance(value, dict) else "0"
        raise Unreadable(FileFault.NESTED_VALUE, column=path, field=field_name, key=str(key)[:40])
    return str(value)


def _shown(row: Any) -> str:
    return row if isinstance(row, str) else json.dumps(row, default=str)[:_SHOWN_MAX]
