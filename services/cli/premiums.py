"""`oip bills`, `oip receipts`, `oip terms`, `oip premiums`: what platforms owe and have paid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from oip.premiums.v1 import premiums_pb2
from oip.type.v1 import type_pb2

from services.cli.apis import PREMIUMS
from services.cli.connection import connection_of, fen_of, month_of, new_request_id
from services.cli.csv_files import count_in, read_rows, yes_in
from services.cli.fields import choice_in
from services.cli.messages import show_message, show_messages
from services.cli.steps import REQUEST_ID, Change, add_step
from services.kernel import names
from services.runtime.rpc.wire import month_to_wire

RequestId = Annotated[str, typer.Option(help=REQUEST_ID)]
Month = Annotated[str, typer.Argument(help="Month, for example 2025-07.")]
DECLARATION = ("pooling_area", "industry", "order_count")
BENEFITS = ("platform", "benefit_yuan", "lift")

bills = typer.Typer(no_args_is_help=True, help="Bills of platforms (缴费核定).")
add_step(bills, "apply-credit", PREMIUMS, "ApplyPremiumCredit", Change(("bill",)))
add_step(bills, "estimate", PREMIUMS, "EstimatePremium", Change(("bill",)))

receipts = typer.Typer(no_args_is_help=True, help="Premiums received (实缴入库).")
add_step(
    receipts,
    "record",
    PREMIUMS,
    "RecordPremiumReceipt",
    Change(
        ("bill",),
        {
            "receipt_date": "day",
            "receiving_account": "account",
            "bank_reference": "number",
        },
    ),
)
add_step(receipts, "reverse", PREMIUMS, "ReversePremiumReceipt")

terms = typer.Typer(no_args_is_help=True, help="Bases and bands of platforms (基准额、浮动档次).")
add_step(
    terms,
    "assign-base",
    PREMIUMS,
    "AssignPremiumBase",
    Change(("platform", "industry"), {"since_date": "since", "base_yuan": "base"}),
)
add_step(
    terms,
    "assign-band",
    PREMIUMS,
    "AssignExperienceBand",
    Change(("platform",), {"since_date": "since"}),
)

premiums = typer.Typer(no_args_is_help=True, help="Assess and declare a month (核定、申报).")
add_step(premiums, "assess", PREMIUMS, "AssessPremiums", Change(("month",)))


@premiums.command()
def declare(
    context: typer.Context,
    platform: Annotated[str, typer.Argument(help="Credit code of the platform.")],
    month: Month,
    file: Annotated[Path, typer.Argument(help=f"CSV with the columns {', '.join(DECLARATION)}.")],
    request_id: RequestId = "",
) -> None:
    """Declare a month's orders (缴费申报), and show where they differ from the recorded ones."""
    rows = list(read_rows(file, DECLARATION, _declared))
    code = platform.removeprefix("platforms/")
    request = premiums_pb2.DeclarePremiumRequest(
        request_id=new_request_id("declare", request_id),
        platform=names.name("platforms", code),
        month=month_to_wire(month_of(month)),
        rows=rows,
    )
    show_message(
        connection_of(context).call(
            PREMIUMS, lambda stub: stub.DeclarePremium(request), "platform", platform=code
        )
    )


@terms.command()
def refix(
    context: typer.Context,
    year: Annotated[int, typer.Argument(help="Year from whose 1 January the bands apply.")],
    file: Annotated[
        Path, typer.Argument(help=f"CSV with the columns {', '.join(BENEFITS)}; lift: yes or no.")
    ],
    request_id: RequestId = "",
) -> None:
    """Fix the bands of a year from benefits charged to platforms; another person signs it."""
    request = premiums_pb2.RefixBandsRequest(
        request_id=new_request_id("refix", request_id),
        year=year,
        rows=list(read_rows(file, BENEFITS, _charged)),
    )
    answer = connection_of(context).call(PREMIUMS, lambda stub: stub.RefixBands(request))
    show_messages(answer.terms)


def _declared(row: Mapping[str, str]) -> premiums_pb2.DeclarePremiumRequest.Row:
    return premiums_pb2.DeclarePremiumRequest.Row(
        pooling_area=row["pooling_area"],
        industry=choice_in(type_pb2.Industry.DESCRIPTOR, row["industry"]),
        order_count=count_in(row["order_count"]),
    )


def _charged(row: Mapping[str, str]) -> premiums_pb2.RefixBandsRequest.Row:
    return premiums_pb2.RefixBandsRequest.Row(
        platform=names.name("platforms", row["platform"].removeprefix("platforms/")),
        benefit_fen=fen_of(row["benefit_yuan"]).count,
        lift=yes_in(row["lift"]),
    )
