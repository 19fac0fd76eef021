from __future__ import annotations

from datetime import date

import grpc
import pytest
from oip.orders.v1 import events_pb2 as order_events
from oip.orders.v1 import orders_pb2
from oip.premiums.v1 import premiums_pb2 as pb
from oip.type.v1 import type_pb2

from services.kernel.periods import Month
from services.runtime.rpc.wire import date_to_wire, month_to_wire
from tests.integration.premiums.builders import (
    DELIVERY,
    RIDES,
    SWIFT,
    Row,
    assess,
    count_orders,
    get_bill,
    get_standing,
    july_of_swift,
    officer,
    platform_stub,
    receive,
    register,
)
from tests.support.stack_client import StackClient, refused

JULY = Month(2025, 7)


async def test_a_base_is_assigned_only_if_the_law_knows_it(client: StackClient) -> None:
    await register(client, SWIFT, 2, DELIVERY)
    await register(client, SWIFT, 1, RIDES)

    def a_base(
        base: str, industry: type_pb2.Industry.ValueType = DELIVERY
    ) -> pb.AssignPremiumBaseRequest:
        return pb.AssignPremiumBaseRequest(
            request_id=client.new_id(),
            platform=f"platforms/{SWIFT}",
            industry=industry,
            since_date=date_to_wire(date(2025, 7, 1)),
            base_yuan=base,
            reason="loss ratio of 2022-07 to 2024-12",
        )

    term = await officer(client).AssignPremiumBase(a_base("0.25"))
    unknown = await refused(officer(client).AssignPremiumBase(a_base("0.30")))
    elsewhere = await refused(officer(client).AssignPremiumBase(a_base("0.01", RIDES)))
    await count_orders(client, SWIFT, ("440100", DELIVERY, date(2025, 7, 1), 100))
    await assess(client, 2025, 7)
    too_late = await refused(officer(client).AssignPremiumBase(a_base("0.07")))
    terms = await platform_stub(client, SWIFT).ListPremiumTerms(
        pb.ListPremiumTermsRequest(platform=f"platforms/{SWIFT}")
    )

    assert list(terms.terms) == [term]
    assert (unknown.code, unknown.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "BASE_NOT_IN_LAW",
    )
    assert elsewhere.reason == "INDUSTRY_NOT_REGISTERED"
    assert too_late.reason == "TERM_IN_ASSESSED_MONTH"
    assert (await get_bill(client, SWIFT, "2025-07")).premium_fen == 2_500


async def test_a_declaration_shows_where_it_differs_from_the_recorded_orders(
    client: StackClient,
) -> None:
    await count_orders(client, SWIFT, ("440100", RIDES, date(2025, 7, 1), 100))
    swift = platform_stub(client, SWIFT)

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
    client: StackClient,
) -> None:
    await count_orders(client, SWIFT, ("440100", DELIVERY, date(2025, 7, 1), 100_000))
    await platform_stub(client, SWIFT).DeclarePremium(
        pb.DeclarePremiumRequest(
            request_id="d1",
            platform=f"platforms/{SWIFT}",
            month=month_to_wire(JULY),
            rows=[Row(pooling_area="440100", industry=DELIVERY, order_count=100_000)],
        )
    )
    await assess(client, 2025, 7)
    client.set_day(date(2025, 9, 5))
    await count_orders(
        client,
        SWIFT,
        ("440100", DELIVERY, date(2025, 7, 1), 10_000),
        ("440100", DELIVERY, date(2025, 8, 1), 1_000),
    )
    await assess(client, 2025, 8)

    bill = await get_bill(client, SWIFT, "2025-08")
    standing = await get_standing(client, SWIFT, "2025-08", date(2025, 9, 15))

    assert [(line.month.month, line.due_date) for line in bill.lines] == [
        (8, date_to_wire(date(2025, 9, 15))),
        (7, date_to_wire(date(2025, 8, 15))),
    ]
    # 700.00 yuan for the 31 days from 16 August to 15 September
    assert standing.surcharge_fen == 1_085


async def test_a_silent_platform_is_billed_more_and_its_orders_take_that_back(
    client: StackClient,
) -> None:
    await count_orders(
        client,
        SWIFT,
        ("440100", DELIVERY, date(2025, 7, 1), 1_000),
        ("440600", DELIVERY, date(2025, 7, 1), 500),
    )
    await assess(client, 2025, 7)
    client.set_day(date(2025, 9, 10))
    await assess(client, 2025, 8)
    august = f"platforms/{SWIFT}/premiumBills/2025-08"

    early = await refused(
        officer(client).EstimatePremium(pb.EstimatePremiumRequest(request_id="e0", bill=august))
    )
    client.set_day(date(2025, 9, 16))
    bill = await officer(client).EstimatePremium(
        pb.EstimatePremiumRequest(request_id="e1", bill=august)
    )
    again = await refused(
        officer(client).EstimatePremium(pb.EstimatePremiumRequest(request_id="e2", bill=august))
    )
    await count_orders(client, SWIFT, ("440100", DELIVERY, date(2025, 8, 2), 300))
    client.set_day(date(2025, 10, 9))
    await assess(client, 2025, 9)
    september = await get_bill(client, SWIFT, "2025-09")

    assert early.reason == "DECLARATION_STILL_OPEN"
    assert again.reason == "PLATFORM_NOT_SILENT"
    assert [(line.pooling_area, line.premium_fen) for line in bill.lines] == [
        ("440100", 7_700),
        ("440600", 3_850),
    ]
    assert [(line.pooling_area, line.kind, line.premium_fen) for line in september.lines] == [
        ("440100", pb.PremiumLine.ORDERS, 2_100),
        ("440100", pb.PremiumLine.REVERSAL, -7_700),
        ("440600", pb.PremiumLine.REVERSAL, -3_850),
    ]


async def test_gaps_of_the_month_are_shown_with_its_assessment(client: StackClient) -> None:
    def gap(revision: int, *held_counts: int) -> order_events.OrderGapFound:
        return order_events.OrderGapFound(
            platform=f"platforms/{SWIFT}",
            service_date=date_to_wire(date(2025, 7, 3)),
            revision=revision,
            gaps=[orders_pb2.OrderGap(declared_count=9, held_count=count) for count in held_counts],
        )

    await july_of_swift(client)
    await client.consume("premiums", gap(2, 7))
    await client.consume("premiums", gap(1))
    only_late = gap(1)
    only_late.service_date.day = 4
    only_late.gaps.add(declared_count=9, held_count=9, kind=orders_pb2.OrderGap.LATE_ARRIVALS)
    await client.consume("premiums", only_late)

    assert (await assess(client, 2025, 7)).gap_day_count == 1


async def test_costs_fall_on_a_platform_in_arrears_until_it_has_paid(client: StackClient) -> None:
    await july_of_swift(client)
    bill = await assess(client, 2025, 7)
    client.set_day(date(2025, 8, 18))

    def a_request(day: date) -> pb.GetAdvanceTermsRequest:
        return pb.GetAdvanceTermsRequest(
            platform=f"platforms/{SWIFT}",
            request_date=date_to_wire(day),
            advance_date=date_to_wire(date(2025, 9, 1)),
        )

    in_time = await officer(client).GetAdvanceTerms(a_request(date(2025, 8, 15)))
    late = await officer(client).GetAdvanceTerms(a_request(date(2025, 8, 18)))
    await receive(client, SWIFT, "2025-07", date(2025, 8, 18), bill.premium_fen, reference="B-1")
    owing = await officer(client).GetAdvanceTerms(a_request(date(2025, 8, 18)))
    await receive(client, SWIFT, "2025-07", date(2025, 8, 18), owing.surcharge_fen, reference="B-2")
    paid = await officer(client).GetAdvanceTerms(a_request(date(2025, 8, 18)))

    assert in_time.bearer == paid.bearer == pb.AdvanceTerms.FUND
    assert late.bearer == owing.bearer == pb.AdvanceTerms.PLATFORM
    assert (owing.arrears_fen, owing.surcharge_fen > 0) == (0, True)
    assert late.urge_date == date_to_wire(date(2025, 8, 21))
    assert late.payment_date == date_to_wire(date(2025, 8, 28))
    assert late.advance_from_date == date_to_wire(date(2025, 8, 29))
    assert late.repayment_date == date_to_wire(date(2025, 9, 11))


async def test_orders_from_before_the_scheme_in_their_area_bear_no_premium(
    client: StackClient,
) -> None:
    """Shandong joined on 2025-07-01 (人社部发〔2025〕24号); intake refuses such orders before."""
    await count_orders(client, SWIFT, ("370300", DELIVERY, date(2025, 6, 28), 1_000))

    problem = await refused(assess(client, 2025, 6))

    assert (problem.reason, problem.code) == (
        "SCHEME_NOT_IN_FORCE",
        grpc.StatusCode.FAILED_PRECONDITION,
    )
    assert (problem.metadata["pooling_area"], problem.metadata["start"]) == ("370300", "2025-07-01")


async def test_orders_of_the_first_day_of_the_scheme_bear_premium(client: StackClient) -> None:
    await count_orders(client, SWIFT, ("370300", DELIVERY, date(2025, 7, 1), 1_000))

    await assess(client, 2025, 7)

    assert (await get_bill(client, SWIFT, "2025-07")).premium_fen == 7_000


@pytest.mark.parametrize(
    ("day", "premium_fen", "instruments"),
    [
        (date(2025, 6, 30), 4_000, {"人社部发〔2021〕110号", "人社部发〔2015〕71号"}),
        (date(2025, 7, 1), 7_000, {"人社部发〔2025〕24号"}),
    ],
)
async def test_the_service_date_chooses_base_and_text(
    client: StackClient, day: date, premium_fen: int, instruments: set[str]
) -> None:
    await count_orders(client, SWIFT, ("440300", DELIVERY, day, 1_000))

    await assess(client, day.year, day.month)

    bill = await get_bill(client, SWIFT, f"{day:%Y-%m}")
    (line,) = bill.lines
    assert bill.premium_fen == premium_fen
    assert {finding.provision.instrument for finding in line.findings} == instruments
