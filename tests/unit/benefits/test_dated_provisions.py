"""What an award cites was in force on the day of the accident."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.benefits.domain.case import Case, CaseState, Conclusion, Facts
from services.benefits.domain.figures import AwaitedFigure, earliest
from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.law import LAW
from services.benefits.domain.payments import due
from services.benefits.domain.plan import entitlements
from services.benefits.domain.reconciliation import PaidAward, reconcile
from services.benefits.domain.recovery import fraud_fine, set_off_finding
from services.kernel.instruments import INSTRUMENTS
from services.kernel.law import Finding
from services.kernel.lawbook import Law
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.scheme import AppraisalLevel, CareDependence, Relation, Survivor

FAR = date(2200, 1, 1)
CHILD = Survivor("child-1", Relation.CHILD, date(2019, 2, 28))
CARE = list(CareDependence)


def facts_of(
    accident: date, grade: int, care: CareDependence, death: date | None, where: str
) -> Facts:
    case = Case(
        claim="claims/c1",
        state=CaseState.CONFIRMED,
        pooling_area=where,
        industry=2,
        accident_date=accident,
        determine_date=accident + timedelta(days=19),
        death_date=death,
        survivors=(CHILD,) if death else (),
    )
    day = accident + timedelta(days=150)
    return Facts(case, (Conclusion("appraisals/a1", AppraisalLevel.FIRST, grade, care, day),))


@given(
    st.dates(date(2022, 7, 1), date(2025, 6, 30)),
    st.integers(1, 10),
    st.sampled_from(CARE),
    st.sampled_from([None, 0, 40, 600]),
    st.sampled_from(["440100", "110105", "310117", "510100"]),
)
def test_no_award_cites_an_instrument_younger_than_the_accident(
    accident: date, grade: int, care: CareDependence, days_to_death: int | None, where: str
) -> None:
    death = None if days_to_death is None else accident + timedelta(days=days_to_death)
    for entitlement in entitlements(LAW, facts_of(accident, grade, care, death, where), FAR):
        require_in_force(entitlement.findings, accident)


def require_in_force(findings: Iterable[Finding], accident: date) -> None:
    for finding in findings:
        assert finding.provision.held_by.since <= accident, finding.text
        for version in finding.parameters:
            for name, instrument in INSTRUMENTS.items():
                assert name not in version.source or instrument.since <= accident, version


@given(
    st.dates(date(2022, 7, 1), date(2025, 6, 30)),
    st.permutations(range(1, 11)),
    st.sampled_from(CARE),
    st.sampled_from([None, 40, 600]),
    st.sampled_from(["440100", "110105", "510100"]),
)
def test_what_comes_back_and_what_is_paid_besides_cite_none_either(
    accident: date,
    grades: list[int],
    care: CareDependence,
    days_to_death: int | None,
    where: str,
) -> None:
    """Also where the worker died after 30 June 2025: the accident chooses, not the death."""
    death = None if days_to_death is None else accident + timedelta(days=days_to_death)
    before = facts_of(accident, grades[0], care, None, where)
    after = facts_of(accident, grades[1], CareDependence.NONE, death, where)
    month = Month.of(accident).plus(12)
    granted = reconcile(
        before.case, entitlements(LAW, before, FAR), [], Month.of(accident), ""
    ).grant
    paid = [
        PaidAward(one, {each.month: each.amount for each in due([one], {}, set(), month)})
        for one in granted
    ]

    changes = reconcile(after.case, entitlements(LAW, after, FAR), paid, month.plus(1), "later")

    for award in (*changes.grant, *changes.change):
        require_in_force(award.findings, accident)
    for recovery in changes.recover:
        require_in_force(recovery.findings, accident)


@given(st.dates(date(2022, 7, 1), date(2026, 6, 30)))
def test_a_fine_for_fraud_and_a_set_off_cite_none_either(accident: date) -> None:
    *_, fine = fraud_fine(LAW, accident, "440100", Fen(100), accident=accident)
    taken = set_off_finding(LAW, accident, "440100", Fen(100), Fen(50), accident=accident)

    assert fine.provision.held_by.since <= accident
    require_in_force([taken], accident)


@given(
    accident=st.dates(date(2022, 7, 1), date(2026, 6, 30)),
    grade=st.integers(1, 10),
    care=st.sampled_from(CARE),
    days_to_death=st.sampled_from([None, 0, 40, 600]),
    where=st.sampled_from(["440100", "110105", "310117", "510100"]),
    days_known=st.integers(0, 400),
)
def test_each_figure_that_an_award_waits_for_is_said_in_a_finding(
    *,
    accident: date,
    grade: int,
    care: CareDependence,
    days_to_death: int | None,
    where: str,
    days_known: int,
) -> None:
    death = None if days_to_death is None else accident + timedelta(days=days_to_death)
    facts = facts_of(accident, grade, care, death, where)
    known = accident + timedelta(days=150 + days_known)
    for entitlement in entitlements(LAW, facts, known):
        for figure in entitlement.awaits:
            stand_in = figure.stand_in.partition("@")[0]
            said = [
                finding
                for finding in entitlement.findings
                if "not published" in finding.text
                and any(version.name == stand_in for version in finding.parameters)
            ]
            assert said, (entitlement.kind, figure)


@pytest.mark.parametrize(
    ("accident", "where", "provisional"),
    [
        (date(2024, 5, 29), "110105", False),
        (date(2024, 5, 29), "440600", True),
        (date(2025, 7, 10), "110105", True),
    ],
)
def test_an_award_on_a_figure_that_stands_in_is_provisional_and_says_so(
    accident: date, where: str, *, provisional: bool
) -> None:
    (grant,) = entitlements(LAW, facts_of(accident, 9, CareDependence.NONE, None, where), FAR)

    assert grant.kind is BenefitKind.DISABILITY_GRANT
    assert bool(grant.awaits) == provisional
    texts = " ".join(finding.text for finding in grant.findings)
    assert ("a national figure, because the area's own is not published" in texts) == provisional


def test_the_areas_own_figure_makes_the_award_final_and_trues_it_up() -> None:
    facts = facts_of(date(2025, 7, 10), 9, CareDependence.NONE, None, "440100")
    national = LAW.parameters["average_wage"]
    own = replace(
        national.values[-1],
        since=date(2025, 1, 1),
        jurisdiction="440100",
        published=date(2026, 1, 20),
        value="84000",
    )
    parameters = dict(LAW.parameters)
    parameters["average_wage"] = replace(national, values=(*national.values, own))
    law = Law(parameters)

    (before,) = entitlements(law, facts, date(2026, 1, 19))
    (after,) = entitlements(law, facts, date(2026, 1, 20))

    assert before.awaits == (
        AwaitedFigure(
            "average_wage", "440100", date(2025, 7, 10), "average_wage@CN@2025-01-01=69476"
        ),
    )
    assert after.awaits == ()
    assert (before.segments[0].amount, after.segments[0].amount) == (
        Fen(347_380 * 9),
        Fen(420_000 * 9),
    )


def test_a_provinces_wage_stands_in_for_that_of_its_area_and_says_so() -> None:
    """A made-up wage of Jiangsu (320000), then one of Nanjing (320100), both of 2022."""
    facts = facts_of(date(2023, 2, 10), 9, CareDependence.NONE, None, "320100")
    wages = LAW.parameters["all_employee_wage"]
    of_province, of_area = (
        replace(
            wages.values[0],
            since=date(2023, 1, 1),
            jurisdiction=place,
            published=published,
            value=value,
        )
        for place, published, value in (
            ("320000", date(2023, 8, 1), "10000"),
            ("320100", date(2023, 9, 1), "11000"),
        )
    )
    values = (*wages.values, of_province, of_area)
    law = Law({**LAW.parameters, "all_employee_wage": replace(wages, values=values)})

    (early,) = entitlements(law, facts, date(2023, 7, 31))
    (provisional,) = entitlements(law, facts, date(2023, 8, 1))
    (final,) = entitlements(law, facts, date(2023, 9, 1))

    (waits_first,), (waits_then,) = early.awaits, provisional.awaits
    assert waits_first.stand_in == "average_wage@CN@2023-01-01=65237"
    assert waits_first.is_outdated(law, date(2023, 8, 1))
    assert not waits_first.is_published(law, date(2023, 8, 1))
    assert waits_then.stand_in == "all_employee_wage@320000@2023-01-01=10000"
    assert final.awaits == ()
    assert [each.segments[0].amount for each in (provisional, final)] == [
        Fen(600_000 * 9),
        Fen(660_000 * 9),
    ]
    texts = " ".join(finding.text for finding in provisional.findings)
    assert "the province's figure, because the area's own is not published" in texts


def test_an_award_waits_for_each_figure_that_another_one_stands_in_for() -> None:
    """Of the days for which the same figure stands in, the first one is kept."""

    def waiting_for(day: date, stand_in: str) -> AwaitedFigure:
        return AwaitedFigure("average_wage", "440100", day, stand_in)

    of_2025 = "average_wage@CN@2025-01-01=69476"
    of_2026 = "average_wage@CN@2026-01-01=71590"
    figures = [
        waiting_for(date(2026, 1, 1), of_2026),
        waiting_for(date(2025, 9, 1), of_2025),
        waiting_for(date(2025, 7, 10), of_2025),
    ]

    assert earliest(figures) == (
        waiting_for(date(2025, 7, 10), of_2025),
        waiting_for(date(2026, 1, 1), of_2026),
    )
    assert [AwaitedFigure.parse(str(figure)) for figure in figures] == figures


@pytest.mark.parametrize(
    ("stand_in", "known", "outdated"),
    [
        ("average_wage@CN@2024-01-01=68340", date(2025, 5, 15), False),
        ("average_wage@CN@2024-01-01=68340", date(2025, 5, 16), True),
        ("average_wage@CN@2025-01-01=69476", date(2026, 7, 1), False),
    ],
)
def test_another_stand_in_is_a_reason_to_plan_again_but_not_the_figure_waited_for(
    stand_in: str, known: date, *, outdated: bool
) -> None:
    """The national wages of 2023 and 2024; the latter is published on 2025-05-16."""
    figure = AwaitedFigure("average_wage", "440100", date(2025, 3, 1), stand_in)

    assert figure.is_outdated(LAW, known) == outdated
    assert not figure.is_published(LAW, known)
