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

from services.client.files.columns import Ref
from services.client.files.faults import FileFault, RowFault, Unreadable
from services.client.files.mapping import FileForm
from services.client.files.pieces import ROWS_PER_PIECE, Piece, WrongRow, missing, numbered
from services.client.files.text_streams import BLOCK_BYTES, TextStream

LINE_BYTES_MAX = 1 << 20
# A piece ends early where rows are long.
_PIECE_TEXT_MAX = 32 << 20
_SHOWN_MAX = 200
_PATHS_MAX = 50

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
    import ijson  # noqa: PLC0415 - as above

    paths: dict[str, None] = {}
    stream = TextStream(path, form.encoding)
    try:
        events = islice(ijson.parse(stream), 200_000)
        for prefix, event, _value in events:
            if event == "start_map" and (prefix == "item" or prefix.endswith(".item")):
                paths.setdefault(prefix.removesuffix("item").removesuffix("."))
            if len(paths) >= _PATHS_MAX:
                break
    finally:
        stream.close()
    return [name for name in paths if ".item" not in f".{name}." and not name.startswith("item")]


def _items(stream: TextStream, path: Path, form: FileForm) -> Iterator[Row]:
    """The items of the array that the mapping names."""
    try:
        import ijson  # noqa: PLC0415 - the distribution has it as an extra
    except ImportError as error:
        raise Unreadable(FileFault.LIBRARY_MISSING, extra="json") from error
    number = 0
    try:
        for number, item in enumerate(
            ijson.items(stream, f"{form.path}.item" if form.path else "item"), 1
        ):
            yield number, item
    except ijson.JSONError as error:
        reason = str(error).splitlines()[0][:_SHOWN_MAX]
        raise Unreadable(FileFault.DAMAGED, kind="json", reason=reason) from error
    if not number and (known := arrays_in(path, form)):
        named = ", ".join(f'"{name}"' for name in known)
        raise Unreadable(FileFault.NO_ARRAY, path=form.path, known=named)


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
        return json.loads(text, parse_int=_Number, parse_float=_Number)
    except (ValueError, RecursionError):
        return text[:_SHOWN_MAX]


class _Number(str):
    """A number as the file writes it."""

    __slots__ = ()


def _pieces(rows: Iterator[Row], fields: Mapping[Ref, str], *, whole: bool) -> Iterator[Piece]:
    """Rows in pieces; the first says whether the file has the columns."""
    for ref, field_name in fields.items():
        if ref.position:
            raise Unreadable(
                FileFault.POSITION_MISSING, position=ref.position, field=field_name, count=0
            )
    is_first = True
    while True:
        piece, is_last = _piece(rows, fields, whole=whole, is_first=is_first)
        if len(piece) or piece.wrong:
            yield piece
        if is_last:
            return
        is_first = False


def _piece(
    rows: Iterator[Row], fields: Mapping[Ref, str], *, whole: bool, is_first: bool
) -> tuple[Piece, bool]:
    columns: dict[Ref, list[str | None]] = {ref: [] for ref in fields}
    numbers: list[int] = []
    texts: list[str] = []
    wrong: list[WrongRow] = []
    known: set[Ref] = set()
    size, last = 0, None
    for number, row in islice(rows, ROWS_PER_PIECE):
        last = row
        if not isinstance(row, dict):
            wrong.append(WrongRow(number, RowFault.NOT_AN_OBJECT, _shown(row)))
            continue
        numbers.append(number)
        for ref, values in columns.items():
            text = _cell(row, ref, fields[ref], known)
            values.append(text)
            size += len(text or "")
        if whole:
            texts.append(json.dumps(row, sort_keys=True, ensure_ascii=False, default=str))
        if size > _PIECE_TEXT_MAX:
            break
    else:
        is_last = len(numbers) + len(wrong) < ROWS_PER_PIECE
        _require_known(fields, known, last, is_first=is_first and bool(numbers))
        return _as_piece(columns, numbers, texts if whole else None, wrong), is_last
    _require_known(fields, known, last, is_first=is_first)
    return _as_piece(columns, numbers, texts if whole else None, wrong), False


def _require_known(
    fields: Mapping[Ref, str], known: set[Ref], last: Any, *, is_first: bool
) -> None:
    """Raise Unreadable if no row of the first piece has a column."""
    for ref, field_name in fields.items():
        if is_first and ref not in known:
            raise missing(ref.column, field_name, list(paths_in(last)))


def _as_piece(
    columns: Mapping[Ref, list[str | None]],
    numbers: list[int],
    texts: list[str] | None,
    wrong: list[WrongRow],
) -> Piece:
    rows = pa.array(numbers, pa.int64())
    if numbers and numbers[-1] - numbers[0] + 1 == len(numbers):
        rows = numbered(numbers[0], len(numbers))
    return Piece(
        {ref: pa.array(values, pa.string()) for ref, values in columns.items()},
        rows,
        None if texts is None else pa.array(texts, pa.string()),
        wrong,
    )


def _cell(row: dict[str, Any], ref: Ref, field_name: str, known: set[Ref]) -> str | None:
    """The text of a value. Raises Unreadable if it holds further values."""
    try:
        value = value_at(row, ref.column)
    except (KeyError, IndexError):
        return None
    known.add(ref)
    if value is None or type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        key = next(iter(value), "key") if isinstance(value, dict) else "0"
        raise Unreadable(
            FileFault.NESTED_VALUE, column=ref.column, field=field_name, key=str(key)[:40]
        )
    return str(value)


def _shown(row: Any) -> str:
    return repr(row if isinstance(row, str) else json.dumps(row, default=str)[:_SHOWN_MAX])
