"""The values that cases of grading are about, and the law on a day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from services.grading.domain import times
from services.grading.domain.appraisals import Applicant, Appraisal, State
from services.grading.domain.grades import Impairment
from services.grading.domain.law import law_in
from services.grading.domain.panels import Specialist
from services.grading.domain.times import Days
from services.kernel.law import Finding
from services.kernel.scheme import AppraisalLevel, CareDependence
from services.runtime.base.holidays import work_calendar

MOMENT = datetime(2025, 7, 1, tzinfo=UTC)


def an_impairment(text: str | dict[str, Any]) -> Impairment:
    """An injury as a case writes it."""
    if isinstance(text, dict):
        text = dict(text)
        pairs = tuple(tuple(pair) for pair in text.pop("measurements", ()))
        return Impairment(**text, measurements=pairs)
    name, *measurements = text.split()
    if not name.isupper():
        return Impairment(name)
    return Impairment(
        family=name,
        measurements=tuple(tuple(pair.split("=")) for pair in measurements),  # type: ignore[misc]
    )


def a_conclusion(day: date, level: AppraisalLevel = AppraisalLevel.FIRST) -> Appraisal:
    """A conclusion of grade 8 on a day."""
    return an_appraisal(
        state=State.CONCLUDED,
        level=level,
        grade=8,
        care_dependence=CareDependence.NONE,
        conclude_date=day,
        serve_due_date=times.serve_day(day, the_days(day)),
        conclusion_number=1,
    )


def an_appraisal(**changes: Any) -> Appraisal:
    """An appraisal of a claim in 440100."""
    values: dict[str, Any] = {
        "id": "a1",
        "claim": "claims/c1",
        "level": AppraisalLevel.FIRST,
        "state": State.OPENED,
        "due_date": date(2025, 9, 1),
        "create_time": MOMENT,
        "applicant": Applicant.WORKER,
        "application_date": date(2025, 7, 3),
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
