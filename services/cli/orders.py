"""`oip orders`: a platform sends its orders, and sees which are missing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from oip.type.v1 import type_pb2
from rich.table import Table

from services.cli.connection import (
    EXIT_ROWS_REFUSED,
    Connection,
    connection_of,
    month_of,
    run,
)
from services.cli.output import new_console
from services.cli.push import Push
from services.client.files.mapping import load_mapping
from services.kernel.periods import Month
from services.runtime.rpc.wire import month_to_wire

PAGE_SIZE = 1000

app = typer.Typer(no_args_is_help=True, help="Order records (订单记录).")


@app.command("push")
def push(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="CSV, TSV, XLSX, Parquet, Arrow, NDJSON or JSON; text may be packed (.gz, .zst)."
        ),
    ],
    mapping: Annotated[Path, typer.Option(help="TOML file that says how rows are read as orders.")],
) -> None:
    """Send files of orders; rerun an interrupted push to resume it.

    All files are read and counted before the first is sent. Exit codes: 0 every row is stored, 4
    all files were sent and some rows were refused (FILE.rejected.csv lists each with its reason),
    2 refused or used wrongly, 3 a service could not be reached.
    """
    upload = Push(connection_of(context), load_mapping(mapping), new_console())
    for file in files:
        upload.add(file)
    if not run(upload.send_all):
        raise typer.Exit(EXIT_ROWS_REFUSED)


@app.command("gaps")
def gaps(
    context: typer.Context,
    month: Annotated[str, typer.Argument(help="Month of the service date, for example 2025-07.")],
    platform: Annotated[str, typer.Option(help="Credit code; default: all.")] = "",
) -> None:
    """Show the days on which declared and stored orders differ."""
    chosen = month_of(month)
    table = Table("platform", "day", "area", "industry", "declared", "stored", "late", "kind")
    for gap in run(lambda: _gaps(connection_of(context), chosen, platform)):
        day = gap.service_date
        table.add_row(
            gap.platform.removeprefix("platforms/"),
            f"{day.year:04d}-{day.month:02d}-{day.day:02d}",
            gap.pooling_area,
            type_pb2.Industry.Name(gap.industry) if gap.industry else "",
            *(f"{n:,}" for n in (gap.declared_count, gap.held_count, gap.late_count)),
            orders_pb2.OrderGap.Kind.Name(gap.kind),
        )
    new_console().print(table if table.row_count else f"No gaps in {chosen}.")


async def _gaps(connection: Connection, month: Month, platform: str) -> list[orders_pb2.OrderGap]:
    gaps: list[orders_pb2.OrderGap] = []
    token: str | None = ""
    async with connection.channels("fund_officer") as channels:
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
            gaps += answer.gaps
            token = answer.next_page_token or None
    return gaps
