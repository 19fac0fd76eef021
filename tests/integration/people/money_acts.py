"""How the acts of benefits, premiums and the fund are made, and what disturbs them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from oip.benefits.v1 import benefits_pb2
from oip.fund.v1 import fund_pb2
from oip.premiums.v1 import premiums_pb2
from oip.type.v1 import type_pb2

from services.benefits.commands.cases import on_appraisal_concluded, on_claim_determined
from services.kernel.periods import Month
from services.runtime.base.clock import SetClock
from services.runtime.rpc.wire import date_to_wire, month_to_wire
from tests.integration.benefits.builders import concluded, life_event_request
from tests.integration.benefits.builders import determined as confirmed_case
from tests.integration.fund.conftest import DELIVERY, JULY, instructed
from tests.integration.people.made import MAKER, Call, Made
from tests.integration.premiums.builders import RIDES, assess, count_orders, receive
from tests.support.platforms import credit_code
from tests.support.stack_client import StackClient

LARGE = 600_000
JULY_DAY, LATER = date(2025, 7, 5), date(2026, 1, 1)


# Benefits


def bill(client: StackClient, number: int, part: str, fen: int) -> Any:
    return benefits_pb2.GrantExpenseRequest(
        request_id=client.new_id(),
        claim=f"claims/b{number}",
        kind=benefits_pb2.MEDICAL_BENEFIT,
        expense_date=date_to_wire(JULY_DAY),
        allowed_cost_fen=fen,
        bill_number=f"B-{number}-{part}",
        institution="First Hospital",
    )


async def confirmed(client: StackClient, number: int, **fields: Any) -> None:
    worker = f"workers/{900_000 + number}"
    await client.consume("benefits", confirmed_case(f"claims/b{number}", worker=worker, **fields))


async def grant_expense(client: StackClient, number: int) -> Made:
    await confirmed(client, number)
    stub, request = client.benefits("fund_officer", subject=MAKER), bill(client, number, "1", LARGE)
    return Made(
        "benefits",
        lambda: stub.GrantExpense(request),
        lambda: confirmed(client, number, revision=4, pooling_area="440300"),
    )


async def reverse_expense(client: StackClient, number: int) -> Made:
    await confirmed(client, number)
    stub = client.benefits("fund_officer", subject=MAKER)
    award = await stub.GrantExpense(bill(client, number, "1", 50_000))
    request = benefits_pb2.ReverseExpenseRequest(
        request_id=client.new_id(),
        name=award.name,
        code=type_pb2.WRONG_AMOUNT,
        reason="a digit too many",
    )
    return Made("benefits", lambda: stub.ReverseExpense(request), instruct(client, "test"))


async def record_life_event(client: StackClient, number: int) -> Made:
    await confirmed(client, number)
    request = life_event_request(
        client, claim=f"claims/b{number}", cause=benefits_pb2.LifeEvent.INJURY
    )
    stub = client.benefits("fund_officer", subject=MAKER)
    return Made(
        "benefits",
        lambda: stub.RecordLifeEvent(request),
        lambda: confirmed(client, number, revision=4, pooling_area="440300"),
    )


def instruct(client: StackClient, subject: str) -> Call:
    stub = client.benefits("fund_officer", subject=subject)
    request = benefits_pb2.InstructPaymentsRequest(
        request_id=client.new_id(), month=month_to_wire(Month(2025, 11))
    )
    return lambda: stub.InstructPayments(request)


async def instruct_payments(client: StackClient, number: int) -> Made:
    await confirmed(client, number)
    stub = client.benefits("fund_officer")
    await stub.GrantExpense(bill(client, number, "1", 50_000))
    return Made(
        "benefits",
        instruct(client, MAKER),
        lambda: stub.GrantExpense(bill(client, number, "2", 60_000)),
    )


async def granted_earlier(client: StackClient, claim: str, worker: str) -> None:
    """A grant of March 2025, on the wage of 2023: that of 2024 was published in May."""
    injury = confirmed_case(
        claim,
        worker=worker,
        accident_date=date(2025, 1, 10),
        determine_date=date(2025, 2, 1),
    )
    clock = SetClock(datetime(2025, 3, 10, 1, tzinfo=UTC))
    context = replace(client.context("benefits"), clock=clock)
    async with context.database.begin() as tx:
        await on_claim_determined(tx, injury, context.command("services/claims"))
        conclusion = concluded(9, claim=claim, day=date(2025, 3, 3))
        await on_appraisal_concluded(tx, conclusion, context.command("services/grading"))


async def true_up(client: StackClient, number: int) -> Made:
    await granted_earlier(client, f"claims/b{number}", f"workers/{900_000 + number}")
    request = benefits_pb2.TrueUpAwardsRequest(request_id=client.new_id())
    stub = client.benefits("fund_officer", subject=MAKER)
    return Made(
        "benefits",
        lambda: stub.TrueUpAwards(request),
        lambda: confirmed(client, number, revision=4, pooling_area="440300"),
    )


async def index(client: StackClient, number: int) -> Made:
    await granted_earlier(client, f"claims/b{number}", f"workers/{900_000 + number}")
    request = benefits_pb2.IndexAwardsRequest(request_id=client.new_id())
    stub = client.benefits("fund_officer", subject=MAKER)
    return Made(
        "benefits",
        lambda: stub.IndexAwards(request),
        lambda: confirmed(client, number, revision=4, pooling_area="440300"),
    )


# Premiums


async def a_bill(client: StackClient, number: int) -> str:
    """The platform of a case, whose July is assessed."""
    rows = await client.rows("premiums", "select from bill limit 1")
    platform = credit_code(number % 4)
    if not rows:
        for each in range(4):
            tally = ("440100", RIDES, date(2025, 7, 1), 1_000_000)
            await count_orders(client, credit_code(each), tally)
        for month in (7, 8, 9, 10):
            await assess(client, 2025, month)
    return platform


async def receipt(client: StackClient, number: int) -> Made:
    platform = await a_bill(client, number)
    stub = client.premiums("fund_officer", subject=MAKER)
    request = premiums_pb2.RecordPremiumReceiptRequest(
        request_id=client.new_id(),
        bill=f"platforms/{platform}/premiumBills/2025-07",
        receipt_date=date_to_wire(date(2025, 8, 4)),
        amount_fen=100,
        bank_reference=f"R-{number}-1",
        receiving_account="6222 0001",
    )
    return Made(
        "premiums", lambda: stub.RecordPremiumReceipt(request), other_receipt(client, number)
    )


def other_receipt(client: StackClient, number: int) -> Call:
    day, reference = date(2025, 8, 4), f"R-{number}-2"
    platform = credit_code(number % 4)
    return lambda: receive(client, platform, "2025-07", day, 50, reference=reference)


async def reverse_receipt(client: StackClient, number: int) -> Made:
    platform = await a_bill(client, number)
    reference, day = f"R-{number}-0", date(2025, 8, 4)
    recorded = await receive(client, platform, "2025-07", day, 70, reference=reference)
    stub = client.premiums("fund_officer", subject=MAKER)
    request = premiums_pb2.ReversePremiumReceiptRequest(
        request_id=client.new_id(),
        name=recorded.name,
        code=type_pb2.WRONG_AMOUNT,
        reason="a digit too many",
    )
    return Made(
        "premiums", lambda: stub.ReversePremiumReceipt(request), other_receipt(client, number)
    )


def band(client: StackClient, subject: str, number: int, rate: str) -> Call:
    stub = client.premiums("fund_officer", subject=subject)
    request = premiums_pb2.AssignExperienceBandRequest(
        request_id=client.new_id(),
        platform=f"platforms/{credit_code(number)}",
        since_date=date_to_wire(LATER),
        band=rate,
        reason="notice",
    )
    return lambda: stub.AssignExperienceBand(request)


async def assign_band(client: StackClient, number: int) -> Made:
    return Made(
        "premiums", band(client, MAKER, number, "0.80"), band(client, "test", number, "1.50")
    )


async def assign_base(client: StackClient, number: int) -> Made:
    stub = client.premiums("fund_officer", subject=MAKER)
    request = premiums_pb2.AssignPremiumBaseRequest(
        request_id=client.new_id(),
        platform=f"platforms/{credit_code(number)}",
        industry=type_pb2.RIDE_HAILING,
        since_date=date_to_wire(LATER),
        base_yuan="0.01",
        reason="notice",
    )
    return Made(
        "premiums", lambda: stub.AssignPremiumBase(request), band(client, "test", number, "1.50")
    )


async def refix_bands(client: StackClient, number: int) -> Made:
    await a_bill(client, number)
    stub = client.premiums("fund_officer", subject=MAKER)
    request = premiums_pb2.RefixBandsRequest(
        request_id=client.new_id(),
        year=2026,
        rows=[premiums_pb2.RefixBandsRequest.Row(platform=f"platforms/{credit_code(number)}")],
    )
    return Made("premiums", lambda: stub.RefixBands(request), band(client, "test", number, "1.50"))


# Fund


def disbursement(number: int, part: int, amount: int) -> fund_pb2.RecordDisbursementRequest:
    return fund_pb2.RecordDisbursementRequest(
        request_id=f"disburse-{number}-{part}",
        payment_run="paymentRuns/2025-07",
        pooling_area=area_of(number),
        disburse_date=date_to_wire(date(2025, 8, 20)),
        amount_fen=amount,
        bank_reference=f"BANK-{number}-{part}",
    )


def area_of(number: int) -> str:
    """A pooling area of a case: Guangdong has twenty-one."""
    return f"44{number % 20 + 1:02}00"


def payable(client: StackClient, number: int, addition: int, fen: int) -> Call:
    event = instructed(JULY, area_of(number), DELIVERY, fen, addition=10 * number + addition)
    return lambda: client.consume("fund", event)


async def disburse(client: StackClient, number: int) -> Made:
    await payable(client, number, 1, 400)()
    stub = client.fund("fund_officer", subject=MAKER)
    return Made(
        "fund",
        lambda: stub.RecordDisbursement(disbursement(number, 1, 300)),
        payable(client, number, 2, 50),
    )


async def reverse_disbursement(client: StackClient, number: int) -> Made:
    await payable(client, number, 1, 400)()
    stub = client.fund("fund_officer", subject=MAKER)
    paid = await stub.RecordDisbursement(disbursement(number, 1, 300))

    def reversal(subject: str) -> Call:
        request = fund_pb2.ReverseDisbursementRequest(
            request_id=client.new_id(),
            name=paid.name,
            code=type_pb2.WRONG_AMOUNT,
            reason="a digit too many",
        )
        return lambda: client.fund("fund_officer", subject=subject).ReverseDisbursement(request)

    return Made("fund", reversal(MAKER), reversal("test"))
