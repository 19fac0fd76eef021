"""`oip settlement`: close a month in steps. Proposer and approver are two people."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer
from oip.fund.v1 import fund_pb2, fund_pb2_grpc

from services.cli.desk import EXIT_CHECK_FAILED, Desk, Refused, desk_of, run
from services.cli.statement import MonthArgument, month_of, show
from services.kernel.periods import Month
from services.runtime.rpc.wire import month_to_wire

app = typer.Typer(
    no_args_is_help=True, help="Close a month: trial, propose, approve, close (结账)."
)

HASH_DIGITS = 64

RequestId = Annotated[
    str, typer.Option(help="Give the one of an attempt whose outcome is unknown.")
]
Explain = Annotated[bool, typer.Option(help="Also how each transfer came about.")]
Ask = Callable[[Any], Awaitable[Any]]


@app.command()
def trial(context: typer.Context, month: MonthArgument, explain: Explain = False) -> None:
    """Compute a month as it would close today. Nothing is stored."""
    wanted = month_to_wire(month_of(month))
    request = fund_pb2.TrialSettlementRequest(month=wanted)
    show(
        _call(desk_of(context), "fund_officer", lambda stub: stub.TrialSettlement(request)),
        explain=explain,
    )


@app.command()
def propose(context: typer.Context, month: MonthArgument, request_id: RequestId = "") -> None:
    """Freeze a month's figures for approval, and print the hash that the approver approves."""
    chosen = month_of(month)
    request = fund_pb2.ProposeSettlementRequest(
        request_id=_id("propose", chosen, request_id), month=month_to_wire(chosen)
    )
    show(_call(desk_of(context), "fund_officer", lambda stub: stub.ProposeSettlement(request)))


@app.command()
def approve(
    context: typer.Context,
    month: MonthArgument,
    digest: Annotated[
        str, typer.Option("--hash", help="The hash on the statement that was read, 64 digits.")
    ],
    request_id: RequestId = "",
) -> None:
    """Approve the figures of this hash. Somebody else than the proposer: show a token of theirs.

    In development: oip --token "$(oip token --role fund_approver --subject wu)" settlement …
    """
    chosen = month_of(month)
    request = fund_pb2.ApproveSettlementRequest(
        request_id=_id("approve", chosen, request_id),
        month=month_to_wire(chosen),
        hash=_hash_bytes(digest),
    )
    show(_call(desk_of(context), "fund_approver", lambda stub: stub.ApproveSettlement(request)))


@app.command()
def close(context: typer.Context, month: MonthArgument, request_id: RequestId = "") -> None:
    """Post the approved transfers and close the month."""
    chosen = month_of(month)
    request = fund_pb2.CloseSettlementRequest(
        request_id=_id("close", chosen, request_id), month=month_to_wire(chosen)
    )
    show(_call(desk_of(context), "fund_officer", lambda stub: stub.CloseSettlement(request)))


@app.command()
def withdraw(
    context: typer.Context,
    month: MonthArgument,
    reason: Annotated[str, typer.Option(help="Why; it is kept.")],
    request_id: RequestId = "",
) -> None:
    """Take a proposal back; the month takes postings again."""
    chosen = month_of(month)
    request = fund_pb2.WithdrawSettlementRequest(
        request_id=_id("withdraw", chosen, request_id), month=month_to_wire(chosen), reason=reason
    )
    _call(desk_of(context), "fund_officer", lambda stub: stub.WithdrawSettlement(request))
    typer.echo(f"{chosen} is open again.")


@app.command()
def replay(
    context: typer.Context,
    month: MonthArgument,
    text: Annotated[bool, typer.Option(help="Also print the canonical text.")] = False,
) -> None:
    """Compute a closed month again from its postings. Exit code 1 if a byte differs."""
    chosen = month_of(month)
    request = fund_pb2.ReplaySettlementRequest(month=month_to_wire(chosen))
    found = _call(desk_of(context), "fund_officer", lambda stub: stub.ReplaySettlement(request))
    if text:
        typer.echo(found.text, nl=False)
    typer.echo(f"approved {found.approved_hash.hex()}")
    typer.echo(f"replayed {found.replayed_hash.hex()}")
    if not found.equal:
        typer.echo(f"{chosen} does not follow from its postings any more.", err=True)
        raise typer.Exit(EXIT_CHECK_FAILED)
    typer.echo(f"{chosen} is the same, byte for byte.")


def _call(desk: Desk, role: str, ask: Ask) -> Any:
    async def asking() -> Any:
        async with desk.channels(role) as channels:
            return await ask(channels.stub(fund_pb2_grpc.FundServiceStub, "fund"))

    return run(asking)


def _id(step: str, month: Month, given: str) -> str:
    return given or f"{step}-{month}-{uuid.uuid4().hex}"


def _hash_bytes(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(text) != HASH_DIGITS or len(digest) != HASH_DIGITS // 2:
        raise Refused("The hash has 64 hexadecimal digits; copy it from `oip statement`.")
    return digest
