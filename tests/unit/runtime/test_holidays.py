"""The working-day calendar of the State Council's notices."""

from __future__ import annotations

from datetime import date

from services.runtime.base.holidays import work_calendar


def test_holidays_and_swapped_weekends_are_known() -> None:
    calendar = work_calendar()
    assert not calendar.is_working(date(2025, 10, 1))
    assert calendar.is_working(date(2025, 9, 28))  # a Sunday that is worked
    assert not calendar.is_working(date(2025, 7, 5))


def test_a_year_without_a_notice_is_provisional_and_never_an_exception() -> None:
    calendar = work_calendar()
    assert not calendar.is_provisional(date(2025, 7, 1))
    assert calendar.is_provisional(date(2040, 1, 2))
    assert calendar.is_working(date(2040, 1, 2))
    assert not calendar.is_working(date(2040, 1, 7))
