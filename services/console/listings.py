"""Lists: pages of rows with filters, and all rows as CSV or XLSX."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from google.protobuf.message import Message
from openpyxl import Workbook
from starlette.responses import Response, StreamingResponse

from services.console.forms import Ask, Form, entered_in
from services.console.methods import has_field, method_named, request_of
from services.console.texts import Text, say, title_of
from services.console.values import EMPTY, Cell, Formatter
from services.console.visit import Visit

ROWS_SHOWN = 50
EXPORT_PAGE = 1000
EXPORT_ROWS_MAX = 100_000
_FORMULAS = tuple("=+-@\t\r")
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

MakeCell: TypeAlias = Callable[[Visit, Any], Cell]


@dataclass(frozen=True)
class Column:
    """A column of a list: a field of the row, or what a function makes of the row."""

    name: str
    title: Text | None = None
    make: MakeCell | None = None

    def cell(self, visit: Visit, row: Any) -> Cell:
        """The value of a row."""
        if self.make is not None:
            return self.make(visit, row)
        if self.name not in row.DESCRIPTOR.fields_by_name:
            return EMPTY
        return Formatter(visit.language).of(row, self.name)

    def heading(self, visit: Visit) -> str:
        """The title in the language of the page."""
        return (
            say(self.title, visit.language) if self.title else title_of(self.name, visit.language)
        )


@dataclass(frozen=True)
class Listing:
    """A list of an RPC."""

    method: str
    rows: str
    title: Text
    columns: tuple[Column, ...]
    filters: tuple[Ask, ...] = ()
    lead: Text = ("", "")
    nothing: Text = ("There are none.", "没有记录。")
    service: str = ""
    # Fields of every request of it.
    fixed: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """A page of a list as the template shows it."""

    headings: Sequence[str]
    numbers: Sequence[bool]
    cells: Sequence[Sequence[Cell]]
    total: int
    next_token: str
    form: Form

    @property
    def count(self) -> int:
        """The rows of this page."""
        return len(self.cells)


async def show(
    visit: Visit, listing: Listing, template: str = "listing.html", **values: Any
) -> Response:
    """The page of a list, or its export."""
    kind = visit.query("as")
    if kind in {"csv", "xlsx"}:
        return await export(visit, listing, kind)
    return visit.page(template, listing=listing, rows=await page_of_rows(visit, listing), **values)


async def page_of_rows(visit: Visit, listing: Listing, count: int = ROWS_SHOWN) -> Rows:
    """The rows of the page that the query names. Raises RpcError."""
    form = _form(visit, listing)
    request = _request(form, listing, count)
    if has_field(request.DESCRIPTOR, "page_token"):
        request.page_token = visit.query("page_token")
    answer = await visit.call(method_named(listing.method), request, listing.service)
    rows = list(getattr(answer, listing.rows))
    cells = [[column.cell(visit, row) for column in listing.columns] for row in rows]
    numbers = [
        any(line[place].is_number for line in cells) for place in range(len(listing.columns))
    ]
    return Rows(
        [column.heading(visit) for column in listing.columns],
        numbers,
        cells,
        getattr(answer, "total_count", 0),
        getattr(answer, "next_page_token", ""),
        form,
    )


def _form(visit: Visit, listing: Listing) -> Form:
    entered = entered_in(visit.request.query_params.multi_items())
    return Form(request_of(method_named(listing.method)), listing.filters, visit.language, entered)


def _request(form: Form, listing: Listing, page_size: int) -> Any:
    request: Any = form.read()
    for name, value in listing.fixed.items():
        current = getattr(request, name)
        if isinstance(value, Message):
            current.CopyFrom(value)
        elif isinstance(value, (list, tuple)):
            if not current:
                current.extend(value)
        elif not current:
            setattr(request, name, value)
    if has_field(request.DESCRIPTOR, "page_size"):
        request.page_size = page_size
    if has_field(request.DESCRIPTOR, "count_all"):
        request.count_all = page_size == ROWS_SHOWN
    return request


async def export(visit: Visit, listing: Listing, kind: str) -> Response:
    """All rows of a list as a file; the first page is fetched before the file begins."""
    pages = _all_rows(visit, listing)
    first: list[Any] = await anext(pages, [])
    name = listing.rows.replace("_", "-")
    headers = {"content-disposition": f'attachment; filename="{name}-{visit.today}.{kind}"'}
    if kind == "csv":
        lines = _as_csv(visit, listing, first, pages)
        return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)
    rows = [*first]
    async for more in pages:
        rows += more
    cells = [[column.cell(visit, row) for column in listing.columns] for row in rows]
    titles = [column.heading(visit) for column in listing.columns]
    content = await asyncio.to_thread(_as_xlsx, titles, cells)
    return Response(content, media_type=_XLSX, headers=headers)


async def _all_rows(visit: Visit, listing: Listing) -> AsyncIterator[list[Any]]:
    request = _request(_form(visit, listing), listing, EXPORT_PAGE)
    is_paged = has_field(request.DESCRIPTOR, "page_token")
    count = 0
    while True:
        answer = await visit.call(method_named(listing.method), request, listing.service)
        rows = list(getattr(answer, listing.rows))
        count += len(rows)
        yield rows
        token = getattr(answer, "next_page_token", "")
        if not is_paged or not token or count >= EXPORT_ROWS_MAX:
            return
        request.page_token = token


async def _as_csv(
    visit: Visit, listing: Listing, first: list[Any], more: AsyncIterator[list[Any]]
) -> AsyncIterator[str]:
    # The mark of UTF-8, without which spreadsheets read Chinese wrongly.
    yield "\ufeff" + _lines([[column.name for column in listing.columns]])
    yield _lines([_plain(visit, listing, row) for row in first])
    async for rows in more:
        yield _lines([_plain(visit, listing, row) for row in rows])


def _plain(visit: Visit, listing: Listing, row: Any) -> list[str]:
    return [harmless(column.cell(visit, row)) for column in listing.columns]


def _lines(rows: Sequence[Sequence[str]]) -> str:
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\r\n").writerows(rows)
    return sink.getvalue()


def _as_xlsx(titles: Sequence[str], rows: Sequence[Sequence[Cell]]) -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(list(titles))
    for row in rows:
        sheet.append([_sheet_value(cell) for cell in row])
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def _sheet_value(cell: Cell) -> Any:
    if cell.sheet is not None:
        return cell.sheet
    return cell.raw if cell.is_number else harmless(cell)


def harmless(cell: Cell) -> str:
    """A value that a spreadsheet does not execute as a formula."""
    text = cell.plain
    return f"'{text}" if not cell.is_number and text.startswith(_FORMULAS) else text
