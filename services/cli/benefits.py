"""`oip awards`, `oip expenses`, `oip payment-runs`, `oip lives`: the steps of an award."""

from __future__ import annotations

import typer
from oip.benefits.v1 import benefits_pb2

from services.cli.apis import BENEFITS, FUND
from services.cli.steps import Change, add_step
from services.cli.survivors import KIN

awards = typer.Typer(no_args_is_help=True, help="Benefits that were granted (待遇核定).")
add_step(awards, "suspend", BENEFITS, "SuspendAward")
add_step(awards, "resume", BENEFITS, "ResumeAward")
add_step(awards, "terminate", BENEFITS, "TerminateAward")
add_step(
    awards,
    "pension",
    BENEFITS,
    "RecordPension",
    Change(("claim", "first_month", "pension_fen")),
)
add_step(awards, "index", BENEFITS, "IndexAwards", Change((), {"claim_count": "cases"}))

expenses = typer.Typer(
    no_args_is_help=True, help="Reimburse and reverse bills and days in hospital (费用报销、冲正)."
)
add_step(
    expenses,
    "grant",
    BENEFITS,
    "GrantExpense",
    Change(
        ("claim", "kind", "expense_date"),
        {
            "allowed_cost_fen": "cost",
            "day_count": "days",
            "bill_number": "number",
            "paid_by_third_party_fen": "third-party",
        },
    ),
)
add_step(expenses, "reverse", BENEFITS, "ReverseExpense")

payment_runs = typer.Typer(no_args_is_help=True, help="Payments of a month (支付指令).")
add_step(payment_runs, "instruct", BENEFITS, "InstructPayments", Change(("month",)))

disbursements = typer.Typer(
    no_args_is_help=True, help="Money that has left the account (拨付发放)."
)
add_step(
    disbursements,
    "record",
    FUND,
    "RecordDisbursement",
    Change(("payment_run", "pooling_area"), {"disburse_date": "day", "bank_reference": "number"}),
)
add_step(disbursements, "reverse", FUND, "ReverseDisbursement")

lives = typer.Typer(
    no_args_is_help=True, help="Deaths, absences and returns of workers (死亡、下落不明、生还)."
)
LATER = {"survivors": KIN}
add_step(
    lives,
    "dead",
    BENEFITS,
    "RecordLifeEvent",
    Change(
        ("claim", "day"),
        readers=LATER,
        fixed={"state": benefits_pb2.LifeEvent.DEAD},
        without=("hardship",),
        text="Record a later death. Monthly benefits of the worker end with its month.",
    ),
)
add_step(
    lives,
    "missing",
    BENEFITS,
    "RecordLifeEvent",
    Change(
        ("claim",),
        readers=LATER,
        fixed={"state": benefits_pb2.LifeEvent.MISSING},
        without=("day", "cause"),
        text="Record that a worker is missing since the accident; pensions begin with month four.",
    ),
)
add_step(
    lives,
    "alive",
    BENEFITS,
    "RecordLifeEvent",
    Change(
        ("claim", "day"),
        fixed={"state": benefits_pb2.LifeEvent.ALIVE},
        without=("cause", "hardship"),
        text="Record that a worker is alive: undoes a death or an absence, and recovers money.",
    ),
)
