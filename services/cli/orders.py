"""`oip orders`: a platform's way of sending its orders, and of seeing what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from oip.type.v1 import type_pb2
from rich.console import Console
from rich.table import Table

from services.cli.desk import EXIT_ROWS_REFUSED, Desk, Refused, desk_of, run
from services.cli.pushing import Pushing
from services.client import load_mapping
from services.kernel.periods import Month
from services.runtime.rpc.wire import month_to_wire

PAGE_SIZE = 1000

app = typer.Typer(no_args_is_help=True, help="Order records (订单记录).")
console = Console()


@app.command("push")
def push(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(help="Parquet, CSV, Arrow or NDJSON files; text may be packed (.gz)."),
    ],
    mapping: Annotated[Path, typer.Option(help="How the file's rows are read as orders (TOML).")],
) -> None:
    """Send files of orders; an interrupted push goes on where it stopped.

    All files are read and checked before anything is sent. Exit codes: 0 every row is held, 4 the
    files went through and some rows were refused (FILE.rejected.csv has each with its reason), 2
    refused or used wrongly, 3 a service could not be reached.
    """
    pushing = Pushing(desk_of(context), load_mapping(mapping), console)
    for file in files:
        pushing.add(file)
    if not run(pushing.send_all):
        raise typer.Exit(EXIT_ROWS_REFUSED)


@app.command("gaps")
def gaps(
    context: typer.Context,
    month: Annotated[str, typer.Argument(help="Month of the service date, for example 2025-07.")],
    platform: Annotated[str, typer.Option(help="Credit code; default: all.")] = "",
) -> None:
    """Show the days on which declared and held orders differ."""
    wanted = _month(month)
    table = Table("platform", "day", "area", "industry", "declared", "held", "late", "kind")
    for gap in run(lambda: _gaps(desk_of(context), wanted, platform)):
        day = gap.service_date
        table.add_row(
            gap.platform,
            f"{day.year:04d}-{day.month:02d}-{day.day:02d}",
            gap.pooling_area,
            type_pb2.Industry.Name(gap.industry) if gap.industry else "",
            *(f"{n:,}" for n in (gap.declared_count, gap.held_count, gap.late_count)),
            orders_pb2.OrderGap.Kind.Name(gap.kind),
        )
    console.print(table if table.row_count else f"No gaps in {wanted}.")


async def _gaps(desk: Desk, month: Month, platform: str) -> list[orders_pb2.OrderGap]:
    found: list[orders_pb2.OrderGap] = []
    token: str | None = ""
    async with desk.channels("fund_officer") as channels:
        stub = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
        while token is not None:
            answer = await stub.ListOrderGaps(
                orders_pb2.ListOrderGapsRequest(
                    platform=f"platforms/{platform}" if platform else "",
                    month=month_to_wire(month),
                    page_size=PAGE_SIZE,
                    page_token=token,
                )
            )
            found += answer.gaps
            token = answer.next_page_token or None
    return found


def _month(text: str) -> Month:
    try:
        return Month.parse(text)
    except ValueError:
        raise Refused(f"{text} is no month; write it as 2025-07.") from None
