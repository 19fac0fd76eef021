"""Working days by the State Council's yearly holiday notice, which also swaps weekends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

SATURDAY = 5


@dataclass(frozen=True)
class WorkCalendar:
    """Which days are worked. Years outside `noticed_years` are provisional: weekends only."""

    holidays: frozenset[date]
    swapped_weekends: frozenset[date]
    noticed_years: frozenset[int]

    def is_provisional(self, day: date) -> bool:
        """Whether the notice of that year is not known yet."""
        return day.year not in self.noticed_years

    def is_working(self, day: date) -> bool:
        """Whether the day is worked."""
        if day in self.swapped_weekends:
            return True
        return day.weekday() < SATURDAY and day not in self.holidays

    def next_working(self, day: date) -> date:
        """The day itself if it is worked, else the next one that is."""
        while not self.is_working(day):
            day += timedelta(days=1)
        return day

    def plus(self, day: date, working_days: int) -> date:
        """So many working days later; day 1 is the working day after `day`."""
        for _ in range(working_days):
            day = self.next_working(day + timedelta(days=1))
        return day
