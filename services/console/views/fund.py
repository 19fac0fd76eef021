"""The fund office's month: a board from orders to the close, payment runs, the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from oip.fund.v1 import fund_pb2, fund_pb2_grpc
from oip.premiums.v1 import premiums_pb2, premiums_pb2_grpc
from starlette.responses import Response

from services.console import failures
from services.console.forms import Ask
from services.console.listings import Column, Listing, show
from services.console.pages import FUND_OFFICER, FUND_READERS, Page
from services.console.steps import Step, Target, done_text, take
from services.console.values import Cell, count_cell, fen_cell, text_cell
from services.console.visit import Visit, or_none, together
from services.kernel.periods import Month
from services.runtime.rpc.wire import month_to_wire

State = fund_pb2.SettlementPeriod.State
ASSESS = Step(
    "assess",
    "oip.premiums.v1.PremiumService.AssessPremiums",
    ("Assess the premiums of the month?", "是否核定本月保费？"),
    ("Every platform gets a bill of the orders that are held.", "按已接收订单为各平台生成账单。"),
    done=("The premiums are assessed.", "保费已核定。"),
)
INSTRUCT = Step(
    "instruct",
    "oip.benefits.v1.BenefitService.InstructPayments",
    ("Instruct the payments of the month?", "是否下达本月支付指令？"),
    (
        "Each benefit of the month is instructed once, however often it is asked.",
        "每项待遇每月只下达一次，重复办理不会重复支付。",
    ),
    done=("The payments are instructed.", "支付指令已下达。"),
    effect=("A second person signs the run.", "支付批次须经另一人复核签批。"),
)
DISBURSE = Step(
    "disburse",
    "oip.fund.v1.FundService.RecordDisbursement",
    ("Which payment did the bank make?", "银行完成了哪笔拨付？"),
    ("One payment for each pooling area, as on the bank statement.", "按对账单逐统筹地区登记。"),
    (
        Ask("pooling_area", required=True),
        Ask("disburse_date", ("Day", "拨付日期"), required=True),
        Ask("amount_fen", ("Amount (yuan)", "金额（元）")),
        Ask("bank_reference", ("Reference of the bank", "银行流水号")),
    ),
    done=("The disbursement is recorded.", "拨付已登记。"),
)
STEPS = {step.name: step for step in (ASSESS, INSTRUCT)}


@dataclass(frozen=True)
class Stage:
    """A stage of the month: how it stands, its figures, and the step that comes next."""

    title: str
    state: str
    figures: str = ""
    href: str = ""
    act: str = ""
    act_href: str = ""


def this_month(visit: Visit) -> Month:
    """The current month."""
    return Month(visit.today.year, visit.today.month)


def month_of(visit: Visit, text: str) -> Month:
    """The month of an address; the last one that is over if it names none."""
    try:
        return Month.parse(text)
    except ValueError:
        return this_month(visit).plus(-1)


async def board(visit: Visit) -> Response:
    """The month, from orders to the close."""
    month = month_of(visit, visit.query("month"))
    wire = month_to_wire(month)
    premiums = visit.stub(premiums_pb2_grpc.PremiumServiceStub, "premiums")
    benefits = visit.stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")
    fund = visit.stub(fund_pb2_grpc.FundServiceStub, "fund")
    bills, run, period, trial = await together(
        premiums.ListPremiumBills(
            premiums_pb2.ListPremiumBillsRequest(month=wire, page_size=1000, count_all=True)
        ),
        benefits.GetPaymentRun(benefits_pb2.GetPaymentRunRequest(name=f"paymentRuns/{month}")),
        fund.GetSettlementPeriod(
            fund_pb2.GetSettlementPeriodRequest(name=f"settlementPeriods/{month}")
        ),
        fund.TrialSettlement(fund_pb2.TrialSettlementRequest(month=wire)),
    )
    shown = period if period is not None and period.pools else trial
    obstacles = list(shown.obstacles) if shown is not None else []
    return visit.page(
        "fund.html",
        month=month,
        earlier=str(month.plus(-1)),
        later=str(month.plus(1)) if month < this_month(visit) else "",
        stages=[
            *_billed(visit, month, bills),
            *_paid(visit, month, run),
            *_settled(visit, month, period),
        ],
        obstacles=obstacles,
        done=done_text(visit, (ASSESS, INSTRUCT, DISBURSE)),
    )


def _billed(visit: Visit, month: Month, bills: Any) -> list[Stage]:
    rows = list(bills.bills) if bills else []
    premium = sum(bill.premium_fen for bill in rows)
    received = sum(bill.received_fen for bill in rows)
    figures = visit.say(f"{len(rows)} bills", f"{len(rows)} 张账单")
    may = visit.has_role("fund_officer")
    return [
        Stage(
            visit.say("Premiums assessed", "保费核定"),
            "done" if rows else "open",
            f"{figures} · {fen_cell(premium).text}" if rows else "",
            f"/bills?month={month}",
            visit.say("Assess", "核定") if may and not rows else "",
            f"/fund/{month}/assess",
        ),
        Stage(
            visit.say("Premiums received", "保费入库"),
            "done" if rows and received >= premium else "part" if received else "open",
            f"{fen_cell(received).text} / {fen_cell(premium).text}" if rows else "",
            f"/bills?month={month}&states=ASSESSED",
        ),
    ]


def _paid(visit: Visit, month: Month, run: Any) -> list[Stage]:
    may = visit.has_role("fund_officer")
    figures = ""
    if run is not None:
        payments = visit.say(f"{run.payment_count} payments", f"{run.payment_count} 笔")
        figures = f"{payments} · {fen_cell(run.sum_fen).text}"
    return [
        Stage(
            visit.say("Benefits instructed", "待遇支付指令"),
            "done" if run is not None else "open",
            figures,
            f"/fund/payments/{month}" if run is not None else "",
            visit.say("Instruct", "下达") if may and run is None else "",
            f"/fund/{month}/instruct",
        )
    ]


def _settled(visit: Visit, month: Month, period: Any) -> list[Stage]:
    state = period.state if period is not None else State.OPEN
    href = f"/fund/settlement/{month}"
    act = {
        State.OPEN: visit.say("Trial and proposal", "试算并提交"),
        State.PROPOSED: visit.say("Read and approve", "审阅审批"),
        State.APPROVED: visit.say("Close", "结账"),
    }.get(state, "")
    order = (State.OPEN, State.PROPOSED, State.APPROVED, State.CLOSED)
    reached = order.index(state) if state in order else 0
    titles = (
        visit.say("Settlement proposed", "结算提交"),
        visit.say("Settlement approved", "结算审批"),
        visit.say("Month closed", "月度结账"),
    )
    return [
        Stage(
            title,
            "done" if reached >= place else "open",
            "",
            href,
            act if place == reached + 1 else "",
            href,
        )
        for place, title in enumerate(titles, 1)
    ]


async def month_step(visit: Visit) -> Response:
    """Assess or instruct a month."""
    chosen = STEPS[visit.request.url.path.rpartition("/")[2]]
    try:
        month = Month.parse(visit.path("month"))
    except ValueError:
        return failures.failure(visit, 404)
    target = Target(str(month), f"/fund?month={month}", {"month": month_to_wire(month)})
    return await take(visit, chosen, target)


def _run_cell(_: Visit, run: Any) -> Cell:
    month = run.name.rpartition("/")[2]
    return text_cell(month, href=f"/fund/payments/{quote(month)}")


PAYMENTS = Listing(
    "oip.benefits.v1.BenefitService.ListPaymentRuns",
    "payment_runs",
    ("Payment runs", "支付批次"),
    (
        Column("name", ("Month", "月份"), _run_cell),
        Column("payment_count"),
        Column("sum_fen"),
        Column("update_time"),
    ),
    nothing=("No payment was instructed yet.", "尚未下达支付指令。"),
)


async def payments(visit: Visit) -> Response:
    """The payment runs."""
    return await show(visit, PAYMENTS, back="/fund", done="")


async def payment_run(visit: Visit) -> Response:
    """A run by pooling area, with what the bank has paid."""
    benefits = visit.stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")
    name = f"paymentRuns/{visit.path('month')}"
    run = await benefits.GetPaymentRun(benefits_pb2.GetPaymentRunRequest(name=name))
    areas: dict[str, int] = {}
    for part in run.parts:
        areas[part.pooling_area] = areas.get(part.pooling_area, 0) + part.sum_fen
    return visit.page(
        "payment_run.html",
        run=run,
        month=visit.path("month"),
        areas=sorted(areas.items()),
        may_record=visit.has_role("fund_officer"),
        done=done_text(visit, (DISBURSE,)),
    )


async def disburse(visit: Visit) -> Response:
    """Record what the bank paid of a run."""
    month = visit.path("month")
    initial = {
        "pooling_area": [visit.query("area")],
        "amount_fen": [visit.query("amount")],
        "disburse_date": [visit.today.isoformat()],
    }
    target = Target(
        f"{visit.say('Payment run', '支付批次')} {month}",
        f"/fund/payments/{quote(month)}",
        {"payment_run": f"paymentRuns/{month}"},
        initial=initial,
    )
    return await take(visit, DISBURSE, target)


LEDGER = Listing(
    "oip.fund.v1.FundService.ListLedgerTransactions",
    "ledger_transactions",
    ("Ledger", "记账凭证"),
    (
        Column("name", ("Voucher", "凭证")),
        Column("accounting_date"),
        Column("month"),
        Column("pooling_area"),
        Column("source"),
        Column("text"),
    ),
    (Ask("month"), Ask("pooling_area"), Ask("source")),
    nothing=("Nothing is posted here.", "没有凭证。"),
)


async def ledger(visit: Visit) -> Response:
    """The ledger, by area and month."""
    return await show(visit, LEDGER, back="/fund", done="")


async def trial_balance(visit: Visit) -> Response:
    """The balances of all accounts by area; their sum is zero."""
    stub = visit.stub(fund_pb2_grpc.FundServiceStub, "fund")
    month = month_of(visit, visit.query("month"))
    request = fund_pb2.GetTrialBalanceRequest(month=month_to_wire(month))
    balance = await or_none(stub.GetTrialBalance(request))
    if balance is None:
        balance = await stub.GetTrialBalance(fund_pb2.GetTrialBalanceRequest())
    return visit.page(
        "trial_balance.html",
        balance=balance,
        month=month,
        earlier=month.plus(-1),
        later=month.plus(1) if month < this_month(visit) else None,
        counts=(count_cell(balance.transaction_count), count_cell(balance.posting_count)),
    )


PAGES = (
    Page("/fund", board, FUND_READERS),
    *(Page(f"/fund/{{month}}/{name}", month_step, FUND_OFFICER, takes_form=True) for name in STEPS),
    Page("/fund/payments", payments, FUND_READERS),
    Page("/fund/payments/{month}", payment_run, FUND_READERS),
    Page("/fund/payments/{month}/disburse", disburse, FUND_OFFICER, takes_form=True),
    Page("/fund/ledger", ledger, FUND_READERS),
    Page("/fund/balance", trial_balance, FUND_READERS),
)
