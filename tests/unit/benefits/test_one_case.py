"""Which claim decides a case, which accident a death belongs to, and which days are left."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.benefits.domain.bills import Bill, require_identified
from services.benefits.domain.case import (
    Case,
    CaseState,
    CauseOfDeath,
    Conclusion,
    Facts,
    facts_of_case,
    leading_case,
)
from services.benefits.domain.death_plan import accident_of_death
from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.law import LAW
from services.benefits.domain.problems import BillNotIdentified, StayGranted
from services.benefits.domain.stays import Days, GrantedStay, days_left
from services.kernel.scheme import AppraisalLevel, CareDependence

DAY = date(2025, 7, 1)
CASE = Case(
    "claims/a",
    CaseState.CONFIRMED,
    "440100",
    2,
    DAY,
    DAY,
    worker="workers/1",
    accident="accidents/1",
)


def test_the_leading_claim_does_not_depend_on_the_order() -> None:
    claims = [
        replace(CASE, claim="claims/merged", determine_date=DAY, merged_into="claims/late"),
        replace(CASE, claim="claims/refused", state=CaseState.REFUSED),
        replace(CASE, claim="claims/late", determine_date=DAY + timedelta(days=9)),
        replace(CASE, claim="claims/early", determine_date=DAY + timedelta(days=5)),
    ]

    assert {leading_case(order).claim for order in permutations(claims)} == {"claims/early"}


def test_the_facts_of_the_other_claims_complete_the_case() -> None:
    graded = Conclusion("appraisals/b", AppraisalLevel.FIRST, 3, CareDependence.NONE, DAY)
    other = replace(CASE, claim="claims/b", death_date=DAY + timedelta(days=30))

    facts = facts_of_case([CASE, other], {"claims/b": [graded]}, {}, {}, {})

    assert (facts.case.claim, facts.case.death_date) == ("claims/a", other.death_date)
    assert facts.conclusions == (graded,)


def test_a_death_is_compensated_from_the_accident_without_a_conclusion() -> None:
    death = DAY + timedelta(days=90)
    graded = Conclusion("appraisals/b", AppraisalLevel.FIRST, 3, CareDependence.NONE, DAY)
    first = Facts(replace(CASE, death_date=death))
    later = Facts(
        replace(
            CASE, accident="accidents/2", accident_date=DAY + timedelta(days=9), death_date=death
        ),
        (graded,),
    )

    assert accident_of_death(LAW, [first, later]) == "accidents/1"
    assert accident_of_death(LAW, [replace(first, conclusions=(graded,)), later]) == "accidents/2"
    assert accident_of_death(LAW, [Facts(CASE)]) == ""


def test_a_death_is_compensated_from_the_accident_that_gives_most() -> None:
    death = DAY + timedelta(days=90)
    severe = Conclusion("appraisals/b", AppraisalLevel.FIRST, 3, CareDependence.NONE, DAY)
    light = replace(severe, grade=9)
    other = CauseOfDeath.OTHER
    first = Facts(replace(CASE, death_date=death), (severe,), cause=other)
    later = replace(
        first, case=replace(first.case, accident="accidents/2", accident_date=DAY), cause=other
    )

    assert accident_of_death(LAW, [first, replace(later, conclusions=(light,))]) == "accidents/1"
    assert accident_of_death(LAW, [first, replace(later, conclusions=())]) == "accidents/1"
    assert (
        accident_of_death(
            LAW, [first, replace(later, conclusions=(light,), cause=CauseOfDeath.INJURY)]
        )
        == "accidents/2"
    )


starts = st.integers(0, 40).map(lambda number: DAY + timedelta(days=number))
stays = st.builds(
    lambda first, count: Days(first, first + timedelta(days=count)), starts, st.integers(0, 12)
)


@given(submitted=st.lists(stays, max_size=12))
def test_each_day_of_all_stays_is_granted_once(submitted: list[Days]) -> None:
    granted: list[GrantedStay] = []
    for number, stay in enumerate(submitted):
        try:
            left, findings = days_left(stay, granted)
        except StayGranted:
            continue
        granted += [GrantedStay(days, f"awards/{number}") for days in left]
        assert bool(findings) == (left != (stay,))

    days = [
        one.days.first + timedelta(days=offset)
        for one in granted
        for offset in range(one.days.count)
    ]
    assert len(days) == len(set(days))
    assert set(days) == {
        stay.first + timedelta(days=offset) for stay in submitted for offset in range(stay.count)
    }


def test_meals_alone_need_neither_a_number_nor_a_document() -> None:
    require_identified(Bill(), BenefitKind.HOSPITAL_MEALS)
    require_identified(Bill(document_hash=bytes(32)), BenefitKind.TRAVEL)
    with pytest.raises(BillNotIdentified):
        require_identified(Bill(), BenefitKind.TRAVEL)
