from __future__ import annotations

from datetime import date

import grpc
from oip.premiums.v1 import events_pb2
from oip.premiums.v1 import premiums_pb2 as pb

from services.kernel.periods import Month
from services.runtime.rpc.wire import date_to_wire, month_to_wire
from tests.integration.premiums.desk import (
    DELIVERY,
    FREIGHT,
    PEARL,
    RIDES,
    SWIFT,
    Premiums,
    july_of_swift,
    refused,
)

JULY = Month(2025, 7)


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
