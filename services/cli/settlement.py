"""`oip settlement`: close a month in steps. The proposer and the approver are two persons."""

from __future__ import annotations

from typing import Annotated

import typer
from oip.fund.v1 import fund_pb2

from services.cli.apis import FUND
from services.cli.connection import (
    EXIT_CHECK_FAILED,
    Refused,
    connection_of,
    month_of,
    new_request_id,
)
from services.cli.messages import show_message
from services.cli.statement import MonthArgument, show
from services.cli.steps import REQUEST_ID
from services.cli.view import say
from services.kernel.periods import Month
from services.runtime.rpc.wire import month_to_wire

app = typer.Typer(
    no_args_is_help=True, help="Close a month: trial, propose, approve, close (结账)."
)

HASH_DIGITS = 64

RequestId = Annotated[str, typer.Option(help=REQUEST_ID)]
Explain = Annotated[bool, typer.Option(help="Also explain each transfer.")]


@app.command()
def trial(context: typer.Context, month: MonthArgument, explain: Explain = False) -> None:
    """Compute a month as it would close today. Nothing is stored."""
    request = fund_pb2.TrialSettlementRequest(month=month_to_wire(month_of(month)))
    show(
        connection_of(context).call(FUND, lambda stub: stub.TrialSettlement(request)),
        explain=explain,
    )


@app.command()
def propose(context: typer.Context, month: MonthArgument, request_id: RequestId = "") -> None:
    """Freeze a month's figures for approval, and print the hash that the approver approves."""
    chosen = month_of(month)
    request = fund_pb2.ProposeSettlementRequest(
        request_id=_id("propose", chosen, request_id), month=month_to_wire(chosen)
    )
    show(connection_of(context).call(FUND, lambda stub: stub.ProposeSettlement(request)))


@app.command()
def approve(
    context: typer.Context,
    month: MonthArgument,
    digest: Annotated[
        str, typer.Option("--hash", help="Hash on the statement you read, 64 digits.")
    ],
    request_id: RequestId = "",
) -> None:
    """Approve the figures with this hash. The approver is another person than the proposer.

    Use the approver's token. In development:

    oip --token "$(oip token --role fund_approver --subject wu)" settlement …
    """
    chosen = month_of(month)
    request = fund_pb2.ApproveSettlementRequest(
        request_id=_id("approve", chosen, request_id),
        month=month_to_wire(chosen),
        hash=_hash_bytes(digest),
    )
    show(
        connection_of(context).call(
            FUND, lambda stub: stub.ApproveSettlement(request), "fund_approver"
        )
    )


@app.command()
def close(context: typer.Context, month: MonthArgument, request_id: RequestId = "") -> None:
    """Post the approved transfers and close the month."""
    chosen = month_of(month)
    request = fund_pb2.CloseSettlementRequest(
        request_id=_id("close", chosen, request_id), month=month_to_wire(chosen)
    )
    show(connection_of(context).call(FUND, lambda stub: stub.CloseSettlement(request)))


@app.command()
def withdraw(
    context: typer.Context,
    month: MonthArgument,
    reason: Annotated[str, typer.Option(help="Reason; it is recorded.")],
    request_id: RequestId = "",
) -> None:
    """Withdraw a proposal; the month accepts postings again."""
    chosen = month_of(month)
    request = fund_pb2.WithdrawSettlementRequest(
        request_id=_id("withdraw", chosen, request_id), month=month_to_wire(chosen), reason=reason
    )
    show(connection_of(context).call(FUND, lambda stub: stub.WithdrawSettlement(request)))


@app.command()
def replay(
    context: typer.Context,
    month: MonthArgument,
    text: Annotated[bool, typer.Option(help="Also print the canonical text.")] = False,
) -> None:
    """Recompute a closed month from its postings. Exit code 1 if a byte differs."""
    chosen = month_of(month)
    request = fund_pb2.ReplaySettlementRequest(month=month_to_wire(chosen))
    answer = connection_of(context).call(FUND, lambda stub: stub.ReplaySettlement(request))
    canonical, answer.text = answer.text, ""
    if text:
        typer.echo(canonical, nl=False)
    show_message(answer)
    if not answer.equal:
        typer.echo(
            say(
                f"{chosen} no longer follows from its postings.",
                f"{chosen} 与其分录重算结果不符。",
            ),
            err=True,
        )
        raise typer.Exit(EXIT_CHECK_FAILED)


def _id(step: str, month: Month, request_id: str) -> str:
    return new_request_id(f"{step}-{month}", request_id)


def _hash_bytes(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(text) != HASH_DIGITS or len(digest) != HASH_DIGITS // 2:
        raise Refused(
            "The hash has 64 hexadecimal digits; copy it from `oip statement`.",
            "哈希值为 64 位十六进制数字; 请从 `oip statement` 照抄。",
        )
    return digest
