"""`oip disbursements`: money that has left the account for a payment run."""

from __future__ import annotations

import uuid
from typing import Annotated

import typer
from oip.fund.v1 import fund_pb2, fund_pb2_grpc

from services.cli.connection import connection_of, day_of, fen_of, month_of, run
from services.cli.reversals import Code, Reason, RequestId, reversal_request
from services.kernel.money import Fen
from services.runtime.rpc.wire import date_to_wire

app = typer.Typer(no_args_is_help=True, help="Record and reverse disbursements (拨付登记、冲正).")


@app.command()
def record(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    month: Annotated[str, typer.Argument(help="Month of the payment run, for example 2025-07.")],
    area: Annotated[str, typer.Argument(help="Division code of the pooling area.")],
    day: Annotated[str, typer.Option(help="The bank's day.")],
    amount: Annotated[str, typer.Option(help="Amount that left the account, in yuan.")],
    number: Annotated[str, typer.Option(help="The bank's reference.")],
    request_id: RequestId = "",
) -> None:
    """Record that a run's money has left the account; another person signs it."""
    request = fund_pb2.RecordDisbursementRequest(
        request_id=request_id or f"disburse-{uuid.uuid4().hex}",
        payment_run=f"paymentRuns/{month_of(month)}",
        pooling_area=area,
        disburse_date=date_to_wire(day_of(day)),
        amount_fen=fen_of(amount).count,
        bank_reference=number,
    )
    connection = connection_of(context)

    async def call() -> fund_pb2.Disbursement:
        async with connection.channels("fund_officer") as channels:
            stub = channels.stub(fund_pb2_grpc.FundServiceStub, "fund")
            return await stub.RecordDisbursement(request)

    disbursement = run(call)
    typer.echo(f"{disbursement.name}: {Fen(disbursement.amount_fen).yuan} yuan.")


@app.command()
def reverse(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="disbursements/{id}")],
    code: Code,
    reason: Reason,
    request_id: RequestId = "",
) -> None:
    """Reverse a disbursement that was recorded by mistake; another person signs it."""
    request = reversal_request(fund_pb2.ReverseDisbursementRequest, name, code, reason, request_id)
    connection = connection_of(context)

    async def call() -> fund_pb2.Disbursement:
        async with connection.channels("fund_officer") as channels:
            stub = channels.stub(fund_pb2_grpc.FundServiceStub, "fund")
            return await stub.ReverseDisbursement(request)

    disbursement = run(call)
    typer.echo(f"{disbursement.name} is reversed: {Fen(disbursement.amount_fen).yuan} yuan.")
