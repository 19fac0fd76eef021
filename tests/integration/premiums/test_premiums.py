from __future__ import annotations

from collections.abc import Awaitable
from datetime import date
from typing import Any

import grpc
import pytest
from oip.orders.v1 import events_pb2 as order_events
from oip.orders.v1 import orders_pb2
from oip.premiums.v1 import events_pb2
from oip.premiums.v1 import premiums_pb2 as pb
from oip.type.v1 import type_pb2

from services.kernel.periods import Month
from services.runtime.channels import RemoteProblem, problem_of
from services.runtime.wire import date_to_wire, month_to_wire
from tests.integration.premiums.conftest import Premiums

SWIFT, PEARL = "91110108MA01ABCD2H", "91350100M000100Y43"
RIDES = type_pb2.RIDE_HAILING
DELIVERY = type_pb2.INSTANT_DELIVERY
FREIGHT = type_pb2.SAME_CITY_FREIGHT
Row = pb.DeclarePremiumRequest.Row
JULY = Month(2025, 7)


async def refused(call: Awaitable[Any]) -> RemoteProblem:
    with pytest.raises(grpc.RpcError) as caught:
        await call
    problem = problem_of(caught.value)
    assert problem is not None
    return problem


async def july_of_swift(premiums: Premiums) -> None:
    """Worked example E1: three industries over two areas, bands 120, 100 and 80 per cent."""
    await premiums.count_orders(
        SWIFT,
        ("440100", RIDES, date(2025, 7, 1), 1_000_000),
        ("440100", RIDES, date(2025, 7, 31), 2_456_789),
    )


async def test_a_month_goes_from_tallies_to_a_settled_bill(premiums: Premiums) -> None:
    await premiums.assign_band(SWIFT, "1.20", date(2025, 7, 1))
    await premiums.count_orders(
        SWIFT,
        ("440100", DELIVERY, date(2025, 7, 3), 1_234_000),
        ("440100", DELIVERY, date(2025, 7, 4), 567),
        ("440600", DELIVERY, date(2025, 7, 4), 10),
    )

    assessed = await premiums.assess(2025, 7)
    bill = await premiums.bill(SWIFT, "2025-07")

    assert (assessed.bill_count, assessed.line_count, assessed.order_count) == (1, 2, 1_234_577)
    assert assessed.premium_fen == bill.premium_fen == 10_370_363 + 84
    assert assessed.due_date == date_to_wire(date(2025, 8, 15))
    assert [(line.pooling_area, line.premium_fen) for line in bill.lines] == [
        ("440100", 10_370_363),
        ("440600", 84),
    ]
    line = bill.lines[0]
    assert (line.base_yuan, line.band, line.kind) == ("0.07", "1.20", pb.PremiumLine.ORDERS)
    assert line.findings[-1].arithmetic.startswith("1234567 x 0.07 x 1.2 = 103703.628 yuan")
    assert all(finding.text and finding.text_zh for finding in line.findings)

    premiums.set_day(date(2025, 8, 25))
    owed = await premiums.standing(SWIFT, "2025-07", date(2025, 8, 25))
    first = await premiums.receive(SWIFT, "2025-07", date(2025, 8, 25), 10_370_447, "B-1")
    second = await premiums.receive(
        SWIFT, "2025-07", date(2025, 8, 25), owed.surcharge_fen + 7, "B-2"
    )
    settled = await premiums.bill(SWIFT, "2025-07")

    assert (owed.arrears_fen, owed.days_late, owed.surcharge_fen) == (10_370_447, 10, 51_852)
    assert (first.premium_fen, first.surcharge_fen, first.credit_fen) == (10_370_447, 0, 0)
    assert (second.premium_fen, second.surcharge_fen, second.credit_fen) == (0, 51_852, 7)
    assert settled.state == pb.PremiumBill.SETTLED
    told = await premiums.told()
    assert [type(event).__name__ for event in told] == [
        "PremiumAssessed",
        "PremiumReceived",
        "PremiumReceived",
    ]
    assert isinstance(told[1], events_pb2.PremiumReceived)
    assert [(part.pooling_area, part.premium_fen) for part in told[1].parts] == [
        ("440100", 10_370_363),
        ("440600", 84),
    ]


async def test_worked_example_of_three_industries_holds_to_the_fen(premiums: Premiums) -> None:
    await premiums.count_orders(SWIFT, ("440100", DELIVERY, date(2025, 7, 3), 1_234_567))
    await premiums.count_orders(PEARL, ("440100", RIDES, date(2025, 7, 3), 3_456_789))
    freight = "91460100MA5T00003T"
    await premiums.count_orders(freight, ("440100", FREIGHT, date(2025, 7, 3), 98_765))
    await premiums.assign_band(SWIFT, "1.20", date(2025, 7, 1))
    await premiums.assign_band(freight, "0.80", date(2025, 7, 1))

    assessed = await premiums.assess(2025, 7)

    assert assessed.premium_fen == 15_249_368


async def test_a_repeated_request_gets_the_first_answer(premiums: Premiums) -> None:
    await july_of_swift(premiums)

    first = await premiums.assess(2025, 7)
    again = await premiums.assess(2025, 7)

    assert again == first
    assert len(await premiums.told()) == 1


async def test_a_batch_heard_twice_counts_once(premiums: Premiums) -> None:
    for _ in range(2):
        await premiums.count_orders(
            SWIFT, ("440100", RIDES, date(2025, 7, 1), 100), batch="platforms/x/orderBatches/b1"
        )

    assert (await premiums.assess(2025, 7)).order_count == 100


async def test_an_open_an_assessed_and_a_month_after_an_open_one_are_refused(
    premiums: Premiums,
) -> None:
    await premiums.count_orders(
        SWIFT,
        ("440100", RIDES, date(2025, 6, 30), 1),
        ("440100", RIDES, date(2025, 7, 1), 1),
    )

    still_open = await refused(premiums.assess(2025, 8))
    earlier = await refused(premiums.assess(2025, 7))
    await premiums.assess(2025, 6)
    again = await refused(
        premiums.officer.AssessPremiums(
            pb.AssessPremiumsRequest(request_id="other", month=month_to_wire(Month(2025, 6)))
        )
    )

    assert still_open.reason == "MONTH_STILL_OPEN"
    assert still_open.code is grpc.StatusCode.FAILED_PRECONDITION
    assert earlier.reason == "EARLIER_MONTH_NOT_ASSESSED"
    assert again.reason == "MONTH_ASSESSED"


async def test_late_orders_are_billed_with_the_next_month_at_their_own_rate(
    premiums: Premiums,
) -> None:
    await july_of_swift(premiums)
    await premiums.assess(2025, 7)
    await premiums.assign_band(SWIFT, "1.50", date(2025, 8, 1))
    premiums.set_day(date(2025, 9, 2))
    await premiums.count_orders(
        SWIFT,
        ("440100", RIDES, date(2025, 7, 31), 250),
        ("440100", RIDES, date(2025, 7, 30), -50),
        ("440100", RIDES, date(2025, 8, 1), 100),
    )

    waiting = await premiums.officer.ListAccruals(pb.ListAccrualsRequest(month=month_to_wire(JULY)))
    await premiums.assess(2025, 8)
    bill = await premiums.bill(SWIFT, "2025-08")

    assert [tally.order_count for tally in waiting.accruals] == [-50, 250]
    assert [(line.month.month, line.order_count, line.premium_fen) for line in bill.lines] == [
        (8, 100, 150),
        (7, 200, 200),
    ]
    assert "billed with 2025-08" in bill.lines[1].findings[-1].text


async def test_a_month_taken_back_becomes_credit_that_pays_the_next_bill(
    premiums: Premiums,
) -> None:
    day = date(2025, 7, 1)
    await premiums.count_orders(SWIFT, ("440100", DELIVERY, day, 100))
    await premiums.assess(2025, 7)
    await premiums.receive(SWIFT, "2025-07", date(2025, 8, 4), 700, "B-1")
    await premiums.count_orders(SWIFT, ("440100", DELIVERY, day, -40))
    premiums.set_day(date(2025, 9, 2))
    await premiums.assess(2025, 8)
    taken_back = await premiums.bill(SWIFT, "2025-08")
    await premiums.count_orders(SWIFT, ("440600", DELIVERY, date(2025, 9, 1), 60))
    premiums.set_day(date(2025, 10, 9))
    await premiums.assess(2025, 9)

    applied = await premiums.officer.ApplyPremiumCredit(
        pb.ApplyPremiumCreditRequest(
            request_id="credit", bill=f"platforms/{SWIFT}/premiumBills/2025-09"
        )
    )
    standing = await premiums.standing(SWIFT, "2025-09", date(2025, 10, 9))

    assert (taken_back.premium_fen, taken_back.state) == (-280, pb.PremiumBill.SETTLED)
    assert (applied.amount_fen, applied.premium_fen, applied.credit_fen) == (0, 280, -280)
    assert (standing.assessed_fen, standing.received_fen, standing.credit_fen) == (420, 280, 0)
    nothing_left = await refused(
        premiums.officer.ApplyPremiumCredit(
            pb.ApplyPremiumCreditRequest(
                request_id="again", bill=f"platforms/{SWIFT}/premiumBills/2025-09"
            )
        )
    )
    assert nothing_left.reason == "NO_CREDIT"


async def test_a_bank_reference_counts_once_and_never_for_other_content(
    premiums: Premiums,
) -> None:
    await july_of_swift(premiums)
    await premiums.assess(2025, 7)

    first = await premiums.receive(SWIFT, "2025-07", date(2025, 8, 4), 100, "B-1")
    again = await premiums.receive(SWIFT, "2025-07", date(2025, 8, 4), 100, "B-1")
    other = await refused(premiums.receive(SWIFT, "2025-07", date(2025, 8, 4), 101, "B-1"))
    future = await refused(premiums.receive(SWIFT, "2025-07", date(2025, 8, 6), 1, "B-2"))

    assert again == first
    assert (other.code, other.reason) == (grpc.StatusCode.ALREADY_EXISTS, "BANK_REFERENCE_USED")
    assert future.reason == "RECEIPT_IN_FUTURE"
    assert (await premiums.bill(SWIFT, "2025-07")).received_fen == 100


async def test_a_platform_sees_its_own_bills_only(premiums: Premiums) -> None:
    await july_of_swift(premiums)
    await premiums.count_orders(PEARL, ("440100", RIDES, date(2025, 7, 1), 100))
    await premiums.assess(2025, 7)
    swift = premiums.at("platform", platform=SWIFT)

    own = await swift.ListPremiumBills(pb.ListPremiumBillsRequest())
    other = await refused(
        swift.GetPremiumBill(
            pb.GetPremiumBillRequest(name=f"platforms/{PEARL}/premiumBills/2025-07")
        )
    )

    assert [bill.name for bill in own.bills] == [f"platforms/{SWIFT}/premiumBills/2025-07"]
    assert other.code is grpc.StatusCode.PERMISSION_DENIED


async def test_lists_page_to_their_end(premiums: Premiums) -> None:
    for platform in (SWIFT, PEARL):
        await premiums.count_orders(
            platform, *(("440100", RIDES, date(2025, 7, n), n) for n in range(1, 6))
        )
    seen: list[int] = []
    request = pb.ListAccrualsRequest(month=month_to_wire(JULY), page_size=3)
    while True:
        page = await premiums.officer.ListAccruals(request)
        seen += [tally.order_count for tally in page.accruals]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    await premiums.assess(2025, 7)
    bills = await premiums.officer.ListPremiumBills(pb.ListPremiumBillsRequest(page_size=1))
    rest = await premiums.officer.ListPremiumBills(
        pb.ListPremiumBillsRequest(page_token=bills.next_page_token)
    )

    assert seen == [1, 2, 3, 4, 5] * 2
    assert len(bills.bills) == len(rest.bills) == 1


async def test_a_base_is_assigned_only_if_the_law_knows_it(premiums: Premiums) -> None:
    await premiums.register(SWIFT, 2, DELIVERY)
    await premiums.register(SWIFT, 1, RIDES)

    def wanted(
        base: str, industry: type_pb2.Industry.ValueType = DELIVERY
    ) -> pb.AssignPremiumBaseRequest:
        return pb.AssignPremiumBaseRequest(
            request_id=premiums.fresh_id(),
            platform=f"platforms/{SWIFT}",
            industry=industry,
            since_date=date_to_wire(date(2025, 7, 1)),
            base_yuan=base,
            reason="loss ratio of 2022-07 to 2024-12",
        )

    term = await premiums.officer.AssignPremiumBase(wanted("0.25"))
    unknown = await refused(premiums.officer.AssignPremiumBase(wanted("0.30")))
    elsewhere = await refused(premiums.officer.AssignPremiumBase(wanted("0.01", RIDES)))
    await premiums.count_orders(SWIFT, ("440100", DELIVERY, date(2025, 7, 1), 100))
    await premiums.assess(2025, 7)
    too_late = await refused(premiums.officer.AssignPremiumBase(wanted("0.07")))
    terms = await premiums.at("platform", platform=SWIFT).ListPremiumTerms(
        pb.ListPremiumTermsRequest(platform=f"platforms/{SWIFT}")
    )

    assert list(terms.terms) == [term]
    assert (unknown.code, unknown.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "BASE_NOT_IN_LAW",
    )
    assert elsewhere.reason == "INDUSTRY_NOT_REGISTERED"
    assert too_late.reason == "TERM_IN_ASSESSED_MONTH"
    assert (await premiums.bill(SWIFT, "2025-07")).premium_fen == 2_500


async def test_a_declaration_shows_where_it_differs_from_the_orders_held(
    premiums: Premiums,
) -> None:
    await premiums.count_orders(SWIFT, ("440100", RIDES, date(2025, 7, 1), 100))
    swift = premiums.at("platform", platform=SWIFT)

    declared = await swift.DeclarePremium(
        pb.DeclarePremiumRequest(
            request_id="d1",
            platform=f"platforms/{SWIFT}",
            month=month_to_wire(JULY),
            rows=[
                Row(pooling_area="440100", industry=RIDES, order_count=90),
                Row(pooling_area="440600", industry=RIDES, order_count=5),
            ],
        )
    )
    still_open = await refused(
        swift.DeclarePremium(
            pb.DeclarePremiumRequest(
                request_id="d2",
                platform=f"platforms/{SWIFT}",
                month=month_to_wire(JULY.plus(1)),
            )
        )
    )

    assert [(d.pooling_area, d.declared_count, d.held_count) for d in declared.differences] == [
        ("440100", 90, 100),
        ("440600", 5, 0),
    ]
    assert declared.revision == 1
    assert still_open.reason == "MONTH_STILL_OPEN"


async def test_orders_declared_too_low_bear_surcharge_from_their_own_due_date(
    premiums: Premiums,
) -> None:
    await premiums.count_orders(SWIFT, ("440100", DELIVERY, date(2025, 7, 1), 100_000))
    await premiums.at("platform", platform=SWIFT).DeclarePremium(
        pb.DeclarePremiumRequest(
            request_id="d1",
            platform=f"platforms/{SWIFT}",
            month=month_to_wire(JULY),
            rows=[Row(pooling_area="440100", industry=DELIVERY, order_count=100_000)],
        )
    )
    await premiums.assess(2025, 7)
    premiums.set_day(date(2025, 9, 5))
    await premiums.count_orders(
        SWIFT,
        ("440100", DELIVERY, date(2025, 7, 1), 10_000),
        ("440100", DELIVERY, date(2025, 8, 1), 1_000),
    )
    await premiums.assess(2025, 8)

    bill = await premiums.bill(SWIFT, "2025-08")
    standing = await premiums.standing(SWIFT, "2025-08", date(2025, 9, 15))

    assert [(line.month.month, line.due_date) for line in bill.lines] == [
        (8, date_to_wire(date(2025, 9, 15))),
        (7, date_to_wire(date(2025, 8, 15))),
    ]
    # 700.00 yuan for the 31 days from 16 August to 15 September
    assert standing.surcharge_fen == 1_085


async def test_a_silent_platform_is_billed_more_and_its_orders_take_that_back(
    premiums: Premiums,
) -> None:
    await premiums.count_orders(
        SWIFT,
        ("440100", DELIVERY, date(2025, 7, 1), 1_000),
        ("440600", DELIVERY, date(2025, 7, 1), 500),
    )
    await premiums.assess(2025, 7)
    premiums.set_day(date(2025, 9, 10))
    await premiums.assess(2025, 8)
    august = f"platforms/{SWIFT}/premiumBills/2025-08"

    early = await refused(
        premiums.officer.EstimatePremium(pb.EstimatePremiumRequest(request_id="e0", bill=august))
    )
    premiums.set_day(date(2025, 9, 16))
    bill = await premiums.officer.EstimatePremium(
        pb.EstimatePremiumRequest(request_id="e1", bill=august)
    )
    again = await refused(
        premiums.officer.EstimatePremium(pb.EstimatePremiumRequest(request_id="e2", bill=august))
    )
    await premiums.count_orders(SWIFT, ("440100", DELIVERY, date(2025, 8, 2), 300))
    premiums.set_day(date(2025, 10, 9))
    await premiums.assess(2025, 9)
    settled = await premiums.bill(SWIFT, "2025-09")

    assert early.reason == "DECLARATION_STILL_OPEN"
    assert again.reason == "PLATFORM_NOT_SILENT"
    assert [(line.pooling_area, line.premium_fen) for line in bill.lines] == [
        ("440100", 7_700),
        ("440600", 3_850),
    ]
    assert [(line.pooling_area, line.kind, line.premium_fen) for line in settled.lines] == [
        ("440100", pb.PremiumLine.ORDERS, 2_100),
        ("440100", pb.PremiumLine.REVERSAL, -7_700),
        ("440600", pb.PremiumLine.REVERSAL, -3_850),
    ]


async def test_gaps_of_the_month_are_shown_with_its_assessment(premiums: Premiums) -> None:
    def gap(revision: int, *held: int) -> order_events.OrderGapFound:
        return order_events.OrderGapFound(
            platform=SWIFT,
            service_date=date_to_wire(date(2025, 7, 3)),
            revision=revision,
            gaps=[orders_pb2.OrderGap(declared_count=9, held_count=count) for count in held],
        )

    await july_of_swift(premiums)
    await premiums.find_gap(gap(2, 7))
    await premiums.find_gap(gap(1))

    assert (await premiums.assess(2025, 7)).gap_day_count == 1


async def test_costs_fall_on_a_platform_in_arrears_until_it_has_paid(premiums: Premiums) -> None:
    await july_of_swift(premiums)
    bill = await premiums.assess(2025, 7)
    premiums.set_day(date(2025, 8, 18))

    def asked(day: date) -> pb.GetAdvanceTermsRequest:
        return pb.GetAdvanceTermsRequest(
            platform=f"platforms/{SWIFT}",
            request_date=date_to_wire(day),
            advance_date=date_to_wire(date(2025, 9, 1)),
        )

    in_time = await premiums.officer.GetAdvanceTerms(asked(date(2025, 8, 15)))
    late = await premiums.officer.GetAdvanceTerms(asked(date(2025, 8, 18)))
    await premiums.receive(SWIFT, "2025-07", date(2025, 8, 18), bill.premium_fen, "B-1")
    owing = await premiums.officer.GetAdvanceTerms(asked(date(2025, 8, 18)))
    await premiums.receive(SWIFT, "2025-07", date(2025, 8, 18), owing.surcharge_fen, "B-2")
    paid = await premiums.officer.GetAdvanceTerms(asked(date(2025, 8, 18)))

    assert in_time.bearer == paid.bearer == pb.AdvanceTerms.FUND
    assert late.bearer == owing.bearer == pb.AdvanceTerms.PLATFORM
    assert (owing.arrears_fen, owing.surcharge_fen > 0) == (0, True)
    assert late.urge_date == date_to_wire(date(2025, 8, 21))
    assert late.payment_date == date_to_wire(date(2025, 8, 28))
    assert late.advance_from_date == date_to_wire(date(2025, 8, 29))
    assert late.repayment_date == date_to_wire(date(2025, 9, 11))
