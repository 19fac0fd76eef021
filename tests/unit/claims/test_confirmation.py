"""What holds for every determination, whatever the facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.claims.domain.attribution import attribute
from services.claims.domain.case import Case, Judgement
from services.claims.domain.confirmation import Decision, Result, determine
from services.claims.domain.due_dates import filing_answer
from services.claims.domain.order_records import OrderEvidence, latest
from services.claims.domain.problems import OpenFindings
from services.kernel.instruments import INSTRUMENTS
from services.kernel.law import Outcome, Tag
from services.kernel.problems import Malformed
from services.runtime.base.holidays import work_calendar
from tests.rules.claims.adapter import PLATFORMS, a_case, an_order

DAY = date(2025, 7, 15)
CALENDAR = work_calendar()

TIMES = [f"10:{minute:02d}" for minute in range(0, 60, 5)]


@st.composite
def order_rows(draw: st.DrawFn, number: int) -> dict[str, Any]:
    accept, pick_up, end = sorted(draw(st.tuples(*[st.sampled_from(TIMES)] * 3)))
    return {
        "platform": draw(st.sampled_from("ABC")),
        "order_no": str(number),
        "accept": accept,
        "pick_up": draw(st.sampled_from(["", pick_up])),
        "end": draw(st.sampled_from(["", end])),
        "state": draw(st.sampled_from(["COMPLETED", "CANCELLED", "REVERSED"])),
        "late": draw(st.booleans()),
        "revision": draw(st.integers(1, 3)),
    }


@st.composite
def cases(draw: st.DrawFn) -> Case:
    count = draw(st.integers(0, 4))
    enquiry: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {
                "harm_established": st.booleans(),
                "blood_alcohol": st.sampled_from([0, 79, 80, 132]),
                "exclusions": st.lists(
                    st.sampled_from(["INTENTIONAL_CRIME", "INTOXICATION", "SELF_HARM"]),
                    unique=True,
                ),
                "traffic_mainly_own_fault": st.booleans(),
                "travel_required": st.booleans(),
                "order_records_withheld": st.booleans(),
                "spot_or_direct": st.booleans(),
                "disability_expected": st.booleans(),
                "industry": st.just("RIDE_HAILING"),
            }
        )
    )
    facts = {
        "accident": draw(st.sampled_from(TIMES)),
        "situation": draw(
            st.sampled_from(
                [
                    "ORDER_EXECUTION",
                    "VIOLENCE",
                    "REQUIRED_TRAVEL",
                    "MISSING",
                    "SUDDEN_ILLNESS",
                    "RESCUE",
                    "WAY_HOME",
                    "RELAPSE",
                ]
            )
        ),
        "orders": [draw(order_rows(number)) for number in range(count)],
        "documents": draw(
            st.lists(
                st.sampled_from(
                    [
                        "DIAGNOSIS",
                        "TRAFFIC_CERTIFICATE",
                        "INTOXICATION_REPORT",
                        "JUDGMENT",
                        "DEATH_CERTIFICATE",
                    ]
                ),
                unique=True,
            )
        ),
        "enquiry": enquiry,
        "enrolled": {"A": date(2025, 7, 1)},
        "filed": draw(st.dates(DAY, date(2026, 12, 31))),
        "death_date": draw(st.sampled_from([None, DAY])),
        "parameters": {
            "illness_rule": draw(st.sampled_from(["WIR48", "SPOT_OR_DIRECT"])),
        },
    }
    return a_case(DAY, facts)


def decided(case: Case, met: bool) -> Decision:
    """The decision, with every question that is open answered the same way."""
    try:
        return determine(case, (), CALENDAR)
    except OpenFindings as problem:
        questions = problem.facts["findings"].split(", ")
        answers = [Judgement(question, met, "established") for question in questions]
        return determine(case, answers, CALENDAR)


@given(cases(), st.booleans())
def test_no_determination_leaves_a_question_open_and_each_explains_itself(
    case: Case, met: bool
) -> None:
    decision = decided(case, met)

    for finding in decision.findings:
        assert finding.outcome is not Outcome.UNCLEAR
        assert finding.text.endswith(".")
        assert finding.text_zh.endswith("。")
        assert finding.provision.instrument
        assert dict(finding.inputs)["question"]


@given(cases(), st.booleans())
def test_a_confirmed_case_is_borne_by_one_platform_and_a_refused_one_by_none(
    case: Case, met: bool
) -> None:
    decision = decided(case, met)

    if decision.result is Result.REFUSED:
        assert decision.attribution is None
    else:
        assert decision.attribution is not None
        enrolled_or_ordered = {order.platform for order in case.orders} | {PLATFORMS["A"]}
        assert decision.attribution.platform in enrolled_or_ordered


@given(cases(), st.booleans())
def test_a_case_decided_twice_comes_out_the_same(case: Case, met: bool) -> None:
    assert decided(case, met) == decided(case, met)


@given(cases())
def test_a_measured_level_refuses_nobody_until_a_person_finds_that_it_caused_the_harm(
    case: Case,
) -> None:
    drunk = case.enquiry.blood_alcohol >= 80
    if drunk:
        assert decided(case, met=True).result is Result.REFUSED
        with pytest.raises(OpenFindings, match="intoxication"):
            determine(case, (), CALENDAR)


@given(cases(), st.dates(date(2022, 7, 1), date(2025, 6, 30)), st.booleans())
def test_no_finding_cites_an_instrument_younger_than_the_accident(
    case: Case, day: date, met: bool
) -> None:
    def moved(moment: datetime) -> datetime:
        return moment + (day - DAY)

    earlier = replace(
        case,
        claim=replace(case.claim, accident_time=moved(case.claim.accident_time), death_date=None),
        orders=tuple(
            replace(
                order,
                accept_time=moved(order.accept_time),
                end_time=moved(order.end_time) if order.end_time else None,
                pick_up_time=None,
                receive_time=moved(order.receive_time),
            )
            for order in case.orders
        ),
    )

    for finding in decided(earlier, met).findings:
        assert finding.provision.held_by.since <= day
        for version in finding.parameters:
            for name, instrument in INSTRUMENTS.items():
                assert name not in version.source or instrument.since <= day


@given(st.permutations(range(4)), st.data())
def test_the_order_in_which_records_arrive_changes_no_attribution(
    places: list[int], data: st.DataObject
) -> None:
    rows = [data.draw(order_rows(number)) for number in range(4)]
    orders: list[OrderEvidence] = [an_order(DAY, row) for row in rows]

    there = attribute(latest(orders))
    back = attribute(latest([orders[place] for place in places]))

    assert there == back


def test_a_judgement_needs_its_reason() -> None:
    case = a_case(DAY, {"situation": "RESCUE"})

    with pytest.raises(Malformed) as caught:
        determine(case, [Judgement("public_interest", met=True, reason=" ")], CALENDAR)

    assert "public_interest" in caught.value.sentence


def test_open_questions_are_named_in_both_languages() -> None:
    case = a_case(DAY, {"situation": "VIOLENCE", "enquiry": {"exclusions": ["SELF_HARM"]}})

    with pytest.raises(OpenFindings) as caught:
        determine(case, (), CALENDAR)

    assert caught.value.facts["findings"] == "because_of_service, self_harm"
    assert "because_of_service, self_harm" in caught.value.sentence
    assert "是否因提供服务受到伤害、是否自残或自杀" in caught.value.sentence_zh


@pytest.mark.parametrize(
    ("tag", "words", "words_zh"),
    [
        (Tag.LAW, "", ""),
        (Tag.COMMON, " (as in work-injury insurance)", "(参照工伤保险)"),
        (Tag.ASSUMED, " (assumed: no text for this place was seen)", "(暂定时限, 未见本地区文件)"),
    ],
)
def test_the_time_for_filing_says_how_certain_it_is(tag: Tag, words: str, words_zh: str) -> None:
    case = a_case(DAY, {})
    limit = case.law.parameters["worker_filing_time"]
    tagged = replace(limit, values=tuple(replace(value, tag=tag) for value in limit.values))
    law = replace(case.law, parameters={**case.law.parameters, "worker_filing_time": tagged})

    finding = filing_answer(replace(case, law=law), CALENDAR).finding

    assert f"the end of 30 days from the accident{words}" in finding.text
    assert f"自事故起 30 日){' 之内' if finding.outcome is Outcome.MET else ''}{words_zh}" in (
        finding.text_zh
    )
    assert finding.parameters[0].tag is tag
