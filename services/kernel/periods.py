"""Days and months of the scheme: civil days of Asia/Shanghai, half-open spans."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
MONTHS_PER_YEAR = 12


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month in Asia/Shanghai."""

    year: int
    month: int

    def __post_init__(self) -> None:
        """Refuse a month outside 1..12."""
        if not 1 <= self.month <= MONTHS_PER_YEAR:
            message = f"{self.month} is not a month"
            raise ValueError(message)

    @classmethod
    def of(cls, day: date) -> Month:
        """The month a civil day lies in. For a moment, use `Month.of(civil_day(moment))`."""
        return cls(day.year, day.month)

    @classmethod
    def parse(cls, text: str) -> Month:
        """`Month.parse("2025-07")`; raises ValueError for anything else."""
        day = date.fromisoformat(f"{text}-01")
        month = cls(day.year, day.month)
        # ISO 8601 has further forms, such as weeks.
        if str(month) != text:
            raise ValueError(f"{text!r} is not a month")
        return month

    @property
    def first_day(self) -> date:
        """The first day of the month."""
        return date(self.year, self.month, 1)

    @property
    def last_day(self) -> date:
        """The last day of the month."""
        return self.plus(1).first_day - timedelta(days=1)

    @property
    def days(self) -> Span:
        """The month as a half-open span of days."""
        return Span(self.first_day, self.plus(1).first_day)

    @property
    def moments(self) -> tuple[datetime, datetime]:
        """The month as a half-open pair of UTC moments."""
        return first_moment(self.first_day), first_moment(self.plus(1).first_day)

    def plus(self, months: int) -> Month:
        """The month `months` later, or earlier if negative."""
        index = self.year * MONTHS_PER_YEAR + self.month - 1 + months
        return Month(index // MONTHS_PER_YEAR, index % MONTHS_PER_YEAR + 1)

    def until(self, end: Month) -> Iterator[Month]:
        """The months from this one up to but not including `end`."""
        month = self
        while month < end:
            yield month
            month = month.plus(1)

    def count_until(self, end: Month) -> int:
        """The number of months from this one up to but not including `end`."""
        return (end.year - self.year) * MONTHS_PER_YEAR + end.month - self.month

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


@dataclass(frozen=True)
class Span:
    """Days from `start` up to but not including `end`; without an end it is open."""

    start: date
    end: date | None = None

    def __contains__(self, day: date) -> bool:
        return self.start <= day and (self.end is None or day < self.end)

    @property
    def day_count(self) -> int:
        """How many days; raises ValueError for a span without an end."""
        if self.end is None:
            message = "a span without an end has no number of days"
            raise ValueError(message)
        return max(0, (self.end - self.start).days)


def civil_day(moment: datetime) -> date:
    """The day in Asia/Shanghai on which a moment falls."""
    return moment.astimezone(SHANGHAI).date()


def first_moment(day: date) -> datetime:
    """The first moment of a day in Asia/Shanghai, in UTC."""
    return datetime.combine(day, time.min, SHANGHAI).astimezone(UTC)


def age_on(birth: date, day: date) -> int:
    """Completed years of age; an age begins on its birthday."""
    years = day.year - birth.year
    return years - (day < birthday(birth, years))


def birthday(birth: date, age: int) -> date:
    """The same calendar day years later, which ends a period of years (民法典 art. 200-202).

    29 February gives the last day of the month in other years, 28 February.
    """
    year = birth.year + age
    return date(year, birth.month, min(birth.day, monthrange(year, birth.month)[1]))
