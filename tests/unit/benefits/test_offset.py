"""A sum that is taken off monthly amounts is taken off to the fen, and never more of a month."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from services.benefits.domain.case import Case, CaseState, Conclusion, Facts
from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.law import LAW
from services.benefits.domain.plan import entitlements
from services.benefits.domain.segments import Segment, amount_in, less, merge
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.scheme import AppraisalLevel, CareDependence

FIRST = Month(2025, 9)
FAR = date(2200, 1, 1)
lines = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5_000)), min_size=1, max_size=5).map(
    lambda rows: merge(
        [
            Segment(FIRST, Fen(rows[0][1]), ""),
            *(Segment(FIRST.plus(after), Fen(amount), "") for after, amount in rows),
        ]
    )
)


@settings(deadline=None)
@given(lines, st.integers(0, 100_000), st.integers(0, 70), st.sampled_from(["0.5", "0.3", "1"]))
def test_what_is_owed_is_taken_off_month_by_month_within_the_cap(
    line: tuple[Segment, ...], owed: int, after: int, cap: str
) -> None:
    since = FIRST.plus(after)

    reduced = less(line, Fen(owed), since, Decimal(cap), "less")

    left = owed
    for month in FIRST.until(FIRST.plus(200)):
        plain = amount_in(line, None, month).count
        taken = plain - amount_in(reduced, None, month).count
        most = int(plain * Decimal(cap)) if month >= since else 0
        assert taken == min(left, most), month
        left -= taken


@settings(deadline=None)
@given(st.integers(5, 6), st.integers(1, 4), st.dates(date(2026, 9, 1), date(2029, 12, 31)))
def test_the_one_off_sum_and_the_allowance_together_give_the_larger_of_the_two(
    light: int, severe: int, reviewed: date
) -> None:
    """By one rule in both directions, over eighty years at the amounts of today."""
    case = Case("claims/c", CaseState.CONFIRMED, "440100", 2, date(2025, 7, 1), date(2025, 7, 20))

    def paid(first: int, second: int) -> tuple[int, int]:
        concluded = [
            Conclusion("a", AppraisalLevel.FIRST, first, CareDependence.NONE, date(2025, 8, 3)),
            Conclusion("b", AppraisalLevel.REVIEW, second, CareDependence.NONE, reviewed),
        ]
        planned = {one.kind: one for one in entitlements(LAW, Facts(case, tuple(concluded)), FAR)}
        allowance = planned[BenefitKind.DISABILITY_ALLOWANCE]
        months = allowance.first_month.until(FIRST.plus(960))
        sums = (amount_in(allowance.segments, allowance.last_month, month) for month in months)
        settlement = planned.get(BenefitKind.DISABILITY_SETTLEMENT)
        return sum(one.count for one in sums), settlement.amount.count if settlement else 0

    allowance, settlement = paid(severe, light)
    whole = entitlements(
        LAW,
        Facts(
            case,
            (Conclusion("a", AppraisalLevel.FIRST, light, CareDependence.NONE, date(2025, 8, 3)),),
        ),
        FAR,
    )[1].amount.count
    assert allowance + settlement == max(allowance, whole)
    reduced, paid_before = paid(light, severe)
    months = Month.of(reviewed).plus(1).until(FIRST.plus(960))
    share = LAW.on("disability_allowance_share", case.accident_date).at(f"grade_{severe}")
    plain = Fen(347_380).times(share).count * sum(1 for _ in months)
    assert paid_before == whole
    assert reduced + paid_before == max(plain, whole)
