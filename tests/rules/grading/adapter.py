"""Turns a case's facts into a call of a rule of grading, and its result into plain values.

An injury is an item's code (`LA0901`), a ladder with its measure (`SCAR 35`), or a table with what
existed before (`{item = "LA0601", pre_existing = true, worsened = true}`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from random import Random
from typing import Any

from services.grading.domain import procedure, times
from services.grading.domain.appraisals import Appraisal, InjuryKind, State
from services.grading.domain.care import CareItem, care_dependence
from services.grading.domain.grades import Impairment, combine, grade_of
from services.grading.domain.law import LAW, law_in
from services.grading.domain.panels import Opinion, Specialist, decide, draw_panel
from services.grading.domain.times import Days
from services.kernel.law import Finding
from services.kernel.scheme import AppraisalLevel, CareDependence
from services.runtime.base.holidays import work_calendar

MOMENT = datetime(2025, 7, 1, tzinfo=UTC)


def of_injuries(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """The grade of a person's injuries together."""
    level = AppraisalLevel[facts.get("level", "FIRST")]
    impairments = [an_impairment(text) for text in facts["injuries"]]
    graded = grade_of(impairments, level, LAW, day)
    return {"grade": graded.grade, "provisions": provisions(graded.findings)}


def of_grades(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """Several injuries whose grades are known."""
    combined = combine(facts["grades"], LAW, day)
    return {"grade": combined.grade, "provisions": provisions(combined.findings)}


def of_care(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """Care dependence from what a person cannot do alone."""
    level, finding = care_dependence([CareItem[name] for name in facts["cannot"]], LAW, day)
    return {"care_dependence": level.name, "provisions": provisions([finding])}


def of_panel(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """The decision on the opinions of a panel; a member may be missing."""
    rows = facts["opinions"]
    panel = [a_specialist(number) for number in range(facts.get("size", len(rows)))]
    opinions = [
        Opinion(
            panel[number].name,
            tuple(an_impairment(text) for text in row.get("injuries", [])),
            frozenset(CareItem[name] for name in row.get("cannot", [])),
        )
        for number, row in enumerate(rows)
    ]
    decision = decide(panel, opinions, AppraisalLevel[facts.get("level", "FIRST")], LAW, day)
    agreed = [finding for finding in decision.findings if dict(finding.outputs).get("dissent")]
    return {
        "grade": decision.grade,
        "care_dependence": decision.care_dependence.name,
        "grade_dissent": dict(agreed[0].outputs)["dissent"].count("specialists/"),
        "provisions": provisions(decision.findings),
    }


def of_draw(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """A panel drawn from a pool, some of whose specialists are barred."""
    pool = [a_specialist(number) for number in range(facts["pool"])]
    barred = {member.name for member in pool[: facts.get("barred", 0)]}
    panel, finding = draw_panel(
        pool, facts["size"], barred, LAW, day, random=Random(day.toordinal())
    )
    return {
        "size": len(panel),
        "different": len({member.id for member in panel}),
        "barred_drawn": len(barred & {member.name for member in panel}),
        "provisions": provisions([finding]),
    }


def of_time_limit(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """The last day for the conclusion of an appraisal opened on the day."""
    days = the_days(day)
    due = times.conclusion_due(day, days)
    if facts.get("complex"):
        due = times.extended_due(due, days)
    if facts.get("twice"):
        appraisal = an_appraisal(due_date=due, extended=True)
        procedure.extend(appraisal, days)
    finding = times.on_time(due, facts.get("concluded", due), days)
    return {
        "due_date": due,
        "on_time": finding.outcome.name == "MET",
        "provisions": provisions([finding]),
    }


def of_service(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """The last day to serve a conclusion of the day."""
    assert not facts
    finding = times.serve_by(day, the_days(day))
    return {**dict(finding.outputs), "provisions": provisions([finding])}


def of_next(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """An application of the day for a re-appraisal or a review."""
    previous = an_appraisal(
        level=AppraisalLevel[facts.get("previous", "FIRST")],
        state=State[facts.get("state", "CONCLUDED")],
        conclude_date=facts.get("concluded"),
        care_dependence=CareDependence.NONE,
    )
    level = AppraisalLevel[facts["level"]]
    finding = times.require_may_follow(previous, level, day, facts.get("received"), the_days(day))
    outputs = dict(finding.outputs)
    return {**outputs, "provisions": provisions([finding])}


def of_healing(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """Whether an injury is usually stable on the day."""
    finding = times.stability(facts["accident"], facts["kinds"], day, the_days(day))
    if finding is None:
        return {"outcome": "NONE", "stable_date": None}
    return {
        "outcome": finding.outcome.name,
        "stable_date": date.fromisoformat(dict(finding.outputs)["stable_date"]),
        "provisions": provisions([finding]),
    }


def of_deferral(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """An appraisal deferred on the day."""
    deferred = procedure.defer(
        an_appraisal(state=State[facts.get("state", "OPENED")]),
        until=facts["until"],
        kind=InjuryKind[facts["kind"]] if "kind" in facts else None,
        accident=facts.get("accident"),
        days=the_days(day),
    )
    return {
        "state": deferred.state.name,
        "not_before": deferred.not_before,
        "due_date": deferred.due_date,
        "provisions": provisions(deferred.findings),
    }


def of_absence(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """The worker is absent on the day, after some absences before."""
    appraisal = procedure.record_absence(
        an_appraisal(absence_count=facts["before"]),
        day,
        the_days(day),
        excused=facts.get("excused", False),
    )
    return {
        "state": appraisal.state.name,
        "absence_count": appraisal.absence_count,
        "provisions": provisions(appraisal.findings),
    }


def of_effect(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """The first month in which a review concluded on the day counts."""
    assert not facts
    finding = times.effect(day, the_days(day))
    return {**dict(finding.outputs), "provisions": provisions([finding])}


def an_impairment(text: str | dict[str, Any]) -> Impairment:
    """An injury as a case writes it."""
    if isinstance(text, dict):
        return Impairment(**text)
    item, _, measure = text.partition(" ")
    return Impairment(item, measure=measure)


def an_appraisal(**changes: Any) -> Appraisal:
    """An appraisal of a claim in 440100."""
    values: dict[str, Any] = {
        "id": "a1",
        "claim": "claims/c1",
        "level": AppraisalLevel.FIRST,
        "state": State.OPENED,
        "due_date": date(2025, 9, 1),
        "create_time": MOMENT,
    }
    return Appraisal(**{**values, **changes})


def a_specialist(number: int) -> Specialist:
    """A specialist of a pool."""
    return Specialist(f"s{number:03d}", f"A{number:03d}", "orthopaedics", provincial=False)


def the_days(day: date) -> Days:
    """The law and the calendar on a day."""
    return Days(law_in("440100"), day, work_calendar())


def provisions(findings: Iterable[Finding]) -> list[str]:
    """The provisions applied."""
    return [str(finding.provision) for finding in findings]


RULES: dict[str, Callable[[date, dict[str, Any]], dict[str, Any]]] = {
    "of_injuries": of_injuries,
    "of_grades": of_grades,
    "of_care": of_care,
    "of_panel": of_panel,
    "of_draw": of_draw,
    "of_time_limit": of_time_limit,
    "of_service": of_service,
    "of_next": of_next,
    "of_healing": of_healing,
    "of_deferral": of_deferral,
    "of_absence": of_absence,
    "of_effect": of_effect,
}
