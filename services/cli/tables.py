"""The one way to print rows: as a table, as CSV or as JSON. A value is never cut or folded.

A table that is wider than the terminal becomes one block of lines for each row. In a file or a pipe
a row is one line, however long.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer
from rich.cells import cell_len

from services.cli.values import NOTHING, Value, title
from services.cli.view import Format, say, view

BETWEEN = "  "

Row = Mapping[str, Value]


def show_rows(
    rows: Iterable[Row],
    columns: Sequence[str],
    *,
    heading: str = "",
    nothing: str = "",
    totals: Iterable[Row] = (),
) -> None:
    """Print rows of these columns, by their names.

    A table has a heading, a sentence for no rows, and totals below a line; CSV and JSON have the
    rows alone, under the names of the columns.
    """
    rows_shown = list(rows)
    form = view().format
    if form is Format.JSON:
        print_json([{name: row.get(name, NOTHING).raw for name in columns} for row in rows_shown])
    elif form is Format.CSV:
        typer.echo(as_csv(rows_shown, columns), nl=False)
    elif not rows_shown:
        typer.echo(nothing or nothing_shown())
    else:
        if heading:
            typer.echo(heading)
        typer.echo("\n".join(as_lines(rows_shown, columns, width(), totals=totals)))


def nothing_shown() -> str:
    """The sentence for an answer that has nothing in it."""
    return say("There are none.", "没有记录。")


def print_json(content: Any) -> None:
    """Print JSON."""
    typer.echo(json.dumps(content, ensure_ascii=False, indent=2))


def width() -> int | None:
    """The width of the terminal; None if the output goes into a file or a pipe."""
    if not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def as_csv(rows: Iterable[Row], columns: Sequence[str]) -> str:
    """Rows as CSV with a header."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_harmless(row.get(name, NOTHING)) for name in columns] for row in rows)
    return sink.getvalue()


def as_lines(
    rows: Sequence[Row],
    columns: Sequence[str],
    most: int | None,
    *,
    totals: Iterable[Row] = (),
) -> list[str]:
    """Rows as the lines of a table, or of blocks if the table is wider than `most`."""
    below = list(totals)
    filled = [name for name in columns if any(row.get(name, NOTHING).text for row in rows)]
    shown = filled or list(columns[:1])
    table = _table(rows, shown, below)
    if most is None or all(cell_len(line) <= most for line in table):
        return table
    return [line for row in [*rows, *below] for line in _block(row, shown)]


def as_pairs(row: Row, columns: Iterable[str], indent: int = 0) -> list[str]:
    """A row as lines of title and value, without what is empty."""
    pairs = [(title(name), row[name].text) for name in columns if row[name].text]
    longest = max((cell_len(name) for name, _ in pairs), default=0)
    return [f"{' ' * indent}{_padded(name, longest)}{BETWEEN}{text}" for name, text in pairs]


def _table(rows: Sequence[Row], columns: Sequence[str], totals: Sequence[Row]) -> list[str]:
    cells = [[row.get(name, NOTHING).text for name in columns] for row in [*rows, *totals]]
    titles = [title(name) for name in columns]
    widths = [max(map(cell_len, column)) for column in zip(titles, *cells, strict=True)]
    right = [any(row.get(name, NOTHING).is_number for row in rows) for name in columns]

    def line(texts: Iterable[str]) -> str:
        parts = zip(texts, widths, right, strict=True)
        return BETWEEN.join(_padded(text, most, right=side) for text, most, side in parts).rstrip()

    rule = BETWEEN.join("-" * most for most in widths)
    lines = [line(titles), rule, *(line(row) for row in cells[: len(rows)])]
    if totals:
        lines += [rule, *(line(row) for row in cells[len(rows) :])]
    return lines


def _block(row: Row, columns: Sequence[str]) -> list[str]:
    first, *others = columns
    head = row.get(first, NOTHING).text or title(first)
    return [head, *as_pairs({name: row.get(name, NOTHING) for name in others}, others, indent=2)]


def _padded(text: str, most: int, *, right: bool = False) -> str:
    blanks = " " * (most - cell_len(text))
    return f"{blanks}{text}" if right else f"{text}{blanks}"


def _harmless(value: Value) -> str:
    """A cell that a spreadsheet does not execute as a formula."""
    cell = value.cell
    return f"'{cell}" if not value.is_number and cell[:1] in set("=+-@\t\r") else cell
