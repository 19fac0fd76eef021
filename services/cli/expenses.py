"""`oip expenses`: bills and days in hospital, and the awards of an accident."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated

import typer
from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from rich.table import Table

from services.cli.connection import Refused, connection_of, day_of, fen_of, run
from services.cli.documents import hash_of
from services.cli.output import new_wide_console
from services.cli.reversals import Code, Reason, RequestId, reversal_request
from services.kernel.money import Fen
from services.runtime.rpc.wire import date_to_wire

app = typer.Typer(
    no_args_is_help=True, help="Reimburse and reverse bills and days in hospital (费用报销、冲正)."
)

PAGE_SIZE = 1000
KINDS = {
    "medical": benefits_pb2.MEDICAL_BENEFIT,
    "rehabilitation": benefits_pb2.REHABILITATION,
    "device": benefits_pb2.ASSISTIVE_DEVICE,
    "meals": benefits_pb2.HOSPITAL_MEALS,
    "travel": benefits_pb2.TRAVEL,
}

Claim = Annotated[str, typer.Argument(help="Claim, for example claims/c1.")]


@app.command()
def grant(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    claim: Claim,
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.")],
    day: Annotated[str, typer.Argument(help="Day of the bill, or first day of the stay.")],
    cost: Annotated[str, typer.Option(help="Cost inside the catalogues, in yuan.")] = "0",
    days: Annotated[int, typer.Option(min=0, help="Days in hospital or away.")] = 0,
    institution: Annotated[str, typer.Option(help="Who issued the bill.")] = "",
    number: Annotated[str, typer.Option(help="Number on the bill.")] = "",
    document: Annotated[
        Path | None, typer.Option(help="File of the bill; needed for a bill without a number.")
    ] = None,
    third_party: Annotated[str, typer.Option(help="Paid by a third party, in yuan.")] = "0",
    device: Annotated[str, typer.Option(help="Name on the list of devices.")] = "",
    request_id: RequestId = "",
) -> None:
    """Reimburse a bill. A bill that was granted before is refused with the name of that award."""
    if kind not in KINDS:
        raise Refused(f"{kind} is not reimbursed; choose one of {', '.join(KINDS)}.")
    request = benefits_pb2.GrantExpenseRequest(
        request_id=request_id or f"expense-{uuid.uuid4().hex}",
        claim=claim,
        kind=KINDS[kind],
        expense_date=date_to_wire(day_of(day)),
        allowed_cost_fen=fen_of(cost).count,
        day_count=days,
        paid_by_third_party_fen=fen_of(third_party).count,
        device=device,
        bill_number=number,
        institution=institution,
        document_hash=hash_of(document) if document else b"",
    )
    connection = connection_of(context)

    async def call() -> benefits_pb2.Award:
        async with connection.channels("fund_officer") as channels:
            stub = channels.stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")
            return await stub.GrantExpense(request)

    award = run(call)
    typer.echo(f"{award.name}: {Fen(award.amount_fen).yuan} yuan")
    for finding in award.findings:
        typer.echo(f"  {finding.text}\n  {finding.text_zh}")


@app.command()
def reverse(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="awards/{id} of the bill or the stay.")],
    code: Code,
    reason: Reason,
    request_id: RequestId = "",
) -> None:
    """Reverse a reimbursement that was recorded by mistake; another person signs it."""
    request = reversal_request(benefits_pb2.ReverseExpenseRequest, name, code, reason, request_id)
    connection = connection_of(context)

    async def call() -> benefits_pb2.Award:
        async with connection.channels("fund_officer") as channels:
            stub = channels.stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")
            return await stub.ReverseExpense(request)

    award = run(call)
    typer.echo(f"{award.name} is reversed: {Fen(award.amount_fen).yuan} yuan.")


@app.command("list")
def list_awards(context: typer.Context, claim: Claim) -> None:
    """List the awards of a claim's accident, also those granted under another claim."""
    connection = connection_of(context)

    async def call() -> benefits_pb2.ListAwardsResponse:
        async with connection.channels("fund_officer") as channels:
            stub = channels.stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")
            return await stub.ListAwards(
                benefits_pb2.ListAwardsRequest(claim=claim, page_size=PAGE_SIZE)
            )

    table = Table("award", "kind", "yuan", "state", "accident", "counts for")
    for award in run(call).awards:
        table.add_row(
            award.name,
            benefits_pb2.BenefitKind.Name(award.kind),
            Fen(award.amount_fen).yuan,
            "REVERSED" if award.reversed else benefits_pb2.Award.State.Name(award.state),
            award.accident,
            award.merged_into or award.adjusts,
        )
    new_wide_console().print(table)
