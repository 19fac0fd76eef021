"""Working days, with the holidays and swapped weekends of real years."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.workdays import WorkCalendar
from services.runtime.base.holidays import work_calendar

CALENDAR = work_calendar()
days = st.dates(date(2022, 1, 1), date(2035, 12, 31))


@pytest.mark.parametrize(
    ("day", "working"),
    [
        (date(2025, 9, 28), True),  # a Sunday worked for the National Day holiday
        (date(2025, 10, 1), False),
        (date(2025, 10, 8), False),
        (date(2025, 10, 9), True),
        (date(2025, 10, 11), True),  # a Saturday worked for the same
        (date(2025, 10, 12), False),
    ],
)
def test_the_national_day_of_2025(day: date, working: bool) -> None:
    assert CALENDAR.is_working(day) is working


def test_a_day_of_rest_moves_to_the_next_working_day() -> None:
    assert CALENDAR.next_working(date(2025, 10, 1)) == date(2025, 10, 9)
    assert CALENDAR.next_working(date(2025, 9, 28)) == date(2025, 9, 28)


def test_day_one_is_the_working_day_after() -> None:
    assert CALENDAR.plus(date(2025, 9, 30), 1) == date(2025, 10, 9)
    assert CALENDAR.plus(date(2025, 9, 30), 3) == date(2025, 10, 11)
    assert CALENDAR.plus(date(2025, 9, 30), 0) == date(2025, 9, 30)


def test_a_year_without_a_notice_is_provisional_and_goes_by_weekends() -> None:
    calendar = WorkCalendar(frozenset(), frozenset(), frozenset({2025}))

    assert calendar.is_provisional(date(2031, 10, 1))
    assert not calendar.is_provisional(date(2025, 10, 1))
    assert calendar.is_working(date(2031, 10, 1))
    assert not calendar.is_working(date(2031, 10, 4))


@given(days, st.integers(0, 60), st.integers(0, 60))
def test_working_days_add_up(day: date, first: int, second: int) -> None:
    assert CALENDAR.plus(CALENDAR.plus(day, first), second) == CALENDAR.plus(day, first + second)


@given(days, st.integers(1, 60))
def test_a_limit_ends_on_a_working_day_with_so_many_before(day: date, count: int) -> None:
    end = CALENDAR.plus(day, count)
    between = [day + timedelta(days=n) for n in range(1, (end - day).days + 1)]

    assert CALENDAR.is_working(end)
    assert sum(map(CALENDAR.is_working, between)) == count
