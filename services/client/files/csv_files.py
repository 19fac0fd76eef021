"""CSV and TSV, a block at a time in whole columns; a row of another length costs only itself."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from services.client.error_words import library_words
from services.client.files.columns import Ref
from services.client.files.faults import FileFault, RowFault, Unreadable
from services.client.files.mapping import FileForm
from services.client.files.pieces import (
    ROWS_PER_PIECE,
    Piece,
    WrongRow,
    require_few,
    resolve,
)
from services.client.files.text_streams import TextStream

# The longest row; one of an order has a few hundred bytes. It is also the size of a read block.
ROW_BYTES_MAX = 1 << 20
WRONG_ROWS_MAX = 1_000_000
_BLOCKS_MAX = 32
_SAMPLE_ROWS = 100
_SHOWN_MAX = 200
# Of the standard library's parser, which reads headers and uneven rows; the default is 128 KiB.
csv.field_size_limit(ROW_BYTES_MAX)
# A row after the last one: where a quotation mark is never closed, it is taken for text of a cell.
_END = "\x1eend of the file\x1e"
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)?")


@dataclass(frozen=True)
class CsvHead:
    """The beginning of a file: its header, how many columns its rows have, where they begin."""

    names: list[str] | None
    column_count: int
    row_offset: int


@dataclass
class _UnevenRows:
    """Rows that have more or fewer cells than the others: repaired, or wrong.

    `usual` is the length of most rows, `named` that of the header.
    """

    form: FileForm
    separator: str
    usual: int
    named: int
    repaired: dict[int, list[str]] = field(default_factory=dict)
    wrong: dict[int, WrongRow] = field(default_factory=dict)
    at_end: bool = False

    def add(self, row: Any) -> str:
        """Take a row that the parser leaves out; "error" ends it."""
        if row.text == _END:
            self.at_end = True
            return "skip"
        cells, count = _cells(row.text, self.form, self.separator), row.expected_columns
        surplus = cells[count:]
        if surplus and (not any(surplus) or len(cells) <= self.named):
            self.repaired[row.number] = cells[:count]
        elif len(cells) == self.usual and not surplus:
            self.repaired[row.number] = [*cells, *[""] * (count - len(cells))]
        else:
            value = f"{len(cells)}: {row.text[:_SHOWN_MAX]}"
            self.wrong[row.number] = WrongRow(row.number, RowFault.UNEVEN_ROW, value)
        return "skip" if len(self.wrong) <= WRONG_ROWS_MAX else "error"


class _EndedStream:
    """The text of a file, and after it a row that marks its end."""

    closed = False

    def __init__(self, stream: TextStream) -> None:
        self._stream = stream
        self._end = f"\n{_END}\n".encode()

    def read(self, count: int = -1) -> bytes:
        """The next bytes, at most `count`; none at the end."""
        if content := self._stream.read(count):
            return content
        taken = len(self._end) if count < 0 else count
        content, self._end = self._end[:taken], self._end[taken:]
        return content

    def close(self) -> None:
        """Nothing: the stream stays with its owner."""

    def readable(self) -> bool:
        """It is a file that is read."""
        return True


def separator_of(path: Path, form: FileForm) -> str:
    """What separates the cells: as the mapping says, or as the format has it."""
    if form.separator is not None:
        return form.separator
    stem = path.name.lower().removesuffix(path.suffix.lower()) if form.format is None else ""
    is_tabbed = form.format == "tsv" or stem.endswith(".tsv") or path.suffix.lower() == ".tsv"
    return "\t" if is_tabbed else ","


def read_csv(
    path: Path, form: FileForm, fields: Mapping[Ref, str], *, whole: bool
) -> Iterator[Piece]:
    """The rows of a file with the columns of `fields`. Raises Unreadable."""
    separator = separator_of(path, form)
    stream = TextStream(path, form.encoding)
    try:
        head = read_head(stream, form, separator)
        places = resolve(fields, _all_names(head))
        if not head.column_count:
            return
        # A header may be longer than the rows, whose last cells are then left out.
        count = max(head.column_count, 1 + max(places.values(), default=0))
        stream.skip(head.row_offset)
        uneven = _UnevenRows(form, separator, head.column_count, len(head.names or ()))
        used = sorted(set(range(count)) if whole else set(places.values()))
        first = 1
        for part in _batches(stream, form, separator, (count, used), uneven):
            rows, table = _with_repaired(part, first, uneven, used)
            first = rows[-1].as_py() + 1 if len(rows) else first
            wrong = _taken_before(uneven, first)
            columns = {ref: table[f"c{place}"].combine_chunks() for ref, place in places.items()}
            yield Piece(columns, rows, _joined(table) if whole else None, wrong)
        # A row of one cell is a row like the others where there is one column alone.
        if count > 1 and not uneven.at_end:
            last = max([first - 1, *uneven.repaired, *uneven.wrong])
            raise Unreadable(FileFault.OPEN_QUOTE, row=last)
        if uneven.repaired or uneven.wrong:
            yield _rest(uneven, places, used, whole=whole)
    finally:
        stream.close()


def _all_names(head: CsvHead) -> list[str]:
    """The headers, and nothing for columns without one."""
    names = head.names or []
    return names + [""] * (head.column_count - len(names))


def read_head(stream: TextStream, form: FileForm, separator: str) -> CsvHead:
    """The beginning of a file; its bytes stay in the stream. Raises Unreadable."""
    content = stream.head(ROW_BYTES_MAX)
    if not content.strip():
        raise Unreadable(FileFault.EMPTY_FILE)
    # The head may end within a character.
    text = content.decode("utf-8", "ignore")
    position = 0

    def lines() -> Iterator[str]:
        nonlocal position
        while position < len(text):
            match = _LINE.match(text, position)
            assert match is not None
            position = match.end()
            yield match[0]

    rows = csv.reader(lines(), delimiter=separator, quotechar=form.quote)
    names = None
    try:
        if form.header:
            names = _row_at(rows, form.header)
            require_few(len(names))
        for _ in range(form.skip):
            next((row for row in rows if row), None)
        row_offset = len(text[:position].encode())
        sample = [len(row) for row in islice(filter(None, rows), _SAMPLE_ROWS)]
    except csv.Error as error:
        raise Unreadable(FileFault.DAMAGED, kind="csv", reason=library_words(error)) from error
    counts = Counter(sample)
    # Of equally frequent lengths, that of the header.
    usual = (
        max(counts, key=lambda count: (counts[count], count == len(names or ()))) if counts else 0
    )
    return CsvHead(names, usual, row_offset)


def _row_at(rows: Iterator[list[str]], line: int) -> list[str]:
    for number, row in enumerate(rows, 1):
        if number == line and row:
            return row
        if number >= line:
            break
    raise Unreadable(FileFault.NO_HEADER, line=line)


def _batches(
    stream: TextStream,
    form: FileForm,
    separator: str,
    columns: tuple[int, Sequence[int]],
    uneven: _UnevenRows,
) -> Iterator[pa.Table]:
    count, used = columns
    names = [f"c{place}" for place in range(count)]
    kept = [names[place] for place in used]
    try:
        # One thread: rows are then counted, so that a faulty row can be named.
        with pyarrow.csv.open_csv(
            _EndedStream(stream) if count > 1 else stream,
            pyarrow.csv.ReadOptions(
                block_size=ROW_BYTES_MAX, use_threads=False, column_names=names
            ),
            pyarrow.csv.ParseOptions(
                delimiter=separator,
                quote_char=form.quote,
                newlines_in_values=True,
                invalid_row_handler=uneven.add,
            ),
            pyarrow.csv.ConvertOptions(
                include_columns=kept,
                column_types=dict.fromkeys(kept, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        ) as reader:
            yield from _larger(reader)
    except pa.ArrowInvalid as error:
        # Rows that are all of another length leave nothing to make columns of.
        if "Empty CSV file" not in str(error):
            raise


def _larger(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same rows in larger tables: a computation over few rows is mostly its start."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        if count >= ROWS_PER_PIECE or len(waiting) >= _BLOCKS_MAX:
            yield pa.Table.from_batches(waiting)
            waiting, count = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def _with_repaired(
    table: pa.Table, first: int, uneven: _UnevenRows, used: Sequence[int]
) -> tuple[Any, pa.Table]:
    """The rows of a batch with their numbers, and between them the repaired ones."""
    if not uneven.repaired and not uneven.wrong:
        return pa.array(range(first, first + table.num_rows), pa.int64()), table
    numbers: list[int] = []
    number = first
    while len(numbers) < table.num_rows:
        if number not in uneven.repaired and number not in uneven.wrong:
            numbers.append(number)
        number += 1
    own = {at: uneven.repaired.pop(at) for at in sorted(uneven.repaired) if at < number}
    if not own:
        return pa.array(numbers, pa.int64()), table
    rows = pa.array([*numbers, *own], pa.int64())
    order = pc.sort_indices(rows)
    return rows.take(order), pa.concat_tables([table, _table(own, used)]).take(order)


def _taken_before(uneven: _UnevenRows, number: int) -> list[WrongRow]:
    return [uneven.wrong.pop(at) for at in sorted(uneven.wrong) if at < number]


def _rest(
    uneven: _UnevenRows, places: Mapping[Ref, int], used: Sequence[int], *, whole: bool
) -> Piece:
    """Repaired and wrong rows at the end of a file."""
    table = _table(uneven.repaired, used)
    columns = {ref: table[f"c{place}"].combine_chunks() for ref, place in places.items()}
    rows = pa.array(list(uneven.repaired), pa.int64())
    return Piece(columns, rows, _joined(table) if whole else None, list(uneven.wrong.values()))


def _table(rows: Mapping[int, list[str]], used: Sequence[int]) -> pa.Table:
    cells = list(rows.values())
    return pa.table(
        {
            f"c{place}": pa.array([row[place] or None for row in cells], pa.string())
            for place in used
        }
    )


def _joined(table: pa.Table) -> Any:
    """All cells of each row as one text."""
    columns = [pc.fill_null(column.combine_chunks(), "") for column in table.columns]
    return pc.binary_join_element_wise(*columns, "\x1f")


def _cells(text: str, form: FileForm, separator: str) -> list[str]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quotechar=form.quote)
    try:
        return next(reader, [])
    except csv.Error:
        return [text]
