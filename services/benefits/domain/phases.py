"""The grades of a case over time, as appraisals concluded them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from services.benefits.domain.case import Case, Conclusion
from services.kernel.periods import Month
from services.kernel.scheme import AppraisalLevel, CareDependence


@dataclass(frozen=True)
class Phase:
    """A grade and a dependence on care, from a month on."""

    grade: int
    care: CareDependence
    conclude_date: date

    @property
    def first_month(self) -> Month:
        """The month after the conclusion, from which monthly benefits follow it."""
        return Month.of(self.conclude_date).plus(1)


def phases_of(conclusions: Iterable[Conclusion]) -> list[Phase]:
    """The grades in force over time, oldest first.

    A re-appraisal replaces the conclusion before it, from the same month; a review opens a
    further phase.
    """
    phases: list[Phase] = []
    for one in sorted(conclusions, key=lambda each: (each.conclude_date, each.level.value)):
        if one.level is AppraisalLevel.RE_APPRAISAL and phases:
            last = phases.pop()
            phases.append(Phase(one.grade, one.care, last.conclude_date))
        else:
            phases.append(Phase(one.grade, one.care, one.conclude_date))
    return phases


def phase_in(phases: Sequence[Phase], month: Month) -> Phase:
    """The phase in force in a month; the first one for a month before it."""
    return next((each for each in reversed(phases) if each.first_month <= month), phases[0])


def before_death(case: Case, phases: Iterable[Phase]) -> list[Phase]:
    """The phases concluded before a death; all while the worker lives."""
    return [
        phase
        for phase in phases
        if case.death_date is None or phase.conclude_date < case.death_date
    ]


def grade_in_force(phases: Sequence[Phase]) -> int | None:
    """The grade in force; None before a conclusion."""
    return phases[-1].grade if phases else None
