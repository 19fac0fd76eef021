"""Turns a case's facts into a call of a rule of grading, and its result into plain values.

An injury is an item's number (`9.23`), a family with measured findings (`SCARS area=92`), or
a table with what existed before (`{item = "6.27", pre_existing = true, worsened = true}`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

from services.grading.domain import applications, conclusions, panels, procedure, times
from services.grading.domain.appraisals import (
    Applicant,
    Application,
    Appraisal,
    Injury,
    InjuryKind,
    Recipient,
    Service,
    ServiceMeans,
    State,
)
from services.grading.domain.care import CareItem, care_dependence
from services.grading.domain.conclusions import Correction, CorrectionCode
from services.grading.domain.grades import combine, grade_of
from services.grading.domain.law import LAW
from services.grading.domain.panels import (
    Opinion,
    decide,
    draw_panel,
)
from services.grading.domain.procedure import Absence, AbsenceCode
from services.kernel.scheme import AppraisalLevel, CareDependence
from tests.rules.grading.applications_and_panels import (
    of_adjournment,
    of_own_recusal,
    of_recusal,
    of_withdrawal,
)
from tests.rules.grading.case_values import (
    MOMENT,
    a_conclusion,
    a_specialist,
    an_appraisal,
    an_impairment,
    provisions,
    the_days,
)


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
        pool, facts["size"], barred, LAW, day, seed=day.isoformat().encode()
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
    limit = times.conclusion_limit(day, days)
    if facts.get("complex"):
        limit = times.extended_limit(limit.end, days)
    due = limit.last_day
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
    finding = times.require_may_follow(previous, level, day, facts.get("served"), the_days(day))
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
        Absence(
            facts.get("examination", day),
            AbsenceCode[facts.get("code", "ABSENT")],
            excused=facts.get("excused", False),
        ),
        the_days(day),
    )
    return {
        "state": appraisal.state.name,
        "absence_count": appraisal.absence_count,
        "cause": appraisal.cause.name if appraisal.cause else "",
        "provisions": provisions(appraisal.findings),
    }


def of_application(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """An application received on the day, by somebody, for a level."""
    application = Application(
        Applicant[facts["applicant"]], facts.get("received", day), facts.get("inability", "")
    )
    if "allowed" in facts:
        applications.require_applicant(application, {Applicant[name] for name in facts["allowed"]})
    injury = Injury(
        "claims/c1",
        2,
        appraisable=facts.get("confirmed", True),
        accident_date=facts.get("accident"),
    )
    level = AppraisalLevel[facts.get("level", "FIRST")]
    concluded = None
    if "concluded" in facts:
        concluded = a_conclusion(facts["concluded"], AppraisalLevel[facts.get("of", "FIRST")])
    moment, days = MOMENT, the_days(day)
    if level is AppraisalLevel.FIRST:
        opened = applications.open_first(
            "a2", injury, application, concluded=concluded, now=moment, days=days
        )
    else:
        assert concluded is not None
        newer = a_conclusion(day) if facts.get("newer") else concluded
        opened = applications.open_next(
            "a2",
            injury,
            level,
            application,
            previous=concluded,
            concluded=replace(newer, id="newer") if facts.get("newer") else concluded,
            services=[
                Service(Recipient[recipient], ServiceMeans.POST, served)
                for recipient, served in facts.get("served", {}).items()
            ],
            now=moment,
            days=days,
        )
    return {
        "state": opened.state.name,
        "due_date": opened.due_date,
        "provisions": provisions(opened.findings),
    }


def of_documents(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """Missing documents asked for on the day; they come, or the application is abandoned."""
    appraisal = an_appraisal(
        application_date=facts["received"], documents_date=facts.get("asked_before")
    )
    asked = applications.request_documents(appraisal, facts["until"], the_days(day))
    if "abandoned" in facts:
        asked = applications.abandon(asked, the_days(facts["abandoned"]))
    elif facts.get("came"):
        came = applications.record_documents(asked)
        assert came.due_date == appraisal.due_date
        asked = replace(came, findings=asked.findings)
    return {
        "state": asked.state.name,
        "cause": asked.cause.name if asked.cause else "",
        "provisions": provisions(asked.findings),
    }


def of_term(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """A specialist appointed on a day, and renewed on the day."""
    specialist = a_specialist(1)
    if "appointed" in facts:
        specialist = replace(specialist, term=panels.first_term(LAW, facts["appointed"]))
    if "renewed" in facts:
        term = panels.next_term(specialist, LAW, facts["renewed"])
        specialist = replace(specialist, term=term)
    term = panels.next_term(specialist, LAW, day)
    return {"first_day": term.first_day, "last_day": term.last_day}


def of_service_record(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """A service recorded on the day."""
    concluded = a_conclusion(facts["concluded"])
    corrected = {"correct_date": facts["corrected"]} if "corrected" in facts else {}
    service = Service(Recipient.WORKER, ServiceMeans.POST, facts["served"])
    served = conclusions.serve(replace(concluded, **corrected), service, the_days(day))
    (finding,) = served.findings
    return {
        "on_time": finding.outcome.name == "MET",
        **dict(finding.outputs),
        "provisions": provisions(served.findings),
    }


def of_correction(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """A conclusion of grade 8 without care dependence, corrected on the day."""
    concluded = a_conclusion(facts["concluded"])
    correction = Correction(
        CorrectionCode[facts.get("code", "WRONG_ITEM")],
        "the panel looked at another person's picture",
        tuple(an_impairment(text) for text in facts["injuries"]),
        frozenset(CareItem[name] for name in facts.get("cannot", [])),
    )
    corrected = conclusions.correct(
        concluded, facts.get("read", 1), correction, followers=followers(facts), days=the_days(day)
    )
    return {
        "grade": corrected.grade,
        "care_dependence": corrected.care_dependence.name if corrected.care_dependence else "",
        "conclude_date": corrected.conclude_date,
        "serve_due_date": corrected.serve_due_date,
        "number": corrected.conclusion_number,
        "provisions": provisions(corrected.findings),
    }


def of_revocation(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """A conclusion revoked on the day."""
    concluded = replace(
        a_conclusion(facts["concluded"]), state=State[facts.get("state", "CONCLUDED")]
    )
    revoked = conclusions.revoke(
        concluded, facts.get("read", 1), followers=followers(facts), day=day
    )
    return {"state": revoked.state.name, "provisions": provisions(revoked.findings)}


def followers(facts: dict[str, Any]) -> list[Appraisal]:
    """The re-appraisal or the review of the conclusion, by its level and state."""
    return [
        an_appraisal(
            id="later",
            level=AppraisalLevel[level],
            state=State[state],
            conclude_date=date(2025, 10, 1) if state == "CONCLUDED" else None,
        )
        for level, state in facts.get("followed_by", {}).items()
    ]


def of_effect(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """The first month in which a review concluded on the day counts."""
    assert not facts
    finding = times.effect(day, the_days(day))
    return {**dict(finding.outputs), "provisions": provisions([finding])}


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
    "of_application": of_application,
    "of_documents": of_documents,
    "of_adjournment": of_adjournment,
    "of_term": of_term,
    "of_service_record": of_service_record,
    "of_correction": of_correction,
    "of_revocation": of_revocation,
    "of_recusal": of_recusal,
    "of_own_recusal": of_own_recusal,
    "of_withdrawal": of_withdrawal,
}
