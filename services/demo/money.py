"""Premiums, payments and the settlement of the month."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from oip.fund.v1 import fund_pb2, fund_pb2_grpc
from oip.premiums.v1 import premiums_pb2, premiums_pb2_grpc

from services.demo.desks import Desks
from services.kernel.periods import Month, first_moment
from services.runtime.rpc.wire import date_from_wire, date_to_wire, month_to_wire

Progress = Callable[[], None]

# Months after the one that is lived, day and hour: the month's own run, and the next one, in which
# the monthly benefits begin.
PAYMENT_RUNS = ((0, 31, 16), (1, 15, 9))
SETTLED = (28, 9)
DAYS_LATE = 10


async def assess_premiums(desks: Desks, months: list[Month], done: Progress) -> None:
    """Assess each month on the first day of the next one."""
    premiums = desks.at(premiums_pb2_grpc.PremiumServiceStub, "premiums", "fund_officer")
    for month in months:
        desks.turn_to(morning_after(month))
        await premiums.AssessPremiums(
            premiums_pb2.AssessPremiumsRequest(
                request_id=desks.request_id("assess", month), month=month_to_wire(month)
            )
        )
        done()


async def receive_premiums(
    desks: Desks, months: list[Month], late_platform: str, done: Progress
) -> None:
    """Receive what each bill asks for; one platform pays ten days late and owes a surcharge."""
    premiums = desks.at(premiums_pb2_grpc.PremiumServiceStub, "premiums", "fund_officer")
    for month in months:
        desks.turn_to(morning_after(month))
        bills = await premiums.ListPremiumBills(
            premiums_pb2.ListPremiumBillsRequest(month=month_to_wire(month), page_size=1000)
        )
        for bill in sorted(bills.bills, key=lambda bill: bill.name):
            due = date_from_wire(bill.due_date, "due_date")
            platform = bill.name.split("/")[1]
            late = platform == late_platform
            paid = due + timedelta(days=DAYS_LATE) if late else due - timedelta(days=1)
            desks.turn_to(first_moment(paid) + timedelta(hours=17))
            await _receive(desks, premiums, bill.name, paid)
            done()


async def _receive(
    desks: Desks, premiums: premiums_pb2_grpc.PremiumServiceAsyncStub, bill: str, paid: date
) -> None:
    """Record one payment of all that is owed on its day."""
    standing = await premiums.GetPremiumStanding(
        premiums_pb2.GetPremiumStandingRequest(bill=bill, on_date=date_to_wire(paid))
    )
    owed = standing.assessed_fen - standing.received_fen + standing.surcharge_fen
    if owed > 0:
        await premiums.RecordPremiumReceipt(
            premiums_pb2.RecordPremiumReceiptRequest(
                request_id=desks.request_id("receipt", bill),
                bill=bill,
                receipt_date=date_to_wire(paid),
                amount_fen=owed,
                bank_reference=desks.request_id("bank", bill.replace("/", "-")),
            )
        )


async def instruct_payments(desks: Desks, done: Progress) -> None:
    """Run the month's payments, and the next month's, in which the monthly benefits begin."""
    benefits = desks.at(benefits_pb2_grpc.BenefitServiceStub, "benefits", "fund_officer")
    for month, moment in _runs(desks):
        desks.turn_to(moment)
        await benefits.InstructPayments(
            benefits_pb2.InstructPaymentsRequest(
                request_id=desks.request_id("payments", month), month=month_to_wire(month)
            )
        )
        done()


async def disburse(desks: Desks, done: Progress) -> None:
    """Record that the bank has paid out each run, area by area."""
    benefits = desks.at(benefits_pb2_grpc.BenefitServiceStub, "benefits", "fund_officer")
    fund = desks.at(fund_pb2_grpc.FundServiceStub, "fund", "fund_officer")
    for month, moment in _runs(desks):
        desks.turn_to(moment + timedelta(days=1))
        run = await benefits.GetPaymentRun(
            benefits_pb2.GetPaymentRunRequest(name=f"paymentRuns/{month}")
        )
        by_area: dict[str, int] = {}
        for part in run.parts:
            by_area[part.pooling_area] = by_area.get(part.pooling_area, 0) + part.sum_fen
        for area, amount in sorted(by_area.items()):
            await fund.RecordDisbursement(
                fund_pb2.RecordDisbursementRequest(
                    request_id=desks.request_id("disburse", month, area),
                    payment_run=run.name,
                    pooling_area=area,
                    disburse_date=date_to_wire((moment + timedelta(days=1)).date()),
                    amount_fen=amount,
                    bank_reference=desks.request_id("bank", month, area),
                )
            )
        done()


async def settle(desks: Desks, month: Month, done: Progress) -> None:
    """Close the month: one officer proposes, another approves the proposal, then it is posted."""
    desks.turn_to(desks.calendar.at(*SETTLED, months_later=1))
    officer = desks.at(fund_pb2_grpc.FundServiceStub, "fund", "fund_officer", person="officer-li")
    approver = desks.at(fund_pb2_grpc.FundServiceStub, "fund", "fund_approver", person="chief-wu")
    wire = month_to_wire(month)
    name = f"settlementPeriods/{month}"
    await officer.TrialSettlement(fund_pb2.TrialSettlementRequest(month=wire))
    done()
    proposed = await officer.ProposeSettlement(
        fund_pb2.ProposeSettlementRequest(request_id=desks.request_id("propose", month), month=wire)
    )
    done()
    await approver.ApproveSettlement(
        fund_pb2.ApproveSettlementRequest(
            request_id=desks.request_id("approve", month), month=wire, hash=proposed.hash
        )
    )
    done()
    await officer.CloseSettlement(
        fund_pb2.CloseSettlementRequest(request_id=desks.request_id("close", month), month=wire)
    )
    await officer.GetSettlementPeriod(fund_pb2.GetSettlementPeriodRequest(name=name))
    done()


def _runs(desks: Desks) -> list[tuple[Month, datetime]]:
    return [
        (desks.calendar.month.plus(later), desks.calendar.at(day, hour, months_later=later))
        for later, day, hour in PAYMENT_RUNS
    ]


def morning_after(month: Month) -> datetime:
    """Nine o'clock on the first day after a month."""
    return first_moment(month.plus(1).first_day) + timedelta(hours=9)
