"""`oip statement 2025-07`: the result of a month by pooling area."""

from __future__ import annotations

from typing import Annotated

import typer
from oip.fund.v1 import fund_pb2
from oip.type.v1 import type_pb2

from services.cli.apis import FUND
from services.cli.connection import connection_of, is_chinese, month_of
from services.cli.messages import show_message
from services.cli.tables import Row, show_rows
from services.cli.values import (
    count_value,
    fen_value,
    moment_value,
    text_of,
    text_value,
    title,
)
from services.cli.view import Format, say, view
from services.runtime.rpc.wire import month_from_wire

COLUMNS = (
    "pooling_area",
    "order_count",
    "opening_fen",
    "income_fen",
    "spending_fen",
    "risk_adjustment_fen",
    "deficit_compensation_fen",
    "closing_fen",
)
AMOUNTS = COLUMNS[2:]
ROLES = ("fund_officer", "fund_approver", "administrator")

MonthArgument = Annotated[str, typer.Argument(help="Month, for example 2025-07.", metavar="MONTH")]


def statement(
    context: typer.Context,
    month: MonthArgument,
    explain: Annotated[bool, typer.Option(help="Also explain each transfer.")] = False,
) -> None:
    """Show a month's settlement: figures, state, hash."""
    request = fund_pb2.GetSettlementPeriodRequest(name=f"settlementPeriods/{month_of(month)}")
    period = connection_of(context).call(
        FUND, lambda stub: stub.GetSettlementPeriod(request), *ROLES
    )
    show(period, explain=explain)


def show(period: fund_pb2.SettlementPeriod, *, explain: bool = False) -> None:
    """Print a month: its table, the obstacles to closing it, and the reasons of transfers."""
    if view().format is Format.JSON:
        show_message(period)
        return
    rows = [_row(pool) for pool in period.pools]
    show_rows(rows, COLUMNS, heading=_heading(period), totals=[_sums(period)])
    if view().format is Format.CSV:
        return
    for line in _caption(period):
        typer.echo(line)
    for obstacle in period.obstacles:
        typer.echo(f"{say('Obstacle', '待办事项')}: {_text(obstacle)}")
    if explain:
        for finding in period.findings:
            typer.echo(f"{_text(finding)}\n  {finding.arithmetic}")


def _row(pool: fund_pb2.SettlementPeriod.Pool) -> Row:
    return {
        "pooling_area": text_value(pool.pooling_area),
        "order_count": count_value(pool.order_count),
        **{name: fen_value(getattr(pool, name)) for name in AMOUNTS},
    }


def _sums(period: fund_pb2.SettlementPeriod) -> Row:
    return {
        "pooling_area": text_value(say("province", "全省")),
        "order_count": count_value(sum(pool.order_count for pool in period.pools)),
        **{name: fen_value(sum(getattr(pool, name) for pool in period.pools)) for name in AMOUNTS},
    }


def _heading(period: fund_pb2.SettlementPeriod) -> str:
    month = month_from_wire(period.month, "month")
    state = text_of(period, "state")
    return say(f"Settlement of {month}: {state}", f"{month} 结算: {state}")


def _caption(period: fund_pb2.SettlementPeriod) -> list[str]:
    """Hash, proposer, approver, and the time of closing."""
    texts = {
        "hash": period.hash.hex(),
        "proposer": period.proposer,
        "approver": period.approver,
        "close_time": moment_value(period.close_time).text,
    }
    return [f"{title(name)} {text}" for name, text in texts.items() if text]


def _text(part: fund_pb2.SettlementPeriod.Obstacle | type_pb2.Finding) -> str:
    return part.text_zh if is_chinese() else part.text
