"""Figures that an award waits for: those of its area and year that are still to be published."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from services.kernel.lawbook import Law
from services.kernel.parameters import ParameterNotFound, Value

AVERAGE_WAGE = "average_wage"
ALL_EMPLOYEE_WAGE = "all_employee_wage"
DISPOSABLE_INCOME = "disposable_income"
MINIMUM_WAGE = "minimum_wage"
# Figures of a year; that of an earlier year stands in until its own is published.
_YEARLY = frozenset({AVERAGE_WAGE, ALL_EMPLOYEE_WAGE, DISPOSABLE_INCOME})


@dataclass(frozen=True, order=True)
class AwaitedFigure:
    """A figure still to be published: the parameter, its place, and the day that it is for."""

    parameter: str
    place: str
    day: date

    def __str__(self) -> str:
        return f"{self.parameter}/{self.place}/{self.day}"

    @classmethod
    def parse(cls, text: str) -> AwaitedFigure:
        """The figure that `str` wrote: `average_wage/440100/2025-07-10`."""
        parameter, place, day = text.split("/")
        return cls(parameter, place, date.fromisoformat(day))

    def own(self, law: Law, known: date) -> Value | None:
        """The place's own value for the day as published by a day; None while another stands in."""
        try:
            value = law.on(self.parameter, self.day, self.place, known)
        except ParameterNotFound:
            return None
        is_late = self.parameter in _YEARLY and is_of_earlier_year(value, self.day)
        return None if value.stands_in or is_late else value


def earliest(figures: Iterable[AwaitedFigure]) -> tuple[AwaitedFigure, ...]:
    """The figures, each of a parameter and a place for its first day alone."""
    by_place: dict[tuple[str, str], AwaitedFigure] = {}
    for figure in sorted(figures):
        by_place.setdefault((figure.parameter, figure.place), figure)
    return tuple(sorted(by_place.values()))


def is_of_earlier_year(value: Value, day: date) -> bool:
    """Whether the value that belongs to the year of an event is still to be published."""
    return value.since.year < day.year
