from __future__ import annotations

from datetime import date

import grpc
from oip.premiums.v1 import events_pb2
from oip.premiums.v1 import premiums_pb2 as pb

from services.kernel.periods import Month
from services.runtime.rpc.wire import date_to_wire, month_to_wire
from tests.integration.premiums.builders import (
    DELIVERY,
    FREIGHT,
    PEARL,
    RIDES,
    SWIFT,
    assess,
    assign_band,
    count_orders,
    get_bill,
    get_standing,
    july_of_swift,
    officer,
    platform_stub,
    receive,
)
from tests.support.stack_client import StackClient, refused

JULY = Month(2025, 7)


async def test_a_month_goes_from_tallies_to_a_paid_bill(client: StackClient) -> None:
    await assign_band(client, SWIFT, "1.20", date(2025, 7, 1))
    await count_orders(
        client,
        SWIFT,
        ("440100", DELIVERY, date(2025, 7, 3), 1_234_000),
        ("440100", DELIVERY, date(2025, 7, 4), 567),
        ("440600", DELIVERY, date(2025, 7, 4), 10),
    )

    assessed = await assess(client, 2025, 7)
    bill = await get_bill(client, SWIFT, "2025-07")

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

    client.set_day(date(2025, 8, 25))
    owed = await get_standing(client, SWIFT, "2025-07", date(2025, 8, 25))
    first = await receive(client, SWIFT, "2025-07", date(2025, 8, 25), 10_370_447, reference="B-1")
    second = await receive(
        client, SWIFT, "2025-07", date(2025, 8, 25), owed.surcharge_fen + 7, reference="B-2"
    )
    paid = await get_bill(client, SWIFT, "2025-07")

    assert (owed.arrears_fen, owed.days_late, owed.surcharge_fen) == (10_370_447, 10, 51_852)
    assert (first.premium_fen, first.surcharge_fen, first.credit_fen) == (10_370_447, 0, 0)
    assert (second.premium_fen, second.surcharge_fen, second.credit_fen) == (0, 51_852, 7)
    assert paid.state == pb.PremiumBill.PAID
    events = await client.published("premiums")
    assert [type(event).__name__ for event in events] == [
        "PremiumAssessed",
        "PremiumReceived",
        "PremiumReceived",
    ]
    assert isinstance(events[1], events_pb2.PremiumReceived)
    assert {event.platform for event in events} == {f"platforms/{SWIFT}"}
    assert [(part.pooling_area, part.premium_fen) for part in events[1].parts] == [
        ("440100", 10_370_363),
        ("440600", 84),
    ]


async def test_worked_example_of_three_industries_holds_to_the_fen(client: StackClient) -> None:
    await count_orders(client, SWIFT, ("440100", DELIVERY, date(2025, 7, 3), 1_234_567))
    await count_orders(client, PEARL, ("440100", RIDES, date(2025, 7, 3), 3_456_789))
    freight = "91460100MA5T00003T"
    await count_orders(client, freight, ("440100", FREIGHT, date(2025, 7, 3), 98_765))
    await assign_band(client, SWIFT, "1.20", date(2025, 7, 1))
    await assign_band(client, freight, "0.80", date(2025, 7, 1))

    assessed = await assess(client, 2025, 7)

    assert assessed.premium_fen == 15_249_368


async def test_a_repeated_request_gets_the_first_answer(client: StackClient) -> None:
    await july_of_swift(client)

    first = await assess(client, 2025, 7)
    again = await assess(client, 2025, 7)

    assert again == first
    assert len(await client.published("premiums")) == 1


async def test_a_batch_consumed_twice_counts_once(client: StackClient) -> None:
    for _ in range(2):
        await count_orders(
            client,
            SWIFT,
            ("440100", RIDES, date(2025, 7, 1), 100),
            batch="platforms/x/orderBatches/b1",
        )

    assert (await assess(client, 2025, 7)).order_count == 100


async def test_an_open_an_assessed_and_a_month_after_an_open_one_are_refused(
    client: StackClient,
) -> None:
    await count_orders(
        client,
        SWIFT,
        ("440100", RIDES, date(2025, 6, 30), 1),
        ("440100", RIDES, date(2025, 7, 1), 1),
    )

    still_open = await refused(assess(client, 2025, 8))
    earlier = await refused(assess(client, 2025, 7))
    await assess(client, 2025, 6)
    again = await refused(
        officer(client).AssessPremiums(
            pb.AssessPremiumsRequest(request_id="other", month=month_to_wire(Month(2025, 6)))
        )
    )

    assert still_open.reason == "MONTH_STILL_OPEN"
    assert still_open.code is grpc.StatusCode.FAILED_PRECONDITION
    assert earlier.reason == "EARLIER_MONTH_NOT_ASSESSED"
    assert again.reason == "MONTH_ASSESSED"


async def test_late_orders_are_billed_with_the_next_month_at_their_own_rate(
    client: StackClient,
) -> None:
    await july_of_swift(client)
    await assess(client, 2025, 7)
    await assign_band(client, SWIFT, "1.50", date(2025, 8, 1))
    client.set_day(date(2025, 9, 2))
    await count_orders(
        client,
        SWIFT,
        ("440100", RIDES, date(2025, 7, 31), 250),
        ("440100", RIDES, date(2025, 7, 30), -50),
        ("440100", RIDES, date(2025, 8, 1), 100),
    )

    waiting = await officer(client).ListAccruals(pb.ListAccrualsRequest(month=month_to_wire(JULY)))
    await assess(client, 2025, 8)
    bill = await get_bill(client, SWIFT, "2025-08")

    assert [tally.order_count for tally in waiting.accruals] == [-50, 250]
    assert [(line.month.month, line.order_count, line.premium_fen) for line in bill.lines] == [
        (8, 100, 150),
        (7, 200, 200),
    ]
    assert "billed with 2025-08" in bill.lines[1].findings[-1].text


async def test_a_month_taken_back_becomes_credit_that_pays_the_next_bill(
    client: StackClient,
) -> None:
    day = date(2025, 7, 1)
    await count_orders(client, SWIFT, ("440100", DELIVERY, day, 100))
    await assess(client, 2025, 7)
    await receive(client, SWIFT, "2025-07", date(2025, 8, 4), 700, reference="B-1")
    await count_orders(client, SWIFT, ("440100", DELIVERY, day, -40))
    client.set_day(date(2025, 9, 2))
    await assess(client, 2025, 8)
    taken_back = await get_bill(client, SWIFT, "2025-08")
    await count_orders(client, SWIFT, ("440600", DELIVERY, date(2025, 9, 1), 60))
    client.set_day(date(2025, 10, 9))
    await assess(client, 2025, 9)

    applied = await officer(client).ApplyPremiumCredit(
        pb.ApplyPremiumCreditRequest(
            request_id="credit", bill=f"platforms/{SWIFT}/premiumBills/2025-09"
        )
    )
    standing = await get_standing(client, SWIFT, "2025-09", date(2025, 10, 9))

    assert (taken_back.premium_fen, taken_back.state) == (-280, pb.PremiumBill.PAID)
    assert (applied.amount_fen, applied.premium_fen, applied.credit_fen) == (0, 280, -280)
    assert (standing.assessed_fen, standing.received_fen, standing.credit_fen) == (420, 280, 0)
    nothing_left = await refused(
        officer(client).ApplyPremiumCredit(
            pb.ApplyPremiumCreditRequest(
                request_id="again", bill=f"platforms/{SWIFT}/premiumBills/2025-09"
            )
        )
    )
    assert nothing_left.reason == "NO_CREDIT"


async def test_a_platform_sees_its_own_bills_only(client: StackClient) -> None:
    await july_of_swift(client)
    await count_orders(client, PEARL, ("440100", RIDES, date(2025, 7, 1), 100))
    await assess(client, 2025, 7)
    swift = platform_stub(client, SWIFT)

    own = await swift.ListPremiumBills(pb.ListPremiumBillsRequest())
    other = await refused(
        swift.GetPremiumBill(
            pb.GetPremiumBillRequest(name=f"platforms/{PEARL}/premiumBills/2025-07")
        )
    )

    assert [bill.name for bill in own.bills] == [f"platforms/{SWIFT}/premiumBills/2025-07"]
    assert other.code is grpc.StatusCode.PERMISSION_DENIED


async def test_lists_page_to_their_end(client: StackClient) -> None:
    for platform in (SWIFT, PEARL):
        await count_orders(
            client, platform, *(("440100", RIDES, date(2025, 7, n), n) for n in range(1, 6))
        )
    seen: list[int] = []
    request = pb.ListAccrualsRequest(month=month_to_wire(JULY), page_size=3)
    while True:
        page = await officer(client).ListAccruals(request)
        seen += [tally.order_count for tally in page.accruals]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    await assess(client, 2025, 7)
    bills = await officer(client).ListPremiumBills(pb.ListPremiumBillsRequest(page_size=1))
    rest = await officer(client).ListPremiumBills(
        pb.ListPremiumBillsRequest(page_token=bills.next_page_token)
    )

    assert seen == [1, 2, 3, 4, 5] * 2
    assert len(bills.bills) == len(rest.bills) == 1


async def test_bills_and_receipts_come_newest_first_by_state_and_counted(
    client: StackClient,
) -> None:
    await count_orders(client, SWIFT, ("440100", DELIVERY, date(2025, 7, 1), 5000))
    await count_orders(client, SWIFT, ("440100", DELIVERY, date(2025, 8, 1), 5000))
    client.set_day(date(2025, 9, 2))
    await assess(client, 2025, 7)
    await assess(client, 2025, 8)
    stub = officer(client)
    newest = pb.ListPremiumBillsRequest(newest_first=True, count_all=True, page_size=1)

    first = await stub.ListPremiumBills(newest)
    newest.page_token = first.next_page_token
    second = await stub.ListPremiumBills(newest)
    paid = await stub.ListPremiumBills(
        pb.ListPremiumBillsRequest(states=[pb.PremiumBill.PAID], count_all=True)
    )
    receipts = await stub.ListPremiumReceipts(
        pb.ListPremiumReceiptsRequest(newest_first=True, count_all=True)
    )

    assert [bill.month.month for page in (first, second) for bill in page.bills] == [8, 7]
    assert (first.total_count, second.total_count) == (2, 2)
    assert (list(paid.bills), paid.total_count) == ([], 0)
    assert (list(receipts.receipts), receipts.total_count) == ([], 0)
