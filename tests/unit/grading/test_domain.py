"""Grading: what holds for all sets of injuries, panels and ways through the lifecycle."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.grading.domain import applications, conclusions, procedure
from services.grading.domain.appraisals import (
    LIFECYCLE,
    Applicant,
    Application,
    Appraisal,
    Cause,
    Injury,
    State,
)
from services.grading.domain.care import CareItem, care_dependence
from services.grading.domain.grades import Impairment, combine, grade_of, severity
from services.grading.domain.law import law_in
from services.grading.domain.panels import Opinion, Specialist, decide, draw_panel
from services.grading.domain.problems import AppraisalChanged, AppraisalDeferred
from services.grading.domain.standard import standard_on
from services.grading.domain.times import Days
from services.kernel.law import Outcome
from services.kernel.lifecycle import TransitionNotAllowed
from services.kernel.scheme import AppraisalLevel, CareDependence
from services.runtime.base.holidays import work_calendar

DAY = date(2025, 9, 1)
LAW = law_in("440100")
DAYS = Days(LAW, DAY, work_calendar())
INJURY = Injury("claims/c1", 2, appraisable=True, accident_date=date(2025, 7, 10))
STANDARD, _ = standard_on(LAW, DAY)
ITEMS = sorted(STANDARD.items)
EXTENTS = [choice.code for choice in STANDARD.families["PARALYSIS"].measures[0].choices]
ACUITIES = ["removed", "no_light", "light", *(f"{n / 100:.2f}" for n in range(1, 151))]
README = Path(__file__).parents[3] / "services" / "grading" / "README.md"

grades = st.lists(st.integers(0, 10), max_size=6)
care_items = st.frozensets(st.sampled_from(CareItem))


@given(grades, st.integers(0, 10))
def test_one_more_injury_never_gives_a_better_grade(injuries: list[int], added: int) -> None:
    assert _severity([*injuries, added]) >= _severity(injuries)


@given(grades, st.integers(0, 5), st.integers(0, 10))
def test_a_worse_injury_never_gives_a_better_grade(
    injuries: list[int], position: int, other: int
) -> None:
    if not injuries:
        return
    index = position % len(injuries)
    worse = other if severity(other) >= severity(injuries[index]) else injuries[index]

    assert _severity([*injuries[:index], worse, *injuries[index + 1 :]]) >= _severity(injuries)


@given(grades)
def test_several_injuries_raise_the_worst_by_one_at_most(injuries: list[int]) -> None:
    worst = max((severity(grade) for grade in injuries), default=0)

    assert worst <= _severity(injuries) <= min(10, worst + 1)


@given(grades, st.randoms(use_true_random=False))
def test_the_order_of_injuries_does_not_matter(injuries: list[int], random: Random) -> None:
    mixed = random.sample(injuries, len(injuries))

    assert combine(mixed, LAW, DAY).grade == combine(injuries, LAW, DAY).grade


@given(st.lists(st.sampled_from(ITEMS), max_size=4), st.sampled_from(ITEMS))
def test_one_more_item_never_gives_a_better_grade(items: list[str], added: str) -> None:
    assert _severity_of_items([*items, added]) >= _severity_of_items(items)


@given(st.decimals(0, 100, places=1), st.decimals(0, 100, places=1))
def test_more_scars_never_give_a_better_grade(measure: object, other: object) -> None:
    less, more = sorted([measure, other])  # type: ignore[type-var]

    assert _measured("SCARS", area=more) >= _measured("SCARS", area=less)


@pytest.mark.parametrize("extent", EXTENTS)
def test_less_strength_never_gives_a_better_grade(extent: str) -> None:
    severities = [_measured("PARALYSIS", extent=extent, strength=strength) for strength in range(6)]

    assert severities == sorted(severities, reverse=True)


@given(*(st.sampled_from(ACUITIES) for _ in range(3)))
def test_a_worse_eye_never_gives_a_better_grade(eye: str, other: str, worse: str) -> None:
    before, after = sorted([other, worse], key=ACUITIES.index, reverse=True)

    severities = [
        _measured("EYES", left_eye_acuity=eye, right_eye_acuity=acuity)
        for acuity in (before, after)
    ]

    assert severities == sorted(severities)


@given(care_items, st.sampled_from(CareItem))
def test_one_more_thing_that_cannot_be_done_is_never_less_care(
    cannot: frozenset[CareItem], added: CareItem
) -> None:
    more, _ = care_dependence(cannot | {added}, LAW, DAY)
    less, _ = care_dependence(cannot, LAW, DAY)

    assert more.value >= less.value


@given(st.lists(st.tuples(st.sampled_from(ITEMS), care_items), min_size=5, max_size=5))
def test_a_panel_decides_within_its_opinions_and_by_its_majority(
    views: list[tuple[str, frozenset[CareItem]]],
) -> None:
    panel = _pool(5)
    opinions = [
        Opinion(member.name, (Impairment(item),), cannot)
        for member, (item, cannot) in zip(panel, views, strict=True)
    ]

    decision = decide(panel, opinions, AppraisalLevel.FIRST, LAW, DAY)

    votes = [STANDARD.items[item].grade for item, _ in views]
    assert min(votes) <= decision.grade <= max(votes)
    (commonest, count), *_ = Counter(votes).most_common()
    if count > len(panel) / 2:
        assert decision.grade == commonest


def test_dissent_stands_in_the_findings() -> None:
    panel = _pool(3)
    opinions = [
        Opinion(member.name, (Impairment(item),), frozenset())
        for member, item in zip(panel, ("9.23", "9.23", "8.13"), strict=True)
    ]

    decision = decide(panel, opinions, AppraisalLevel.FIRST, LAW, DAY)

    dissent = [
        dict(finding.outputs)["dissent"] for finding in decision.findings if finding.outputs[1:]
    ]
    assert "specialists/s002: 8" in dissent[0]
    assert decision.grade == 9


def test_every_specialist_is_as_likely_to_be_drawn() -> None:
    pool = _pool(6)

    drawn: Counter[str] = Counter()
    for number in range(2000):
        panel, _ = draw_panel(pool, 3, (), LAW, DAY, seed=number.to_bytes(2))
        drawn.update(member.id for member in panel)

    assert len(drawn) == 6
    assert all(900 < count < 1100 for count in drawn.values())


def test_a_conclusion_explains_itself_in_both_languages() -> None:
    concluded = _concluded()

    assert concluded.state is State.CONCLUDED
    assert (concluded.grade, concluded.care_dependence) == (8, CareDependence.PARTIAL)
    assert all(finding.text.endswith(".") for finding in concluded.findings)
    assert all(finding.text_zh.endswith("。") for finding in concluded.findings)
    applied = {str(finding.provision) for finding in concluded.findings}
    assert {"GB/T 16180-2014 5.9.2(23)", "GB/T 16180-2014 4.2", "GB/T 16180-2014 4.1.5"} <= applied


def test_a_conclusion_before_the_usual_healing_time_is_left_to_a_person() -> None:
    (stable,) = [
        finding for finding in _concluded().findings if finding.provision.article == "第二十一条"
    ]

    assert stable.outcome is Outcome.UNCLEAR


def test_only_what_was_read_can_be_concluded() -> None:
    drawn = _drawn()

    with pytest.raises(AppraisalChanged, match="revision 2, not 1"):
        conclusions.conclude(
            drawn, 1, injury=INJURY, panel=_pool(3), opinions=_opinions(), days=DAYS
        )


def test_a_deferred_appraisal_has_no_panel_before_its_day() -> None:
    deferred = procedure.defer(
        _opened(), until=date(2025, 10, 15), kind=None, accident=None, days=DAYS
    )
    _, finding = draw_panel(_pool(3), 3, (), LAW, DAY, seed=b"1")

    with pytest.raises(AppraisalDeferred):
        procedure.draw_panel(deferred, finding, date(2025, 10, 14))
    drawn = procedure.draw_panel(deferred, finding, date(2025, 10, 15))
    assert drawn.state is State.PANEL_DRAWN


def test_the_time_limit_of_a_resumed_appraisal_restarts() -> None:
    ended = procedure.end(_opened(), Cause.DETERMINATION_WITHDRAWN)

    resumed = procedure.resume(ended, Days(LAW, date(2025, 9, 15), work_calendar()))

    assert resumed.state is State.OPENED
    assert resumed.due_date == date(2025, 11, 14)
    assert resumed.revision == 3


@given(st.lists(st.sampled_from(sorted(LIFECYCLE.table)), max_size=20))
def test_no_way_leads_to_a_state_outside_the_table(events: list[str]) -> None:
    state = State.OPENED
    for event in events:
        moves = LIFECYCLE.table[event]
        if state in moves:
            state = LIFECYCLE.after(state, event)
            assert state in State
        else:
            with pytest.raises(TransitionNotAllowed):
                LIFECYCLE.after(state, event)


def test_a_conclusion_is_served_corrected_or_revoked_and_nothing_else() -> None:
    moves = {event for event, moves in LIFECYCLE.table.items() if State.CONCLUDED in moves}

    assert moves == {"serve", "correct", "revoke"}
    assert not any(State.REVOKED in moves for moves in LIFECYCLE.table.values())


def test_the_readme_shows_the_lifecycle_as_it_is() -> None:
    assert LIFECYCLE.diagram() in README.read_text(encoding="utf-8")


def _severity(injuries: list[int]) -> int:
    return severity(combine(injuries, LAW, DAY).grade)


def _severity_of_items(items: list[str]) -> int:
    impairments = [Impairment(item) for item in items]
    return severity(grade_of(impairments, AppraisalLevel.FIRST, LAW, DAY).grade)


def _measured(family: str, **values: object) -> int:
    measurements = tuple((name.replace("_eye_", "."), str(value)) for name, value in values.items())
    impairment = Impairment(family=family, measurements=measurements)
    return severity(grade_of([impairment], AppraisalLevel.FIRST, LAW, DAY).grade)


def _pool(count: int) -> list[Specialist]:
    return [
        Specialist(f"s{number:03d}", f"A{number:03d}", "orthopaedics", provincial=False)
        for number in range(count)
    ]


def _opened() -> Appraisal:
    application = Application(Applicant.WORKER, DAY)
    now = datetime(2025, 9, 1, tzinfo=UTC)
    return applications.open_first("a1", INJURY, application, concluded=None, now=now, days=DAYS)


def _drawn() -> Appraisal:
    _, finding = draw_panel(_pool(3), 3, (), LAW, DAY, seed=b"1")
    return procedure.draw_panel(_opened(), finding, DAY)


def _opinions() -> list[Opinion]:
    injuries = (Impairment("9.23"), Impairment("9.24"))
    cannot = frozenset({CareItem.MOVING_ABOUT})
    return [Opinion(member.name, injuries, cannot) for member in _pool(3)]


def _concluded() -> Appraisal:
    return conclusions.conclude(
        _drawn(), 2, injury=INJURY, panel=_pool(3), opinions=_opinions(), days=DAYS
    )
