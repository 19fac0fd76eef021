"""`oip orders declare`: a platform's own totals of a day, to be compared with what is held."""

from __future__ import annotations

import csv
import secrets
from collections import Counter
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from oip.type.v1 import type_pb2
from rich.console import Console
from rich.table import Table

from services.cli.desk import Desk, Refused, desk_of, run
from services.kernel.periods import Month
from services.runtime.rpc.wire import date_to_wire, enum_number, month_to_wire

COLUMNS = ("pooling_area", "industry", "order_count")
INDUSTRIES = [name for name, number in type_pb2.Industry.items() if number]
PAGE_SIZE = 1000
# A line is an area and an industry; a file with more is none of totals.
LINES_MAX = 1000

# Pooling area and number of the industry, with how many orders.
Totals = Counter[tuple[str, int]]

console = Console()


def declare(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    day: Annotated[str, typer.Argument(help="The day on which the orders ended, 2025-07-10.")],
    platform: Annotated[str, typer.Option(help="Credit code of the platform that declares.")],
    count: Annotated[
        int | None,
        typer.Option(min=0, help="All orders of the day; default: the sum of the lines."),
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
    """Declare how many orders ended on a day, and show what differs from those held.

    A later declaration of the same day counts, all are kept. Orders that were cancelled after
    acceptance count, reversed ones do not. A day without orders is declared with --count 0.
    """
    wanted = _day(day)
    if count is None and not line and lines is None:
        raise Refused("Give --count 0 for a day without orders, else --line or --lines.")
    if lines is not None and line:
        raise Refused("Give the lines as a file or one by one, not both.")
    totals = _from_options(line or []) if lines is None else _from_file(lines)
    request = orders_pb2.DeclareOrderTotalsRequest(
        request_id=secrets.token_hex(8),
        platform=f"platforms/{platform}",
        service_date=date_to_wire(wanted),
        order_count=sum(totals.values()) if count is None else count,
        tallies=[
            orders_pb2.OrderTally(
                pooling_area=area, industry=enum_number(industry), order_count=number
            )
            for (area, industry), number in sorted(totals.items())
        ],
    )
    declared, gaps = run(lambda: _declare(desk_of(context), platform, request))
    console.print(
        f"Declared {declared.order_count:,} orders of {wanted}, revision {declared.revision}."
    )
    console.print(_table(gaps) if gaps else "As many are held.")


async def _declare(
    desk: Desk, platform: str, request: orders_pb2.DeclareOrderTotalsRequest
) -> tuple[orders_pb2.OrderTotals, list[orders_pb2.OrderGap]]:
    day = request.service_date
    asked = orders_pb2.ListOrderGapsRequest(
        platform=request.platform,
        month=month_to_wire(Month(day.year, day.month)),
        page_size=PAGE_SIZE,
    )
    async with desk.channels("platform", platform=platform) as channels:
        stub = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
        declared = await stub.DeclareOrderTotals(request)
        found: list[orders_pb2.OrderGap] = []
        while True:
            answer = await stub.ListOrderGaps(asked)
            found += [one for one in answer.gaps if one.service_date == day]
            asked.page_token = answer.next_page_token
            if not asked.page_token:
                return declared, found


def _table(gaps: Iterable[orders_pb2.OrderGap]) -> Table:
    table = Table("area", "industry", "declared", "held", "late", "kind")
    for gap in gaps:
        table.add_row(
            gap.pooling_area,
            type_pb2.Industry.Name(gap.industry),
            *(f"{n:,}" for n in (gap.declared_count, gap.held_count, gap.late_count)),
            orders_pb2.OrderGap.Kind.Name(gap.kind),
        )
    return table


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused(f"{text} is no day; write it as 2025-07-10.") from None


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
                    raise Refused(f"{file} has more than {LINES_MAX:,} lines; sum them up first.")
                _add(totals, f"{file}, line {number}", [row[name] or "" for name in COLUMNS])
    except OSError as error:
        raise Refused(f"{file} cannot be read ({error.strerror}); check its name.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise Refused(f"{file} is no CSV in UTF-8 ({error}); write it as such.") from error
    return totals


def _add(totals: Totals, where: str, values: Iterable[str]) -> None:
    area, industry, count = (value.strip() for value in values)
    name = industry.upper().replace("-", "_")
    if name not in INDUSTRIES:
        raise Refused(f"{where}: {industry!r} is no industry; write {', '.join(INDUSTRIES)}.")
    if not (count.isascii() and count.isdigit()):
        raise Refused(f"{where}: {count!r} is no count; write digits alone.")
    line = (area, type_pb2.Industry.Value(name))
    if line in totals:
        raise Refused(f"{where}: {area} {name} stands there twice; give each once.")
    totals[line] = int(count)
