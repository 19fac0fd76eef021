"""What must hold of premiums whatever the figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from services.kernel.money import Fen, total
from services.kernel.periods import Month
from services.kernel.scheme import Industry
from services.premiums.domain.bills import Allotment, AreaPremium, Bill, BillState, Due
from services.premiums.domain.experience import Experience, refix_band
from services.premiums.domain.law import law
from services.premiums.domain.lines import DueDates, amount, premium_lines
from services.premiums.domain.rates import rates
from services.premiums.domain.receipts import receive_premium
from services.premiums.domain.surcharge import accrued_surcharge
from services.premiums.domain.tallies import Tally
from services.premiums.domain.terms import Term, TermKind

LAW = law("440000")
DUE = date(2025, 8, 15)
FIRST = date(2025, 7, 1)
PLATFORM = "91110108MA01ABCD2H"
BANDS = [Decimal(band) for band in ("0.50", "0.80", "1.00", "1.20", "1.50")]
BASES = [Decimal(base) for base in ("0.01", "0.04", "0.06", "0.07", "0.18", "0.20", "0.25")]

counts = st.integers(0, 10_000_000)
july = st.integers(0, 30).map(lambda n: FIRST + timedelta(days=n))
tallies = st.builds(
    Tally,
    platform=st.just(PLATFORM),
    pooling_area=st.sampled_from(("440100", "440600")),
    industry=st.sampled_from([industry.value for industry in Industry]),
    service_date=july,
    order_count=counts,
)
band_terms = st.lists(
    st.builds(
        Term,
        platform=st.just(PLATFORM),
        kind=st.just(TermKind.BAND),
        since=july,
        value=st.sampled_from(BANDS),
    ),
    max_size=4,
)


def cost(counted: list[Tally], own: list[Term]) -> Fen:
    in_force = rates({tally.key for tally in counted}, own, LAW)
    return total(line.premium for line in premium_lines(counted, in_force, DueDates(DUE)))


@given(counts, counts, st.sampled_from(BASES), st.sampled_from(BANDS))
def test_more_orders_never_cost_less(few: int, more: int, base: Decimal, band: Decimal) -> None:
    assert amount(few, base, band) <= amount(few + more, base, band)


@given(counts, st.sampled_from(BASES))
def test_a_higher_band_never_costs_less(count: int, base: Decimal) -> None:
    premiums = [amount(count, base, band) for band in BANDS]

    assert premiums == sorted(premiums)


@given(counts, st.sampled_from(BASES), st.sampled_from(BANDS))
def test_orders_taken_back_cost_exactly_what_they_had_cost(
    count: int, base: Decimal, band: Decimal
) -> None:
    assert amount(-count, base, band) == -amount(count, base, band)


@given(st.lists(tallies, min_size=1, max_size=20), band_terms, st.randoms())
def test_the_order_in_which_tallies_come_changes_nothing(
    counted: list[Tally], own: list[Term], chance: object
) -> None:
    shuffled = list(counted)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    assert cost(shuffled, own) == cost(counted, own)


@given(st.lists(tallies, min_size=1, max_size=20), july)
def test_splitting_a_month_by_a_term_that_changes_nothing_changes_nothing(
    counted: list[Tally], day: date
) -> None:
    neutral = Term(PLATFORM, TermKind.BAND, day, Decimal("1.00"))

    assert cost(counted, [neutral]) == cost(counted, [])


@given(st.lists(tallies, min_size=1, max_size=20), july)
def test_billing_a_month_in_two_parts_moves_no_line_by_more_than_one_fen(
    counted: list[Tally], day: date
) -> None:
    before = [tally for tally in counted if tally.service_date < day]
    after = [tally for tally in counted if tally.service_date >= day]
    lines = {tally.key for tally in counted}

    difference = cost(before, []) + cost(after, []) - cost(counted, [])

    assert abs(difference.count) <= len(lines)


@given(
    st.integers(1, 10**12),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 10**11)), max_size=6),
    st.integers(0, 400),
)
def test_surcharge_grows_from_day_to_day_and_never_compounds(
    premium: int, payments: list[tuple[int, int]], days: int
) -> None:
    left = premium
    paid = []
    for offset, fen in sorted(payments):
        taken = min(left, fen)
        left -= taken
        paid.append(Allotment(DUE + timedelta(days=offset), Fen(taken)))
    rate = Decimal("0.0005")

    def accrued(day: date) -> Fen:
        until = [row for row in paid if row.day <= day]
        return accrued_surcharge([Due(DUE, Fen(premium))], until, day, rate)[0]

    day = DUE + timedelta(days=days)
    most = Fen(premium).times(rate * days)
    assert Fen(0) <= accrued(day) <= most
    assert accrued(day) <= accrued(day + timedelta(days=1))


@given(
    st.lists(st.integers(-50, 1_000_000), min_size=1, max_size=8).filter(lambda fen: sum(fen) > 0),
    st.lists(st.integers(1, 500_000), min_size=1, max_size=8),
)
def test_receipts_are_shared_without_remainder_and_clear_each_area(
    premiums: list[int], amounts: list[int]
) -> None:
    areas = {f"4401{n:02}": fen for n, fen in enumerate(premiums)}
    received = dict.fromkeys(areas, 0)
    whole = sum(premiums)
    bill = Bill(PLATFORM, Month(2025, 7), DUE, BillState.ASSESSED, 1, (Due(DUE, Fen(whole)),), ())
    paid: tuple[Allotment, ...] = ()
    for fen_received in [*amounts, whole]:
        shares = tuple(
            AreaPremium(area, Fen(fen), Fen(received[area])) for area, fen in areas.items()
        )
        now = replace(bill, areas=shares, allotments=paid)
        receipt = receive_premium(now, Fen(fen_received), DUE, LAW)
        paid = (*paid, receipt.allotment)
        for part in receipt.parts:
            received[part.pooling_area] += part.premium.count
        assert receipt.amount == Fen(fen_received)
        assert total(part.premium for part in receipt.parts) == receipt.premium
        assert total(part.surcharge for part in receipt.parts) == receipt.surcharge
        assert total(part.credit for part in receipt.parts) == receipt.credit

    assert received == areas


@given(
    st.sampled_from(BANDS),
    st.integers(1, 10**10),
    st.integers(0, 10**11),
    st.booleans(),
)
def test_a_band_moves_by_at_most_one_step_and_follows_the_loss_ratio(
    current: Decimal,
    premium: int,
    benefit: int,
    lift: bool,
) -> None:
    def refixed(charged: int) -> Decimal:
        past = Experience(PLATFORM, Fen(premium), Fen(charged), 12, 1_000_000, lift)
        return refix_band(current, past, 2027, LAW)[0]

    fixed = refixed(benefit)

    assert abs(BANDS.index(fixed) - BANDS.index(current)) <= 1
    assert fixed <= refixed(benefit + premium)
    if not lift and Fraction(benefit, premium) >= Fraction(6, 5):
        assert fixed >= current
