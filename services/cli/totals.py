"""`oip orders declare`: a platform's totals of a day, to be compared with the stored orders."""

from __future__ import annotations

import csv
import secrets
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from oip.type.v1 import type_pb2
from rich.table import Table

from services.cli.connection import Connection, Refused, connection_of, day_of, run
from services.cli.output import new_console
from services.kernel.periods import Month
from services.runtime.rpc.wire import date_to_wire, enum_number, month_to_wire

COLUMNS = ("pooling_area", "industry", "order_count")
INDUSTRIES = [name for name, number in type_pb2.Industry.items() if number]
PAGE_SIZE = 1000
# A line is an area and an industry; a file with more lines is not a file of totals.
LINES_MAX = 1000

# The number of orders by pooling area and industry (its number in the proto).
Totals = Counter[tuple[str, int]]


def declare(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    day: Annotated[
        str, typer.Argument(help="Day on which the orders ended, for example 2025-07-10.")
    ],
    platform: Annotated[str, typer.Option(help="Credit code of the platform.")],
    count: Annotated[
        int | None,
        typer.Option(min=0, help="Orders of the day; default: the sum of the lines."),
    ] = None,
    line: Annotated[
        list[str] | None,
        typer.Option(help="AREA:INDUSTRY=COUNT, for example 440100:RIDE_HAILING=120; repeatable."),
    ] = None,
    lines: Annotated[
        Path | None,
        typer.Option(help=f"CSV with the columns {', '.join(COLUMNS)} instead of --line."),
    ] = None,
) -> None:
    """Declare how many orders ended on a day, and show the differences to the stored orders.

    The latest declaration of a day counts; all are kept. Orders cancelled after acceptance count,
    reversed orders do not. Declare a day without orders with --count 0.
    """
    service_date = day_of(day)
    if count is None and not line and lines is None:
        raise Refused("Pass --count 0 for a day without orders, otherwise --line or --lines.")
    if lines is not None and line:
        raise Refused("Pass --line or --lines, not both.")
    totals = _from_options(line or []) if lines is None else _from_file(lines)
    request = orders_pb2.DeclareOrderTotalsRequest(
        request_id=secrets.token_hex(8),
        platform=f"platforms/{platform}",
        service_date=date_to_wire(service_date),
        order_count=sum(totals.values()) if count is None else count,
        tallies=[
            orders_pb2.OrderTally(
                pooling_area=area, industry=enum_number(industry), order_count=number
            )
            for (area, industry), number in sorted(totals.items())
        ],
    )
    declared, gaps = run(lambda: _declare(connection_of(context), platform, request))
    console = new_console()
    console.print(
        f"Declared {declared.order_count:,} orders of {service_date}, revision {declared.revision}."
    )
    console.print(_table(gaps) if gaps else "The stored orders agree.")


async def _declare(
    connection: Connection, platform: str, request: orders_pb2.DeclareOrderTotalsRequest
) -> tuple[orders_pb2.OrderTotals, list[orders_pb2.OrderGap]]:
    day = request.service_date
    listing = orders_pb2.ListOrderGapsRequest(
        platform=request.platform,
        month=month_to_wire(Month(day.year, day.month)),
        page_size=PAGE_SIZE,
    )
    async with connection.channels("platform", platform=platform) as channels:
        stub = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
        declared = await stub.DeclareOrderTotals(request)
        gaps: list[orders_pb2.OrderGap] = []
        while True:
            answer = await stub.ListOrderGaps(listing)
            gaps += [gap for gap in answer.gaps if gap.service_date == day]
            listing.page_token = answer.next_page_token
            if not listing.page_token:
                return declared, gaps


def _table(gaps: Iterable[orders_pb2.OrderGap]) -> Table:
    table = Table("area", "industry", "declared", "stored", "late", "kind")
    for gap in gaps:
        table.add_row(
            gap.pooling_area,
            type_pb2.Industry.Name(gap.industry),
            *(f"{n:,}" for n in (gap.declared_count, gap.held_count, gap.late_count)),
            orders_pb2.OrderGap.Kind.Name(gap.kind),
        )
    return table


def _from_options(lines: Iterable[str]) -> Totals:
    totals: Totals = Counter()
    for text in lines:
        place, _, count = text.partition("=")
        area, _, industry = place.partition(":")
        _add(totals, f"--line {text}", (area, industry, count))
    return totals


def _from_file(file: Path) -> Totals:
    totals: Totals = Counter()
    try:
        with file.open(encoding="utf-8-sig", newline="") as source:
            reader = csv.DictReader(source)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise Refused(f"{file} has no column {', '.join(missing)}; add it.")
            for number, row in enumerate(reader, start=2):
                if number > LINES_MAX + 1:
                    raise Refused(f"{file} has more than {LINES_MAX:,} lines; add them up first.")
                _add(totals, f"{file}, line {number}", [row[name] or "" for name in COLUMNS])
    except OSError as error:
        raise Refused(f"{file} cannot be read ({error.strerror}); check its name.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise Refused(f"{file} is not CSV in UTF-8 ({error}); save it as CSV in UTF-8.") from error
    return totals


def _add(totals: Totals, where: str, values: Iterable[str]) -> None:
    area, industry, count = (value.strip() for value in values)
    name = industry.upper().replace("-", "_")
    if name not in INDUSTRIES:
        raise Refused(f"{where}: {industry!r} is not an industry; write {', '.join(INDUSTRIES)}.")
    if not (count.isascii() and count.isdigit()):
        raise Refused(f"{where}: {count!r} is not a count; write digits only.")
    line = (area, type_pb2.Industry.Value(name))
    if line in totals:
        raise Refused(f"{where}: {area} {name} occurs twice; write each once.")
    totals[line] = int(count)
