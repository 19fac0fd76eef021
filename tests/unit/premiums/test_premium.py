from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.kernel.identifiers import NATIONAL, province_of
from services.kernel.instruments import INSTRUMENTS
from services.kernel.law import Outcome
from services.kernel.money import Fen, total
from services.kernel.parameters import Fallback
from services.kernel.periods import Month
from services.kernel.scheme import Industry
from services.premiums.domain import assessment, receipts
from services.premiums.domain.bills import Allotment, AreaPremium, Bill, BillState, Due
from services.premiums.domain.law import law
from services.premiums.domain.lines import DueDates, Line, explain_line, premium_lines
from services.premiums.domain.problems import (
    BaseNotKnown,
    EarlierMonthNotAssessed,
    MonthAssessed,
    MonthStillOpen,
    SchemeNotInForce,
)
from services.premiums.domain.rates import rates
from services.premiums.domain.standing import standing
from services.premiums.domain.tallies import Tally
from services.premiums.domain.terms import Term, TermKind
from services.runtime.base.holidays import work_calendar

LAW = law("440000")
PLATFORM = "91350100M000100Y43"
JULY = Month(2025, 7)
DUE = date(2025, 8, 15)


def a_tally(industry: Industry, day: date, count: int, platform: str = PLATFORM) -> Tally:
    return Tally(platform, "440100", industry.value, day, count)


def a_band(band: str, since: date, platform: str = PLATFORM, seq: int = 1) -> Term:
    return Term(platform, TermKind.BAND, since, Decimal(band), seq=seq)


def lines(tallies: list[Tally], terms: list[Term]) -> list[Line]:
    in_force = rates({tally.key for tally in tallies}, terms, LAW)
    return premium_lines(tallies, in_force, DueDates(DUE))


def a_bill(
    premium: int, paid: tuple[Allotment, ...] = (), areas: tuple[AreaPremium, ...] = ()
) -> Bill:
    return Bill(
        PLATFORM,
        JULY,
        DUE,
        BillState.ASSESSED,
        1,
        (Due(DUE, Fen(premium)),),
        areas or (AreaPremium("440100", Fen(premium)),),
        paid,
    )


def test_a_platform_month_costs_orders_times_base_times_band_to_the_fen() -> None:
    delivery, rides, freight = (f"9111010800000000{n}" for n in (1, 2, 3))
    tallies = [
        a_tally(Industry.INSTANT_DELIVERY, date(2025, 7, 3), 1_234_567, delivery),
        a_tally(Industry.RIDE_HAILING, date(2025, 7, 3), 3_456_789, rides),
        a_tally(Industry.SAME_CITY_FREIGHT, date(2025, 7, 3), 98_765, freight),
    ]
    terms = [
        a_band("1.20", date(2025, 7, 1), delivery),
        a_band("0.80", date(2025, 7, 1), freight),
    ]

    billed = lines(tallies, terms)

    assert [line.premium.yuan for line in billed] == ["103,703.63", "34,567.89", "14,222.16"]
    assert total(line.premium for line in billed) == Fen.of_yuan("152493.68")


def test_a_surcharge_runs_from_the_day_after_the_due_date_to_the_day_of_payment() -> None:
    bill = a_bill(15_249_368)

    assert standing(bill, DUE, LAW).surcharge == Fen(0)
    assert standing(bill, date(2025, 8, 16), LAW).surcharge == Fen(7_625)
    assert standing(bill, date(2025, 8, 25), LAW).surcharge == Fen.of_yuan("762.47")
    assert standing(bill, date(2025, 8, 25), LAW).days_late == 10


def test_a_premium_is_due_on_the_fifteenth_or_the_next_working_day() -> None:
    calendar = work_calendar()

    assert assessment.due_date(JULY, LAW, calendar) == date(2025, 8, 15)
    assert assessment.due_date(Month(2025, 10), LAW, calendar) == date(2025, 11, 17)
    assert assessment.due_date(Month(2026, 1), LAW, calendar) == date(2026, 2, 24)


def test_a_band_that_changes_within_a_month_splits_the_line_by_rate() -> None:
    tallies = [
        a_tally(Industry.RIDE_HAILING, date(2025, 7, 15), 3),
        a_tally(Industry.RIDE_HAILING, date(2025, 7, 16), 3),
        a_tally(Industry.RIDE_HAILING, date(2025, 7, 31), 1),
    ]

    billed = lines(tallies, [a_band("0.50", date(2025, 7, 16))])

    assert [(line.order_count, line.band, line.premium) for line in billed] == [
        (4, Decimal("0.50"), Fen(2)),
        (3, Decimal("1.00"), Fen(3)),
    ]


def test_a_band_that_comes_back_within_a_month_shares_one_line() -> None:
    days = [date(2025, 7, 1), date(2025, 7, 12), date(2025, 7, 25)]
    tallies = [a_tally(Industry.RIDE_HAILING, day, 1) for day in days]
    terms = [a_band("0.50", date(2025, 7, 10)), a_band("1.00", date(2025, 7, 20), seq=2)]

    assert [line.order_count for line in lines(tallies, terms)] == [1, 2]


def test_an_assigned_base_holds_until_the_law_changes_the_bases() -> None:
    term = Term(
        PLATFORM, TermKind.BASE, date(2023, 1, 1), Decimal("0.06"), Industry.INSTANT_DELIVERY
    )
    before = a_tally(Industry.INSTANT_DELIVERY, date(2025, 6, 30), 100)
    after = a_tally(Industry.INSTANT_DELIVERY, date(2025, 7, 1), 100)

    assert lines([before], [term])[0].base == Decimal("0.06")
    assert lines([after], [term])[0].base == Decimal("0.07")


def test_orders_that_are_taken_back_make_no_line() -> None:
    day = date(2025, 7, 4)
    tallies = [a_tally(Industry.RIDE_HAILING, day, 5), a_tally(Industry.RIDE_HAILING, day, -5)]

    assert lines(tallies, []) == []


def test_months_are_assessed_once_they_ended_and_in_order() -> None:
    with pytest.raises(MonthStillOpen, match="2025-08-01"):
        assessment.require_assessable(JULY, date(2025, 7, 31), None, None)
    with pytest.raises(MonthAssessed, match="2025-08"):
        assessment.require_assessable(JULY, date(2025, 8, 1), JULY, None)
    with pytest.raises(EarlierMonthNotAssessed, match="assess 2025-06 before 2025-07"):
        assessment.require_assessable(JULY, date(2025, 8, 1), None, Month(2025, 6))
    assessment.require_assessable(JULY, date(2025, 8, 1), Month(2025, 6), JULY)


def test_a_receipt_pays_premium_first_then_surcharge_and_the_rest_is_credit() -> None:
    areas = (
        AreaPremium("440100", Fen(10_000)),
        AreaPremium("440600", Fen(5_000)),
        AreaPremium("441900", Fen(1)),
    )
    bill = a_bill(15_001, areas=areas)

    receipt = receipts.receive_premium(bill, Fen(20_000), date(2025, 8, 25), LAW)

    assert (receipt.premium, receipt.surcharge, receipt.credit) == (Fen(15_001), Fen(75), Fen(4924))
    assert [part.premium for part in receipt.parts] == [area.premium for area in areas]
    assert total(part.surcharge for part in receipt.parts) == receipt.surcharge
    assert total(part.credit for part in receipt.parts) == receipt.credit


def test_partial_receipts_clear_every_pooling_area_exactly() -> None:
    areas = tuple(AreaPremium(f"4401{n:02}", Fen(fen)) for n, fen in enumerate((7, 11, 13, -3)))
    received = {area.pooling_area: 0 for area in areas}
    bill = a_bill(28, areas=areas)

    for day, amount in enumerate((5, 9, 1, 13), 1):
        receipt = receipts.receive_premium(bill, Fen(amount), date(2025, 8, day), LAW)
        for part in receipt.parts:
            received[part.pooling_area] += part.premium.count
        bill = receipts.after_receipt(bill, receipt, LAW)
        bill = replace(
            bill,
            areas=tuple(
                AreaPremium(area.pooling_area, area.premium, Fen(received[area.pooling_area]))
                for area in areas
            ),
        )

    assert received == {area.pooling_area: area.premium.count for area in areas}
    assert bill.state is BillState.PAID


def test_a_bill_paid_late_is_paid_only_when_the_surcharge_is_paid_too() -> None:
    bill = a_bill(100_000)
    late = date(2025, 8, 25)
    first = receipts.after_receipt(
        bill, receipts.receive_premium(bill, Fen(100_000), late, LAW), LAW
    )
    second = receipts.after_receipt(
        first, receipts.receive_premium(first, Fen(500), late, LAW), LAW
    )

    assert first.state is BillState.ASSESSED
    assert standing(first, date(2025, 12, 31), LAW).surcharge == Fen(500)
    assert second.state is BillState.PAID


def test_surcharge_follows_what_was_unpaid_on_each_day() -> None:
    paid = (Allotment(date(2025, 8, 20), Fen(60_000)),)
    bill = a_bill(100_000, paid)

    # 600.00 for 5 days and 400.00 for 10 days
    assert standing(bill, date(2025, 8, 25), LAW).surcharge == Fen(150 + 200)


def test_a_surcharge_over_a_year_is_simple() -> None:
    bill = a_bill(10_000_00)

    assert standing(bill, date(2026, 8, 15), LAW).surcharge == Fen(182_500)


def test_orders_declared_too_low_bear_surcharge_from_their_own_due_date() -> None:
    own = Due(date(2025, 8, 15), Fen(10_000))
    bill = replace(
        a_bill(0), due=date(2025, 9, 15), dues=(Due(date(2025, 9, 15), Fen(50_000)), own)
    )

    # 31 days on 100.00 although the bill itself is paid in time
    assert standing(bill, date(2025, 9, 15), LAW).surcharge == Fen(155)
    assert standing(bill, date(2025, 9, 15), LAW).arrears == Fen(10_000)


def test_credit_pays_a_bill_without_money() -> None:
    bill = a_bill(
        10_000, areas=(AreaPremium("440100", Fen(4_000)), AreaPremium("440600", Fen(6_000)))
    )

    receipt = receipts.apply_credit(bill, {"440600": Fen(3_000), "442000": Fen(1)}, DUE, LAW)

    assert receipt.amount == Fen(0)
    assert (receipt.premium, receipt.credit) == (Fen(3_001), Fen(-3_001))
    assert total(part.premium for part in receipt.parts) == Fen(3_001)
    assert {part.pooling_area: part.credit for part in receipt.parts} == {
        "440100": Fen(0),
        "440600": Fen(-3_000),
        "442000": Fen(-1),
    }


def test_a_bill_below_zero_becomes_credit_in_its_own_areas() -> None:
    bill = a_bill(-30, areas=(AreaPremium("440100", Fen(10)), AreaPremium("440600", Fen(-40))))

    receipt = receipts.give_credit(bill, DUE)

    assert [(part.premium, part.credit) for part in receipt.parts] == [
        (Fen(10), Fen(-10)),
        (Fen(-40), Fen(40)),
    ]
    assert receipts.after_receipt(bill, receipt, LAW).state is BillState.PAID


def test_no_premium_line_waits_for_a_figure_that_another_stands_in_for() -> None:
    """A line that waited would have to be trued up, as provisional awards are."""
    waiting = [
        name
        for name, parameter in LAW.parameters.items()
        if parameter.fallback is Fallback.PROVISIONAL
    ]

    assert waiting == []


@given(
    st.dates(date(2022, 7, 1), date(2026, 12, 31)),
    st.sampled_from(Industry),
    st.sampled_from(["110105", "310117", "370100", "440100", "510100"]),
    st.sampled_from([None, "1.20"]),
)
def test_a_premium_cites_what_was_in_force_on_the_service_date_in_its_place(
    day: date, industry: Industry, area: str, band: str | None
) -> None:
    """Not the Measures of 2025 for orders of the pilot, nor one province's notice in another."""
    terms = [] if band is None else [a_band(band, date(2022, 7, 1))]
    tally = Tally(PLATFORM, area, industry.value, day, 1000)
    try:
        in_force = rates({tally.key}, terms, law(area))
    except (SchemeNotInForce, BaseNotKnown):
        assume(False)
    (line,) = premium_lines([tally], in_force, DueDates(DUE))

    findings = explain_line(line, Month.of(day))

    assert [finding.outcome for finding in findings] == [Outcome.CALCULATED] * 3
    for finding in findings:
        instrument = finding.provision.held_by
        assert instrument.since <= day, finding.text
        assert instrument.jurisdiction in {NATIONAL, province_of(area)}, finding.text
        for version in finding.parameters:
            for name, each in INSTRUMENTS.items():
                assert name not in version.source or each.since <= day, version
