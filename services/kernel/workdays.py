"""Working days by the State Council's yearly holiday notice, which also swaps weekends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

SATURDAY = 5


@dataclass(frozen=True)
class WorkCalendar:
    """Working days. Years outside `noticed_years` are provisional: only weekends are free."""

    holidays: frozenset[date]
    swapped_weekends: frozenset[date]
    noticed_years: frozenset[int]

    def is_provisional(self, day: date) -> bool:
        """Whether the notice of that year is not known."""
        return day.year not in self.noticed_years

    def is_working(self, day: date) -> bool:
        """Whether the day is a working day."""
        if day in self.swapped_weekends:
            return True
        return day.weekday() < SATURDAY and day not in self.holidays

    def next_working(self, day: date) -> date:
        """The day itself if it is a working day, else the next working day."""
        while not self.is_working(day):
            day += timedelta(days=1)
        return day

    def plus(self, day: date, working_days: int) -> date:
        """The day `working_days` later; the first is the working day after `day`."""
        for _ in range(working_days):
            day = self.next_working(day + timedelta(days=1))
        return day
