"""`oip orders declare`: a platform's totals of a day, to be compared with the stored orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from oip.type.v1 import type_pb2

from services.cli.connection import (
    Connection,
    Refused,
    all_pages,
    connection_of,
    day_of,
    new_request_id,
    run,
)
from services.cli.csv_files import count_in, read_rows
from services.cli.fields import choice_in
from services.cli.messages import show_messages
from services.cli.view import say
from services.kernel.periods import Month
from services.runtime.rpc.wire import date_to_wire, enum_number, month_to_wire

COLUMNS = ("pooling_area", "industry", "order_count")
GAP_COLUMNS = (
    "pooling_area",
    "industry",
    "declared_count",
    "held_count",
    "late_count",
    "kind",
)
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
        raise Refused(
            "Pass --count 0 for a day without orders, otherwise --line or --lines.",
            "当日无订单请提供 --count 0, 否则请提供 --line 或 --lines。",
        )
    if lines is not None and line:
        raise Refused("Pass --line or --lines, not both.", "--line 与 --lines 只能提供其一。")
    totals = _from_options(line or []) if lines is None else _from_file(lines)
    request = orders_pb2.DeclareOrderTotalsRequest(
        request_id=new_request_id("totals"),
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
    typer.echo(
        say(
            f"Declared {declared.order_count:,} orders of {service_date}, revision "
            f"{declared.revision}.",
            f"已申报 {service_date} 订单 {declared.order_count:,} 单, 第 {declared.revision} 版。",
        ),
        err=True,
    )
    show_messages(
        gaps,
        GAP_COLUMNS,
        nothing=say("The stored orders agree.", "与已存订单一致。"),
    )


async def _declare(
    connection: Connection, platform: str, request: orders_pb2.DeclareOrderTotalsRequest
) -> tuple[orders_pb2.OrderTotals, list[orders_pb2.OrderGap]]:
    day = request.service_date
    listing = orders_pb2.ListOrderGapsRequest(
        platform=request.platform,
        month=month_to_wire(Month(day.year, day.month)),
    )
    async with connection.channels("platform", platform=platform) as channels:
        stub = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
        declared = await stub.DeclareOrderTotals(request)
        gaps = await all_pages(stub.ListOrderGaps, listing, "gaps")
        return declared, [gap for gap in gaps if gap.service_date == day]


def _from_options(lines: Iterable[str]) -> Totals:
    totals: Totals = Counter()
    for text in lines:
        place, _, count = text.partition("=")
        area, _, industry = place.partition(":")
        if not (area and industry and count):
            raise Refused(
                "{text} is not a line; write AREA:INDUSTRY=COUNT, such as {example}.",
                "{text} 不是一行; 请写作 `地区:行业=数量`, 如 {example}。",
                text=text,
                example="440100:RIDE_HAILING=120",
            )
        _add(totals, (area, industry, count))
    return totals


def _from_file(file: Path) -> Totals:
    totals: Totals = Counter()

    def read(row: Mapping[str, str]) -> None:
        _add(totals, [row[name] for name in COLUMNS])

    for _ in read_rows(file, COLUMNS, read, LINES_MAX):
        pass
    return totals


def _add(totals: Totals, values: Iterable[str]) -> None:
    area, industry, count = (value.strip() for value in values)
    number = choice_in(type_pb2.Industry.DESCRIPTOR, industry)
    if (area, number) in totals:
        raise Refused(
            "{area} {industry} occurs twice; write each once.",
            "{area} {industry} 出现两次; 每项只能填写一次。",
            area=area,
            industry=industry,
        )
    totals[area, number] = count_in(count)
