"""Premiums, payments and the settlement of the month."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from oip.fund.v1 import fund_pb2, fund_pb2_grpc
from oip.premiums.v1 import premiums_pb2, premiums_pb2_grpc

from services.demo.actors import Actors
from services.kernel.periods import Month, first_moment
from services.runtime.rpc.wire import date_from_wire, date_to_wire, month_to_wire

Progress = Callable[[], None]

# Months after the simulated one, day and hour: the month's payment run, and the next one, in which
# monthly benefits begin.
PAYMENT_RUNS = ((0, 31, 16), (1, 15, 9))
SETTLED = (28, 9)
DAYS_LATE = 10
# Of the collector, in the fictional province.
RECEIVING_ACCOUNT = "6222000100010001"


async def assess_premiums(actors: Actors, months: list[Month], done: Progress) -> None:
    """Assess each month on the first day of the next one."""
    premiums = actors.at(premiums_pb2_grpc.PremiumServiceStub, "premiums", "fund_officer")
    for month in months:
        actors.set_clock(morning_after(month))
        await premiums.AssessPremiums(
            premiums_pb2.AssessPremiumsRequest(
                request_id=actors.request_id("assess", month), month=month_to_wire(month)
            )
        )
        done()


async def receive_premiums(
    actors: Actors, months: list[Month], late_platform: str, done: Progress
) -> None:
    """Receive the amount of each bill; one platform pays ten days late and owes a surcharge."""
    premiums = actors.at(premiums_pb2_grpc.PremiumServiceStub, "premiums", "fund_officer")
    for month in months:
        actors.set_clock(morning_after(month))
        bills = await premiums.ListPremiumBills(
            premiums_pb2.ListPremiumBillsRequest(month=month_to_wire(month), page_size=1000)
        )
        for bill in sorted(bills.bills, key=lambda bill: bill.name):
            due = date_from_wire(bill.due_date, "due_date")
            platform = bill.name.split("/")[1]
            late = platform == late_platform
            paid = due + timedelta(days=DAYS_LATE) if late else due - timedelta(days=1)
            actors.set_clock(first_moment(paid) + timedelta(hours=17))
            await _receive(actors, premiums, bill.name, paid)
            done()


async def _receive(
    actors: Actors, premiums: premiums_pb2_grpc.PremiumServiceAsyncStub, bill: str, paid: date
) -> None:
    """Record one payment of the whole amount owed on its day."""
    standing = await premiums.GetPremiumStanding(
        premiums_pb2.GetPremiumStandingRequest(bill=bill, on_date=date_to_wire(paid))
    )
    owed = standing.assessed_fen - standing.received_fen + standing.surcharge_fen
    if owed > 0:
        await premiums.RecordPremiumReceipt(
            premiums_pb2.RecordPremiumReceiptRequest(
                request_id=actors.request_id("receipt", bill),
                bill=bill,
                receipt_date=date_to_wire(paid),
                amount_fen=owed,
                bank_reference=actors.request_id("bank", bill.replace("/", "-")),
                receiving_account=RECEIVING_ACCOUNT,
            )
        )


async def instruct_payments(actors: Actors, done: Progress) -> None:
    """Instruct the payments of the month and of the next one, in which monthly benefits begin."""
    benefits = actors.at(benefits_pb2_grpc.BenefitServiceStub, "benefits", "fund_officer")
    for month, moment in _runs(actors):
        actors.set_clock(moment)
        await benefits.InstructPayments(
            benefits_pb2.InstructPaymentsRequest(
                request_id=actors.request_id("payments", month), month=month_to_wire(month)
            )
        )
        done()


async def disburse(actors: Actors, done: Progress) -> None:
    """Record the bank's payment of each run, by pooling area."""
    benefits = actors.at(benefits_pb2_grpc.BenefitServiceStub, "benefits", "fund_officer")
    fund = actors.at(fund_pb2_grpc.FundServiceStub, "fund", "fund_officer")
    for month, moment in _runs(actors):
        actors.set_clock(moment + timedelta(days=1))
        run = await benefits.GetPaymentRun(
            benefits_pb2.GetPaymentRunRequest(name=f"paymentRuns/{month}")
        )
        by_area: dict[str, int] = {}
        for part in run.parts:
            by_area[part.pooling_area] = by_area.get(part.pooling_area, 0) + part.sum_fen
        for area, amount in sorted(by_area.items()):
            await fund.RecordDisbursement(
                fund_pb2.RecordDisbursementRequest(
                    request_id=actors.request_id("disburse", month, area),
                    payment_run=run.name,
                    pooling_area=area,
                    disburse_date=date_to_wire((moment + timedelta(days=1)).date()),
                    amount_fen=amount,
                    bank_reference=actors.request_id("bank", month, area),
                )
            )
        done()


async def settle(actors: Actors, month: Month, done: Progress) -> None:
    """Close the month: one officer proposes, another approves, then the transfers are posted."""
    actors.set_clock(actors.calendar.at(*SETTLED, months_later=1))
    officer = actors.at(fund_pb2_grpc.FundServiceStub, "fund", "fund_officer", person="officer-li")
    approver = actors.at(fund_pb2_grpc.FundServiceStub, "fund", "fund_approver", person="chief-wu")
    wire = month_to_wire(month)
    name = f"settlementPeriods/{month}"
    await officer.TrialSettlement(fund_pb2.TrialSettlementRequest(month=wire))
    done()
    proposed = await officer.ProposeSettlement(
        fund_pb2.ProposeSettlementRequest(
            request_id=actors.request_id("propose", month), month=wire
        )
    )
    done()
    await approver.ApproveSettlement(
        fund_pb2.ApproveSettlementRequest(
            request_id=actors.request_id("approve", month), month=wire, hash=proposed.hash
        )
    )
    done()
    await officer.CloseSettlement(
        fund_pb2.CloseSettlementRequest(request_id=actors.request_id("close", month), month=wire)
    )
    await officer.GetSettlementPeriod(fund_pb2.GetSettlementPeriodRequest(name=name))
    done()


def _runs(actors: Actors) -> list[tuple[Month, datetime]]:
    return [
        (actors.calendar.month.plus(later), actors.calendar.at(day, hour, months_later=later))
        for later, day, hour in PAYMENT_RUNS
    ]


def morning_after(month: Month) -> datetime:
    """Nine o'clock on the first day after a month."""
    return first_moment(month.plus(1).first_day) + timedelta(hours=9)
