"""The clock: UTC moments, and the civil day in Shanghai."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from services.runtime.base.clock import SetClock, SystemClock, today


def test_today_is_the_day_in_shanghai() -> None:
    clock = SetClock(datetime(2025, 7, 31, 15, 59, 59, tzinfo=UTC))
    assert today(clock) == date(2025, 7, 31)
    clock.set(datetime(2025, 7, 31, 16, 0, tzinfo=UTC))
    assert today(clock) == date(2025, 8, 1)


def test_a_set_clock_stands_still_and_speaks_utc() -> None:
    clock = SetClock(datetime(2025, 7, 1, 8, 0, tzinfo=timezone(timedelta(hours=8))))
    assert clock.now() == clock.now() == datetime(2025, 7, 1, tzinfo=UTC)
    assert clock.now().tzinfo is UTC


def test_a_clock_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        SetClock(datetime(2025, 7, 1))  # noqa: DTZ001


def test_the_system_clock_goes_forward() -> None:
    clock = SystemClock()
    assert clock.now() <= clock.now()
    assert clock.now().tzinfo is UTC
