"""The days and months that a request may name: from the first day of the scheme to next year."""

from __future__ import annotations

from datetime import date

from services.kernel.lawbook import Law
from services.kernel.periods import MONTHS_PER_YEAR, Month
from services.kernel.problems import require_within


def require_day_of_scheme(field: str, day: date, today: date, law: Law) -> None:
    """Refuse a day from before the scheme, or later than the end of next year."""
    last = date(today.year + 1, MONTHS_PER_YEAR, 31)
    require_within(field, day, law.day("scheme_start", today), last)


def require_month_of_scheme(month: Month, today: date, law: Law) -> None:
    """Refuse a month from before the scheme, or later than next year."""
    first = Month.of(law.day("scheme_start", today))
    require_within("month", month, first, Month(today.year + 1, MONTHS_PER_YEAR))
