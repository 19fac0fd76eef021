"""Time limits (办理时限): one clock for every step, with pauses and working days.

Day 1 is the day after the event. Days of a pause do not count: with a notice on day 5 and the
answer on day 12, days 6 to 12 are left out. A limit that ends on a day of rest ends on the next
working day. A year whose holiday notice is not known counts weekends only, and the result says so.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import Enum

from services.kernel.law import ParameterVersion
from services.kernel.parameters import Value
from services.kernel.periods import Month
from services.kernel.workdays import WorkCalendar

ONE_DAY = timedelta(days=1)


class Unit(Enum):
    """What a limit counts."""

    WORKING_DAYS = "working days"
    DAYS = "days"
    MONTHS = "months"


class Step(Enum):
    """The steps of a claim whose time runs; numbers as in the proto."""

    DOCUMENT_CHECK = 1
    EVIDENCE_REPLY = 2
    DETERMINATION = 3


@dataclass(frozen=True)
class TimeLimit:
    """A number of days or months, with the parameter that sets it."""

    count: int
    unit: Unit
    version: ParameterVersion | None = None

    @classmethod
    def of(cls, value: Value) -> TimeLimit:
        """From a parameter's value `{count = "30", unit = "working days"}`."""
        return cls(int(value.at("count")), Unit(value.value["unit"]), value.version)

    def __str__(self) -> str:
        return f"{self.count} {self.unit.value}"

    @property
    def in_chinese(self) -> str:
        """The limit in Chinese."""
        units = {Unit.WORKING_DAYS: "个工作日", Unit.DAYS: "日", Unit.MONTHS: "个月"}
        return f"{self.count} {units[self.unit]}"


@dataclass(frozen=True)
class Pause:
    """The days after `start` up to and with `end` do not count; without an end it lasts."""

    start: date
    end: date | None = None

    def covers(self, day: date) -> bool:
        """Whether the day is left out of the count."""
        return self.start < day and (self.end is None or day <= self.end)


@dataclass(frozen=True)
class Due:
    """The last day of a limit; provisional if a holiday notice on the way is not known yet."""

    day: date
    provisional: bool


class PausedMonthsError(RuntimeError):
    """A limit in months was paused, for which the law has no rule."""

    def __init__(self, step: Step) -> None:
        super().__init__(f"{step.name}: a limit in months runs without a pause")


@dataclass(frozen=True)
class StepClock:
    """The clock of one step: from the day of the event, with its limit and pauses."""

    step: Step
    start: date
    limit: TimeLimit
    pauses: tuple[Pause, ...] = ()

    @property
    def is_paused(self) -> bool:
        """Whether the clock is stopped."""
        return any(pause.end is None for pause in self.pauses)

    def paused(self, day: date) -> StepClock:
        """The clock stopped on a day; that day itself still counts."""
        return self if self.is_paused else replace(self, pauses=(*self.pauses, Pause(day)))

    def resumed(self, day: date) -> StepClock:
        """The clock running again from the day after `day`."""
        return replace(
            self,
            pauses=tuple(
                replace(pause, end=max(day, pause.start)) if pause.end is None else pause
                for pause in self.pauses
            ),
        )

    def due(self, calendar: WorkCalendar) -> Due | None:
        """The last day; None while the clock is stopped."""
        if self.is_paused:
            return None
        day = self.start
        if self.limit.unit is Unit.MONTHS:
            if self.pauses:
                raise PausedMonthsError(self.step)
            day = _months_later(day, self.limit.count)
        else:
            left = self.limit.count
            while left:
                day += ONE_DAY
                left -= self._counts(day, calendar)
        last = calendar.next_working(day)
        years = range(self.start.year, last.year + 1)
        provisional = any(year not in calendar.noticed_years for year in years)
        return Due(last, provisional)

    def remaining(self, calendar: WorkCalendar, today: date) -> int:
        """Working days left after today; negative when overdue, never 0 once the day has passed.

        While the clock is stopped: the days that are left, counted in the unit of the limit.
        """
        due = self.due(calendar)
        if due is None:
            stopped = next(pause.start for pause in self.pauses if pause.end is None)
            return self.limit.count - self._counted(stopped, calendar)
        if today <= due.day:
            return working_days(today, due.day, calendar)
        return -max(1, working_days(due.day, today, calendar))

    def _counts(self, day: date, calendar: WorkCalendar) -> bool:
        if any(pause.covers(day) for pause in self.pauses):
            return False
        return self.limit.unit is not Unit.WORKING_DAYS or calendar.is_working(day)

    def _counted(self, until: date, calendar: WorkCalendar) -> int:
        days = (until - self.start).days
        return sum(
            self._counts(self.start + ONE_DAY * n, calendar) for n in range(1, max(0, days) + 1)
        )


def working_days(after: date, until: date, calendar: WorkCalendar) -> int:
    """How many working days lie after one day, up to and with another."""
    days = range(1, (until - after).days + 1)
    return sum(calendar.is_working(after + ONE_DAY * n) for n in days)


def due_day(start: date, limit: TimeLimit, calendar: WorkCalendar) -> Due:
    """The last day of a limit that runs without a pause."""
    due = StepClock(Step.DOCUMENT_CHECK, start, limit).due(calendar)
    assert due is not None
    return due


def _months_later(day: date, months: int) -> date:
    month = Month.of(day).plus(months)
    return date(month.year, month.month, min(day.day, monthrange(month.year, month.month)[1]))
