"""`oip receipts`: premiums that the bank's statement shows as received."""

from __future__ import annotations

import uuid
from typing import Annotated

import typer
from oip.premiums.v1 import premiums_pb2, premiums_pb2_grpc

from services.cli.connection import connection_of, day_of, fen_of, month_of, run
from services.cli.reversals import Code, Reason, RequestId, reversal_request
from services.kernel.money import Fen
from services.runtime.rpc.wire import date_to_wire

app = typer.Typer(no_args_is_help=True, help="Record premiums received (实缴入库).")


@app.callback()
def receipts() -> None:
    """Record premiums received (实缴入库)."""


@app.command()
def record(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    platform: Annotated[str, typer.Argument(help="Credit code of the platform.")],
    month: Annotated[str, typer.Argument(help="Month of the bill, for example 2025-07.")],
    day: Annotated[str, typer.Option(help="Value date on the bank's statement.")],
    amount: Annotated[str, typer.Option(help="Amount received, in yuan.")],
    account: Annotated[str, typer.Option(help="Account that received the money.")],
    number: Annotated[str, typer.Option(help="The bank's number for the payment.")],
    occurrence: Annotated[
        int | None,
        typer.Option(min=1, help="2 for a second payment with this number on the statement."),
    ] = None,
    request_id: RequestId = "",
) -> None:
    """Record a payment. One that is recorded already is refused with the name of its receipt."""
    request = premiums_pb2.RecordPremiumReceiptRequest(
        request_id=request_id or f"receipt-{uuid.uuid4().hex}",
        bill=f"platforms/{platform}/premiumBills/{month_of(month)}",
        receipt_date=date_to_wire(day_of(day)),
        amount_fen=fen_of(amount).count,
        bank_reference=number,
        receiving_account=account,
        occurrence=occurrence or 0,
    )
    connection = connection_of(context)

    async def call() -> premiums_pb2.PremiumReceipt:
        async with connection.channels("fund_officer") as channels:
            stub = channels.stub(premiums_pb2_grpc.PremiumServiceStub, "premiums")
            return await stub.RecordPremiumReceipt(request)

    receipt = run(call)
    typer.echo(
        f"{receipt.name}: {Fen(receipt.premium_fen).yuan} yuan pay premium, "
        f"{Fen(receipt.surcharge_fen).yuan} surcharge, {Fen(receipt.credit_fen).yuan} are credit."
    )


@app.command()
def reverse(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="premiumReceipts/{id}, of a receipt or a set-off.")],
    code: Code,
    reason: Reason,
    request_id: RequestId = "",
) -> None:
    """Reverse a receipt that was recorded by mistake; another person signs it."""
    request = reversal_request(
        premiums_pb2.ReversePremiumReceiptRequest, name, code, reason, request_id
    )
    connection = connection_of(context)

    async def call() -> premiums_pb2.PremiumReceipt:
        async with connection.channels("fund_officer") as channels:
            stub = channels.stub(premiums_pb2_grpc.PremiumServiceStub, "premiums")
            return await stub.ReversePremiumReceipt(request)

    mirror = run(call)
    typer.echo(f"{mirror.name} reverses {mirror.reverses}: {Fen(mirror.amount_fen).yuan} yuan.")
