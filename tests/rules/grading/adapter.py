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
from services.grading.domain.appraisal import (
    Appraisal,
    CareDependence,
    CareItem,
    Impairment,
    InjuryKind,
    Level,
    Opinion,
    Specialist,
    State,
)
from services.grading.domain.care import care_dependence
from services.grading.domain.ladder import combine, grade
from services.grading.domain.law import Law, law_on
from services.grading.domain.panel import decide, draw_panel
from services.grading.domain.times import Days
from services.kernel.law import Finding
from services.runtime.base.holidays import work_calendar

MOMENT = datetime(2025, 7, 1, tzinfo=UTC)


def of_injuries(day: date, given: dict[str, Any]) -> dict[str, Any]:
    """The grade of a person's injuries together."""
    level = Level[given.get("level", "FIRST")]
    graded = grade([an_impairment(one) for one in given["injuries"]], level, law_on(day))
    return {"grade": graded.grade, "provisions": provisions(graded.findings)}


def of_grades(day: date, given: dict[str, Any]) -> dict[str, Any]:
    """Several injuries whose grades are known."""
    combined = combine(given["grades"], law_on(day))
    return {"grade": combined.grade, "provisions": provisions(combined.findings)}


def of_care(day: date, given: dict[str, Any]) -> dict[str, Any]:
    """Care dependence from what a person cannot do alone."""
    level, finding = care_dependence([CareItem[name] for name in given["cannot"]], law_on(day))
    return {"care_dependence": level.name, "provisions": provisions([finding])}


def of_panel(day: date, given: dict[str, Any]) -> dict[str, Any]:
    """What the opinions of a panel amount to; a member may be missing."""
    opinions = given["opinions"]
    panel = [a_specialist(number) for number in range(given.get("size", len(opinions)))]
    given_opinions = [
        Opinion(
            panel[number].name,
            tuple(an_impairment(one) for one in opinion.get("injuries", [])),
            frozenset(CareItem[name] for name in opinion.get("cannot", [])),
        )
        for number, opinion in enumerate(opinions)
    ]
    decision = decide(panel, given_opinions, Level[given.get("level", "FIRST")], law_on(day))
    agreed = [finding for finding in decision.findings if dict(finding.outputs).get("dissent")]
    return {
        "grade": decision.grade,
        "care_dependence": decision.care_dependence.name,
        "grade_dissent": dict(agreed[0].outputs)["dissent"].count("specialists/"),
        "provisions": provisions(decision.findings),
    }


def of_draw(day: date, given: dict[str, Any]) -> dict[str, Any]:
    """A panel drawn from a pool of so many, some of whom are barred."""
    pool = [a_specialist(number) for number in range(given["pool"])]
    barred = {one.name for one in pool[: given.get("barred", 0)]}
    panel, finding = draw_panel(pool, given["size"], barred, Random(day.toordinal()), law_on(day))
    return {
        "size": len(panel),
        "different": len({one.id for one in panel}),
        "barred_drawn": len(barred & {one.name for one in panel}),
        "provisions": provisions([finding]),
    }


def of_time_limit(day: date, given: dict[str, Any]) -> dict[str, Any]:
    """The last day for the conclusion of an appraisal opened on the day."""
    days = the_days(day)
    due = times.conclusion_due(day, days)
    if given.get("complex"):
        due = times.extended_due(due, days)
    if given.get("twice"):
        appraisal = an_appraisal(due_date=due, extended=True)
        procedure.extend(appraisal, days)
    finding = times.on_time(due, given.get("concluded", due), days)
    return {
        "due_date": due,
        "on_time": finding.outcome.name == "MET",
        "provisions": provisions([finding]),
    }


def of_service(day: date, given: dict[str, Any]) -> dict[str, Any]:
    """Until when a conclusion of the day is served."""
    assert not given
    finding = times.service(day, the_days(day))
    return {**dict(finding.outputs), "provisions": provisions([finding])}


def of_next(day: date, given: dict[str, Any]) -> dict[str, Any]:
    """A re-appraisal or a review asked for on the day."""
    previous = an_appraisal(
        level=Level[given.get("previous", "FIRST")],
        state=State[given.get("state", "CONCLUDED")],
        conclude_date=given.get("concluded"),
        care_dependence=CareDependence.NONE,
    )
    level = Level[given["level"]]
    finding = times.check_follows(previous, level, day, given.get("received"), the_days(day))
    outputs = dict(finding.outputs)
    return {**outputs, "provisions": provisions([finding])}


def of_healing(day: date, given: dict[str, Any]) -> dict[str, Any]:
    """Whether an injury is usually stable on the day."""
    law = law_on(day)
    finding = times.stability(given["accident"], given["kinds"], day, law)
    if finding is None:
        return {"outcome": "NONE", "stable_date": None}
    return {
        "outcome": finding.outcome.name,
        "stable_date": date.fromisoformat(dict(finding.outputs)["stable_date"]),
        "provisions": provisions([finding]),
    }


def of_deferral(day: date, given: dict[str, Any]) -> dict[str, Any]:
    """An appraisal deferred on the day."""
    deferred = procedure.defer(
        an_appraisal(state=State[given.get("state", "OPENED")]),
        until=given["until"],
        kind=InjuryKind[given["kind"]] if "kind" in given else None,
        accident=given.get("accident"),
        day=day,
        days=the_days(day),
    )
    return {
        "state": deferred.state.name,
        "not_before": deferred.not_before,
        "due_date": deferred.due_date,
        "provisions": provisions(deferred.findings),
    }


def of_absence(day: date, given: dict[str, Any]) -> dict[str, Any]:
    """The worker stayed away on the day, after so many absences before."""
    appraisal = procedure.record_absence(
        an_appraisal(absence_count=given["before"]),
        day,
        day,
        the_days(day),
        excused=given.get("excused", False),
    )
    return {
        "state": appraisal.state.name,
        "absence_count": appraisal.absence_count,
        "provisions": provisions(appraisal.findings),
    }


def of_effect(day: date, given: dict[str, Any]) -> dict[str, Any]:
    """From which month a review concluded on the day counts."""
    assert not given
    finding = times.effect(day, law_on(day))
    return {**dict(finding.outputs), "provisions": provisions([finding])}


def an_impairment(text: str | dict[str, Any]) -> Impairment:
    """An injury as a case writes it."""
    if isinstance(text, dict):
        return Impairment(**text)
    item, _, measure = text.partition(" ")
    return Impairment(item, measure=measure)


def an_appraisal(**changes: Any) -> Appraisal:
    """An appraisal of a claim in 440100."""
    plain: dict[str, Any] = {
        "id": "a1",
        "claim": "claims/c1",
        "level": Level.FIRST,
        "state": State.OPENED,
        "due_date": date(2025, 9, 1),
        "create_time": MOMENT,
    }
    return Appraisal(**{**plain, **changes})


def a_specialist(number: int) -> Specialist:
    """One of a pool."""
    return Specialist(f"s{number:03d}", f"A{number:03d}", "orthopaedics", provincial=False)


def the_days(day: date) -> Days:
    """The law and the calendar on a day."""
    law: Law = law_on(day, "440100")
    return Days(law, work_calendar())


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
