"""What must hold whatever the facts are."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from services.benefits.domain import disability, survivors
from services.benefits.domain.award import LIFECYCLE, Award, State, award_id
from services.benefits.domain.benefit_base import benefit_base
from services.benefits.domain.case import Case, CaseState, Conclusion, Facts
from services.benefits.domain.entitlement import Entitlement
from services.benefits.domain.kinds import PERIODIC, BenefitKind
from services.benefits.domain.law import LAW
from services.benefits.domain.payments import due
from services.benefits.domain.plan import entitlements
from services.benefits.domain.reconciliation import Changes, PaidAward, reconcile
from services.benefits.domain.recovery import set_off
from services.benefits.domain.segments import amount_in
from services.kernel.lifecycle import TransitionNotAllowed
from services.kernel.money import ZERO, Fen, total
from services.kernel.periods import Month
from services.kernel.scheme import AppraisalLevel, CareDependence, Relation, Survivor

README = Path(__file__).parents[3] / "services" / "benefits" / "README.md"
LATE = date(2027, 1, 1)
areas = st.sampled_from(["440100", "310115", "110105", "510100", "500109", "320100"])
days = st.dates(date(2022, 7, 1), date(2026, 6, 30))
grades = st.integers(1, 10)
shares = st.sampled_from([Decimal("0.3"), Decimal("0.4"), Decimal("0.5")])


def paid_in(entitlement: Entitlement, month: Month) -> Fen:
    return amount_in(entitlement.segments, entitlement.last_month, month)


@given(day=days, area=areas, grade=st.integers(1, 9))
def test_a_worse_grade_never_pays_less(day: date, area: str, grade: int) -> None:
    base = benefit_base(LAW, day, area, LATE)
    month = Month.of(day).plus(3)

    def grant(of: int) -> Fen:
        return disability.disability_grant(LAW, base, of, day, area).amount

    def allowance(of: int) -> Fen:
        return disability.disability_allowance(
            LAW, base, of, day, where=area, month=month, known=LATE
        ).amount

    assert grant(grade) > grant(grade + 1)
    assert allowance(grade) >= allowance(grade + 1)


@given(day=days, area=areas, grade=st.integers(1, 9))
def test_a_worse_grade_never_pays_less_over_eight_years(day: date, area: str, grade: int) -> None:
    def paid(of: int) -> Fen:
        case = Case("claims/c", CaseState.CONFIRMED, area, 2, day, day)
        concluded = Conclusion("a", AppraisalLevel.FIRST, of, CareDependence.NONE, day)
        planned = entitlements(LAW, Facts(case, (concluded,)), LATE)
        months = list(Month.of(day).until(Month.of(day).plus(96)))
        return total(paid_in(one, month) for one in planned for month in months)

    assert paid(grade) > paid(grade + 1)


@given(day=days, area=areas, care=st.sampled_from([CareDependence.MAJOR, CareDependence.FULL]))
def test_more_dependence_on_care_pays_more(day: date, area: str, care: CareDependence) -> None:
    base = benefit_base(LAW, day, area, LATE)
    less = CareDependence(care.value - 1)

    more = disability.care_allowance(LAW, base, care, day, area).amount

    assert more > disability.care_allowance(LAW, base, less, day, area).amount


@given(base=st.integers(1, 2_000_000).map(Fen), parts=st.lists(shares, min_size=1, max_size=12))
def test_survivors_together_never_pass_the_cap(base: Fen, parts: list[Decimal]) -> None:
    amounts = survivors.amounts(base, parts, Decimal("1.00"))

    assert total(amounts) <= base
    assert min(amounts) >= ZERO
    for one, part in zip(amounts, parts, strict=True):
        for other, its in zip(amounts, parts, strict=True):
            if part > its:
                assert one >= other
            if part == its:
                assert abs(one.count - other.count) <= 1


people = st.lists(
    st.builds(
        Survivor,
        survivor_id=st.integers(1, 99).map(str),
        relation=st.sampled_from(Relation),
        birth_date=st.dates(date(1930, 1, 1), date(2025, 12, 31)),
        male=st.booleans(),
        totally_disabled=st.booleans(),
        alone=st.booleans(),
    ),
    max_size=6,
    unique_by=lambda one: one.survivor_id,
).map(tuple)


@given(day=days, named=people, area=st.sampled_from(["440100", "320100"]))
def test_the_pensions_of_a_month_never_pass_the_cap(
    day: date, named: tuple[Survivor, ...], area: str
) -> None:
    case = Case("claims/c", CaseState.CONFIRMED, area, 2, day, day, day, named)
    planned = entitlements(LAW, Facts(case), LATE)
    base = benefit_base(LAW, day, area, LATE).benefit_base

    pensions = [one for one in planned if one.kind is BenefitKind.SURVIVOR_PENSION]
    for months in range(0, 480, 7):
        month = Month.of(day).plus(months)
        assert total(paid_in(one, month) for one in pensions) <= base


conclusions = st.lists(
    st.builds(
        Conclusion,
        appraisal=st.integers(1, 9).map(str),
        level=st.sampled_from(AppraisalLevel),
        grade=st.integers(0, 10),
        care=st.sampled_from(CareDependence),
        conclude_date=st.dates(date(2023, 1, 1), date(2026, 1, 1)),
    ),
    max_size=4,
    unique_by=lambda one: (one.conclude_date, one.level),
).map(tuple)


@given(concluded=conclusions, late=st.booleans(), named=people, area=areas)
def test_plans_name_each_month_of_an_award_once(
    concluded: tuple[Conclusion, ...],
    late: bool,
    named: tuple[Survivor, ...],
    area: str,
) -> None:
    day = date(2022, 12, 1)
    death = date(2026, 3, 1) if late else None
    case = Case("claims/c", CaseState.CONFIRMED, area, 2, day, day, death, named)

    planned = entitlements(LAW, Facts(case, concluded), LATE)

    keys = [(one.kind, one.beneficiary) for one in planned]
    assert len(keys) == len(set(keys))
    for entitlement in planned:
        starts = [segment.since for segment in entitlement.segments]
        assert starts == sorted(set(starts))
        assert entitlement.last_month is None or starts[-1] <= entitlement.last_month
        assert entitlement.kind in PERIODIC or entitlement.last_month == entitlement.first_month
        assert entitlement.findings
        assert all(finding.text and finding.text_zh for finding in entitlement.findings)


@given(concluded=conclusions, shuffled=st.randoms(use_true_random=False))
def test_the_order_in_which_conclusions_arrive_does_not_matter(
    concluded: tuple[Conclusion, ...], shuffled: Random
) -> None:
    day = date(2022, 12, 1)
    case = Case("claims/c", CaseState.CONFIRMED, "440100", 2, day, day)
    other = list(concluded)
    shuffled.shuffle(other)

    assert entitlements(LAW, Facts(case, tuple(other)), LATE) == entitlements(
        LAW, Facts(case, concluded), LATE
    )


@given(first=conclusions, second=conclusions, months=st.integers(0, 60), revoked=st.booleans())
def test_corrections_close_the_gap_and_then_rest(
    first: tuple[Conclusion, ...],
    second: tuple[Conclusion, ...],
    months: int,
    revoked: bool,
) -> None:
    day = date(2022, 12, 1)
    case = Case("claims/c", CaseState.CONFIRMED, "440100", 2, day, day)
    until = Month.of(day).plus(months)
    granted = reconcile(case, entitlements(LAW, Facts(case, first), LATE), [], until, "").grant
    paid_awards = [_paid(one, until) for one in granted]
    after = replace(case, state=CaseState.REVOKED if revoked else CaseState.CONFIRMED)
    planned = entitlements(LAW, Facts(after, second), LATE)

    paid_awards = _applied(
        paid_awards, reconcile(after, planned, paid_awards, until.plus(1), "later")
    )
    again = reconcile(after, planned, paid_awards, until.plus(1), "later")

    assert (again.grant, again.change, again.recover) == ((), (), ())
    # All that is granted, less what comes back, is what the plan gives for the months paid.
    for paid in paid_awards:
        if paid.award.adjusts:
            continue
        corrections = [it.award.amount for it in paid_awards if it.award.adjusts == paid.award.id]
        owed = total(paid.award.amount_in(month) for month in paid.paid)
        assert paid.paid_sum + total(corrections) - paid.recovered == owed


def _paid(award: Award, until: Month) -> PaidAward:
    payments = due([award], {}, set(), until)
    return PaidAward(award, {one.month: one.amount for one in payments})


def _applied(paid_awards: list[PaidAward], changes: Changes) -> list[PaidAward]:
    changed = {award.id: award for award in changes.change}
    marked = {recovery.award: recovery.amount for recovery in changes.recover}
    kept = [
        replace(
            paid,
            award=changed.get(paid.award.id, paid.award),
            recovered=paid.recovered + marked.get(paid.award.id, ZERO),
            recovery_count=paid.recovery_count + (paid.award.id in marked),
        )
        for paid in paid_awards
    ]
    return [*kept, *(PaidAward(award) for award in changes.grant)]


@given(first=conclusions, months=st.integers(0, 60))
def test_a_determination_withdrawn_and_made_again_leaves_nothing_owed(
    first: tuple[Conclusion, ...], months: int
) -> None:
    day = date(2022, 12, 1)
    case = Case("claims/c", CaseState.CONFIRMED, "440100", 2, day, day)
    until = Month.of(day).plus(months)
    planned = entitlements(LAW, Facts(case, first), LATE)
    before = [_paid(one, until) for one in reconcile(case, planned, [], until, "").grant]
    revoked = replace(case, state=CaseState.REVOKED)

    paid_awards = _applied(before, reconcile(revoked, [], before, until.plus(1), "withdrawn"))
    again = reconcile(case, planned, paid_awards, until.plus(1), "determination")
    paid_awards = _applied(paid_awards, again)

    assert again.grant == ()
    assert total(one.recovered for one in paid_awards) == ZERO
    assert [one.award.segments for one in paid_awards] == [one.award.segments for one in before]


@given(
    payments=st.lists(st.integers(1, 10**7).map(Fen), max_size=8),
    owed=st.integers(0, 10**7).map(Fen),
)
def test_a_set_off_never_takes_more_than_half_nor_more_than_owed(
    payments: list[Fen], owed: Fen
) -> None:
    splits = set_off(payments, owed, Decimal("0.5"))

    assert total(one.withheld for one in splits) <= owed
    for split, payment in zip(splits, payments, strict=True):
        assert split.withheld + split.paid == payment
        assert split.withheld.count * 2 <= payment.count


@given(events=st.lists(st.sampled_from(sorted(LIFECYCLE.table))))
def test_no_walk_of_events_leaves_the_lifecycle(events: list[str]) -> None:
    state = State.IN_PAYMENT
    for event in events:
        try:
            state = LIFECYCLE.after(state, event)
        except TransitionNotAllowed:
            continue
        assert state in State


@given(claim=st.from_regex(r"[a-z0-9]{1,40}", fullmatch=True), who=st.text("ab-", min_size=1))
def test_award_ids_derive_from_what_they_are_for_and_fit_a_name(claim: str, who: str) -> None:
    first = award_id(f"claims/{claim}", BenefitKind.DISABILITY_SETTLEMENT, who)

    assert first == award_id(f"claims/{claim}", BenefitKind.DISABILITY_SETTLEMENT, who)
    assert len(first) <= 63
    assert first != award_id(f"claims/{claim}", BenefitKind.DISABILITY_SETTLEMENT, f"{who}a")


def test_a_conclusion_on_the_day_of_death_does_not_count_as_before_it() -> None:
    day = date(2025, 7, 1)
    concluded = Conclusion(
        "a", AppraisalLevel.FIRST, 9, CareDependence.NONE, day + timedelta(days=1)
    )
    case = Case("claims/c", CaseState.CONFIRMED, "440100", 2, day, day, day + timedelta(days=1))

    planned = entitlements(LAW, Facts(case, (concluded,)), LATE)

    assert [one.kind.name for one in planned] == ["FUNERAL_GRANT", "DEATH_GRANT"]


@given(concluded=conclusions, first=st.integers(0, 40), second=st.integers(0, 40))
def test_two_runs_pay_what_one_later_run_would(
    concluded: tuple[Conclusion, ...], first: int, second: int
) -> None:
    day = date(2022, 12, 1)
    case = Case("claims/c", CaseState.CONFIRMED, "440100", 2, day, day)
    planned = entitlements(LAW, Facts(case, concluded), LATE)
    awards = reconcile(case, planned, [], Month.of(day), "").grant
    early, late = sorted((Month.of(day).plus(first), Month.of(day).plus(second)))

    one = due(awards, {}, set(), early)
    two = due(awards, {}, {(paid.award, paid.month) for paid in one}, late)

    whole = due(awards, {}, set(), late)
    assert sorted([*one, *two], key=lambda paid: (paid.award, paid.month)) == whole


def test_the_readme_shows_the_lifecycle_that_the_program_walks() -> None:
    assert LIFECYCLE.diagram() in README.read_text(encoding="utf-8")
