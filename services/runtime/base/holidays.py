"""The working-day calendar from the State Council's yearly holiday notices."""

from __future__ import annotations

from functools import cache

from chinese_calendar.constants import holidays, workdays

from services.kernel.workdays import WorkCalendar

NATIONAL_DAY_MONTH = 10


@cache
def work_calendar() -> WorkCalendar:
    """The calendar of every year whose notice is known; other years are provisional.

    A year counts as known when its National Day (国庆节) is in it: a notice may name days of the
    January after, which says nothing about the rest of that year.
    """
    return WorkCalendar(
        holidays=frozenset(holidays),
        swapped_weekends=frozenset(workdays),
        noticed_years=frozenset(day.year for day in holidays if day.month == NATIONAL_DAY_MONTH),
    )
