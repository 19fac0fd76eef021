"""`oip settlement`: close a month in steps. The proposer and the approver are two persons."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer
from oip.fund.v1 import fund_pb2, fund_pb2_grpc

from services.cli.connection import (
    EXIT_CHECK_FAILED,
    Connection,
    Refused,
    connection_of,
    month_of,
    run,
)
from services.cli.statement import MonthArgument, show
from services.kernel.periods import Month
from services.runtime.rpc.wire import month_to_wire

app = typer.Typer(
    no_args_is_help=True, help="Close a month: trial, propose, approve, close (结账)."
)

HASH_DIGITS = 64

RequestId = Annotated[str, typer.Option(help="Id of an earlier attempt whose outcome is unknown.")]
Explain = Annotated[bool, typer.Option(help="Also explain each transfer.")]
Call = Callable[[Any], Awaitable[Any]]


@app.command()
def trial(context: typer.Context, month: MonthArgument, explain: Explain = False) -> None:
    """Compute a month as it would close today. Nothing is stored."""
    request = fund_pb2.TrialSettlementRequest(month=month_to_wire(month_of(month)))
    show(
        _call(connection_of(context), "fund_officer", lambda stub: stub.TrialSettlement(request)),
        explain=explain,
    )


@app.command()
def propose(context: typer.Context, month: MonthArgument, request_id: RequestId = "") -> None:
    """Freeze a month's figures for approval, and print the hash that the approver approves."""
    chosen = month_of(month)
    request = fund_pb2.ProposeSettlementRequest(
        request_id=_id("propose", chosen, request_id), month=month_to_wire(chosen)
    )
    show(
        _call(connection_of(context), "fund_officer", lambda stub: stub.ProposeSettlement(request))
    )


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
        _call(connection_of(context), "fund_approver", lambda stub: stub.ApproveSettlement(request))
    )


@app.command()
def close(context: typer.Context, month: MonthArgument, request_id: RequestId = "") -> None:
    """Post the approved transfers and close the month."""
    chosen = month_of(month)
    request = fund_pb2.CloseSettlementRequest(
        request_id=_id("close", chosen, request_id), month=month_to_wire(chosen)
    )
    show(_call(connection_of(context), "fund_officer", lambda stub: stub.CloseSettlement(request)))


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
    _call(connection_of(context), "fund_officer", lambda stub: stub.WithdrawSettlement(request))
    typer.echo(f"{chosen} is open again.")


@app.command()
def replay(
    context: typer.Context,
    month: MonthArgument,
    text: Annotated[bool, typer.Option(help="Also print the canonical text.")] = False,
) -> None:
    """Recompute a closed month from its postings. Exit code 1 if a byte differs."""
    chosen = month_of(month)
    request = fund_pb2.ReplaySettlementRequest(month=month_to_wire(chosen))
    answer = _call(
        connection_of(context), "fund_officer", lambda stub: stub.ReplaySettlement(request)
    )
    if text:
        typer.echo(answer.text, nl=False)
    typer.echo(f"approved {answer.approved_hash.hex()}")
    typer.echo(f"replayed {answer.replayed_hash.hex()}")
    if not answer.equal:
        typer.echo(f"{chosen} no longer follows from its postings.", err=True)
        raise typer.Exit(EXIT_CHECK_FAILED)
    typer.echo(f"{chosen} is the same, byte for byte.")


def _call(connection: Connection, role: str, call: Call) -> Any:
    async def respond() -> Any:
        async with connection.channels(role) as channels:
            return await call(channels.stub(fund_pb2_grpc.FundServiceStub, "fund"))

    return run(respond)


def _id(step: str, month: Month, request_id: str) -> str:
    return request_id or f"{step}-{month}-{uuid.uuid4().hex}"


def _hash_bytes(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(text) != HASH_DIGITS or len(digest) != HASH_DIGITS // 2:
        raise Refused("The hash has 64 hexadecimal digits; copy it from `oip statement`.")
    return digest
