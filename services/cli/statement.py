"""`oip statement 2025-07`: the result of a month by pooling area."""

from __future__ import annotations

from typing import Annotated

import typer
from oip.fund.v1 import fund_pb2, fund_pb2_grpc
from rich.table import Table

from services.cli.connection import connection_of, month_of, run
from services.cli.output import new_console
from services.kernel.money import Fen
from services.kernel.periods import SHANGHAI
from services.runtime.rpc.wire import moment_from_wire, month_from_wire

COLUMNS = (
    ("opening", "opening_fen"),
    ("income", "income_fen"),
    ("spending", "spending_fen"),
    ("risk adjustment", "risk_adjustment_fen"),
    ("deficit compensation", "deficit_compensation_fen"),
    ("closing", "closing_fen"),
)
# In a file or a pipe, amounts of a thousand billion still fit on one line.
WIDTH_IN_FILES = 160
ROLES = ("fund_officer", "fund_approver", "administrator")

MonthArgument = Annotated[str, typer.Argument(help="Month, for example 2025-07.", metavar="MONTH")]


def statement(
    context: typer.Context,
    month: MonthArgument,
    explain: Annotated[bool, typer.Option(help="Also explain each transfer.")] = False,
) -> None:
    """Show a month's settlement: figures, state, hash."""
    connection = connection_of(context)
    name = f"settlementPeriods/{month_of(month)}"

    async def call() -> fund_pb2.SettlementPeriod:
        async with connection.channels(*ROLES) as channels:
            stub = channels.stub(fund_pb2_grpc.FundServiceStub, "fund")
            return await stub.GetSettlementPeriod(fund_pb2.GetSettlementPeriodRequest(name=name))

    show(run(call), explain=explain)


def show(period: fund_pb2.SettlementPeriod, *, explain: bool = False) -> None:
    """Print a month: its table, the obstacles to closing it, and the reasons of transfers."""
    console = new_console()
    if not console.is_terminal:
        console.width = WIDTH_IN_FILES
    console.print(table_of(period))
    for obstacle in period.obstacles:
        console.print(f"[yellow]Obstacle:[/] {obstacle.text}\n  {obstacle.text_zh}")
    if explain:
        for finding in period.findings:
            console.print(f"{finding.text}\n{finding.text_zh}\n  {finding.arithmetic}")


def table_of(period: fund_pb2.SettlementPeriod) -> Table:
    """The figures in yuan, the province's sums below, state and hash as the caption."""
    state = fund_pb2.SettlementPeriod.State.Name(period.state)
    table = Table("pooling area", "orders", *(title for title, _ in COLUMNS))
    table.title = f"Settlement of {month_from_wire(period.month, 'month')}: {state}, in yuan"
    table.caption = caption_of(period)
    for column in table.columns[1:]:
        column.justify, column.overflow = "right", "fold"
    for pool in period.pools:
        amounts = (Fen(getattr(pool, field)).yuan for _, field in COLUMNS)
        table.add_row(pool.pooling_area, f"{pool.order_count:,}", *amounts)
    sums = (Fen(sum(getattr(pool, field) for pool in period.pools)).yuan for _, field in COLUMNS)
    orders = sum(pool.order_count for pool in period.pools)
    table.add_section()
    table.add_row("province", f"{orders:,}", *sums, style="bold")
    return table


def caption_of(period: fund_pb2.SettlementPeriod) -> str:
    """Hash, proposer, approver, and the time of closing."""
    lines = [f"hash {period.hash.hex()}"] if period.hash else []
    people = [
        f"{word} {person}"
        for word, person in (
            ("proposed by", period.proposer),
            ("approved by", period.approver),
        )
        if person
    ]
    if people:
        lines.append(", ".join(people))
    if period.HasField("close_time"):
        moment = moment_from_wire(period.close_time, "close_time").astimezone(SHANGHAI)
        lines.append(f"closed {moment:%Y-%m-%d %H:%M:%S} (UTC+8, Asia/Shanghai)")
    return "\n".join(lines)
