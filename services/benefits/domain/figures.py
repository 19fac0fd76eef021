"""Figures that an award waits for: those of its area and year that are still to be published."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from services.kernel.identifiers import NATIONAL
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
    """A figure still to be published: the parameter, its place, and the day that it is for.

    `stand_in` names the value that stands in: another one in its place is a reason to plan again.
    """

    parameter: str
    place: str
    day: date
    stand_in: str

    def __str__(self) -> str:
        return f"{self.parameter}/{self.place}/{self.day}/{self.stand_in}"

    @classmethod
    def parse(cls, text: str) -> AwaitedFigure:
        """The figure that `str` wrote."""
        parameter, place, day, stand_in = text.split("/", 3)
        return cls(parameter, place, date.fromisoformat(day), stand_in)

    def is_published(self, law: Law, known: date) -> bool:
        """Whether the place's own value for the day is published by a day."""
        value = self._find(law, known)
        return value is not None and not _stands_in(value, self.day)

    def is_outdated(self, law: Law, known: date) -> bool:
        """Whether it is published, or another value stands in by now."""
        value = self._find(law, known)
        if value is None:
            return False
        return not _stands_in(value, self.day) or _name(value) != self.stand_in

    def _find(self, law: Law, known: date) -> Value | None:
        try:
            return figure_on(law, self.parameter, self.day, self.place, known)
        except ParameterNotFound:
            return None


def figure_on(law: Law, parameter: str, day: date, place: str, known: date) -> Value:
    """A place's own value for a day as published by a day, or what stands in for it.

    Without any wage of all employees that of private-sector employees stands in. Raises
    ParameterNotFound.
    """
    try:
        return law.on(parameter, day, place, known)
    except ParameterNotFound:
        if parameter != ALL_EMPLOYEE_WAGE:
            raise
    return replace(law.on(AVERAGE_WAGE, day, place, known), stands_in=True)


def awaited(parameter: str, place: str, day: date, value: Value) -> tuple[AwaitedFigure, ...]:
    """What is waited for if this value was used; nothing if it is the place's own for the day."""
    if not _stands_in(value, day):
        return ()
    return (AwaitedFigure(parameter, place, day, _name(value)),)


def earliest(figures: Iterable[AwaitedFigure]) -> tuple[AwaitedFigure, ...]:
    """The figures, each of a parameter, a place and a stand-in for its first day alone."""
    by_stand_in: dict[tuple[str, str, str], AwaitedFigure] = {}
    for figure in sorted(figures):
        by_stand_in.setdefault((figure.parameter, figure.place, figure.stand_in), figure)
    return tuple(sorted(by_stand_in.values()))


def said_of(value: Value) -> tuple[str, str]:
    """What a finding adds about a value of a wider place that stands in, in both languages."""
    if not value.stands_in:
        return "", ""
    whose, whose_zh = (
        ("a national", "全国") if value.jurisdiction == NATIONAL else ("the province's", "全省")
    )
    return (
        f"; {whose} figure, because the area's own is not published, so this is provisional",
        f"; 本地区数据尚未公布, 暂按{whose_zh}数据计发",
    )


def is_of_earlier_year(value: Value, day: date) -> bool:
    """Whether the value that belongs to the year of an event is still to be published."""
    return value.since.year < day.year


def _stands_in(value: Value, day: date) -> bool:
    is_late = value.parameter in _YEARLY and is_of_earlier_year(value, day)
    return value.stands_in or is_late


def _name(value: Value) -> str:
    return f"{value.parameter}@{value.jurisdiction}@{value.since}={value.value}"
