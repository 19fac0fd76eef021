"""Workbooks (.xlsx), row by row as a stream; openpyxl reads them."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import date, datetime, time, timedelta
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import pyarrow as pa
from openpyxl import load_workbook
from openpyxl.styles.numbers import is_datetime

from services.client.error_words import library_words
from services.client.files.cells import FORMULA_MARK
from services.client.files.columns import Ref
from services.client.files.faults import FileFault, Unreadable
from services.client.files.mapping import FileForm
from services.client.files.pieces import (
    COLUMNS_MAX,
    ROWS_PER_PIECE,
    Piece,
    numbered,
    require_few,
    resolve,
)
from services.client.files.text_streams import EXPANSION_FREE_BYTES, EXPANSION_MAX

_SHEET_PART = re.compile(r"xl/worksheets/[^/]+\.xml")
_FORMULA = re.compile(rb"<f[ >/]")
_CHUNK_BYTES = 1 << 20

Cells = Sequence[Any]


def read_sheet(
    path: Path, form: FileForm, fields: Mapping[Ref, str], *, whole: bool
) -> Iterator[Piece]:
    """The rows of a sheet with the columns of `fields`. Raises Unreadable."""
    with closing(rows_of_sheet(path, form)) as rows:
        yield from _pieces(rows, form, fields, whole=whole)


def _pieces(
    rows: Iterator[list[str | None]], form: FileForm, fields: Mapping[Ref, str], *, whole: bool
) -> Iterator[Piece]:
    names = _header(rows, form)
    ahead = list(islice(rows, 1))
    width = max([len(names or ()), *(len(row) for row in ahead)])
    require_few(width)
    places = resolve(fields, (names or []) + [""] * (width - len(names or [])))
    first = 1
    rows = _chained(ahead, rows)
    while lot := list(islice(rows, ROWS_PER_PIECE)):
        columns = {
            ref: pa.array([row[place] if place < len(row) else None for row in lot], pa.string())
            for ref, place in places.items()
        }
        joined = (
            pa.array(["\x1f".join(cell or "" for cell in row) for row in lot]) if whole else None
        )
        yield Piece(columns, numbered(first, len(lot)), joined)
        first += len(lot)


def rows_of_sheet(path: Path, form: FileForm) -> Generator[list[str | None], None, None]:
    """The rows of a sheet as texts, with empty ones. Raises Unreadable."""
    try:
        _require_small(path)
        with warnings.catch_warnings(), ExitStack() as closing_last:
            # On styles and extensions that do not matter here.
            warnings.simplefilter("ignore")
            yield from _rows(path, form, closing_last)
    except (Unreadable, MemoryError, OSError):
        raise
    except Exception as error:  # a damaged workbook breaks the library in many ways
        raise Unreadable(FileFault.DAMAGED, kind="xlsx", reason=library_words(error)) from error


def _rows(path: Path, form: FileForm, closing_last: ExitStack) -> Iterator[list[str | None]]:
    values = _open_sheet(path, form, closing_last, data_only=True)
    written: Iterator[Cells] = repeat(())
    if _has_formulas(path):
        written = _open_sheet(path, form, closing_last, data_only=False)
    for cells, with_formulas in zip(values, written, strict=False):
        require_few(len(cells) if len(cells) > COLUMNS_MAX else 0)
        texts = [_text(cell) for cell in cells]
        for place, cell in enumerate(with_formulas):
            if getattr(cell, "data_type", "") == "f" and texts[place] is None:
                texts[place] = f"{FORMULA_MARK}{_formula(cell.value)}"
        yield texts


def _open_sheet(
    path: Path, form: FileForm, closing_last: ExitStack, *, data_only: bool
) -> Iterator[Cells]:
    """The rows of a sheet, with values or with formulas."""
    book = load_workbook(path, read_only=True, data_only=data_only)
    closing_last.callback(book.close)
    sheet = book[_sheet_name(book.sheetnames, form)]
    # A sheet may claim a million columns that it does not have.
    sheet.reset_dimensions()
    rows: Generator[Cells, None, None] = sheet.rows
    closing_last.enter_context(closing(rows))
    return rows


def _header(rows: Iterator[list[str | None]], form: FileForm) -> list[str] | None:
    """The headers, if there are any; the rows after them and those to skip are left."""
    names = None
    if form.header:
        row = next(islice(rows, form.header - 1, None), None)
        if row is None or not any(row):
            raise Unreadable(FileFault.NO_HEADER, line=form.header)
        names = [cell or "" for cell in row]
        while names and not names[-1].strip():
            names.pop()
    for _ in range(form.skip):
        next(_filled(rows), None)
    return names


def _chained(
    ahead: list[list[str | None]], rows: Iterator[list[str | None]]
) -> Iterator[list[str | None]]:
    yield from _filled(iter(ahead))
    yield from _filled(rows)


def _filled(rows: Iterator[list[str | None]]) -> Iterator[list[str | None]]:
    """The rows that have a cell."""
    return (row for row in rows if any(row))


def _sheet_name(names: Sequence[str], form: FileForm) -> str:
    if not form.sheet and names:
        return names[0]
    if form.sheet not in names:
        raise Unreadable(FileFault.NO_SHEET, sheet=form.sheet, known=tuple(names))
    return form.sheet


def _text(cell: Any) -> str | None:
    """A cell as a text: moments as ISO 8601 writes them, whole numbers without a point."""
    value = cell.value
    if value is None or type(value) is str:
        return value or None
    if isinstance(value, datetime):
        return _moment(value, cell.number_format)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return str(value)


def _moment(value: datetime, number_format: str) -> str:
    """A cell that shows a day alone is a day; fractions of a second are noise of its number."""
    rounded = (value + timedelta(microseconds=500)).replace(microsecond=0)
    kept = rounded if abs(rounded - value) < timedelta(milliseconds=1) else value
    if is_datetime(number_format) == "date" and kept.time() == time(0):
        return kept.date().isoformat()
    return kept.isoformat(sep=" ")


def _formula(value: Any) -> str:
    return str(getattr(value, "text", value))


def _has_formulas(path: Path) -> bool:
    """Whether a sheet has a formula; values alone do not say so."""
    with zipfile.ZipFile(path) as archive:
        for part in archive.infolist():
            if _SHEET_PART.fullmatch(part.filename):
                with archive.open(part) as content:
                    tail = b""
                    while chunk := content.read(_CHUNK_BYTES):
                        if _FORMULA.search(tail + chunk):
                            return True
                        tail = chunk[-3:]
    return False


def _require_small(path: Path) -> None:
    """Raise Unreadable if the parts of a workbook expand far more than sheets do."""
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    unpacked = sum(part.file_size for part in parts)
    packed = sum(part.compress_size for part in parts)
    if unpacked > EXPANSION_FREE_BYTES and unpacked > EXPANSION_MAX * packed:
        raise Unreadable(FileFault.EXPANDS, ratio=EXPANSION_MAX, mebibytes=unpacked >> 20)
