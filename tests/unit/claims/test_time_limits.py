"""The clock against a twin that walks day by day, and what no pause may change."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.claims.domain.time_limits import Pause, Step, StepClock, TimeLimit, Unit
from services.runtime.base.holidays import work_calendar

CALENDAR = work_calendar()
DAYS = st.dates(date(2022, 7, 1), date(2026, 6, 30))
LIMITS = st.builds(TimeLimit, st.integers(1, 60), st.sampled_from([Unit.WORKING_DAYS, Unit.DAYS]))


def clock(start: date, limit: TimeLimit, *pauses: Pause) -> StepClock:
    return StepClock(Step.DETERMINATION, start, limit, pauses)


def due_day_by_day(step_clock: StepClock) -> date:
    """The last day, found by striking off days on a calendar."""
    days = [step_clock.start + timedelta(days=n) for n in range(1, 400)]
    left_out = {
        pause.start + timedelta(days=n)
        for pause in step_clock.pauses
        if pause.end is not None
        for n in range(1, (pause.end - pause.start).days + 1)
    }
    counted = [
        day
        for day in days
        if day not in left_out and (step_clock.limit.unit is Unit.DAYS or CALENDAR.is_working(day))
    ]
    last = counted[step_clock.limit.count - 1]
    return next(day for day in days if day >= last and CALENDAR.is_working(day))


@given(DAYS, LIMITS, st.integers(0, 40), st.integers(0, 30))
def test_the_last_day_is_found_by_striking_off_days(
    start: date, limit: TimeLimit, before: int, length: int
) -> None:
    begin = start + timedelta(days=before)
    made = clock(start, limit, Pause(begin, begin + timedelta(days=length)))

    due = made.due(CALENDAR)

    assert due is not None
    assert due.day == due_day_by_day(made)


@given(DAYS, LIMITS, st.integers(0, 20), st.integers(1, 20), st.integers(0, 19))
def test_a_pause_cut_in_two_is_the_same_pause(
    start: date, limit: TimeLimit, before: int, length: int, cut: int
) -> None:
    begin = start + timedelta(days=before)
    end = begin + timedelta(days=length)
    middle = min(begin + timedelta(days=cut), end)

    whole = clock(start, limit, Pause(begin, end))
    halves = clock(start, limit, Pause(begin, middle), Pause(middle, end))

    assert whole.due(CALENDAR) == halves.due(CALENDAR)


@given(DAYS, LIMITS, st.integers(0, 60))
def test_a_longer_limit_never_ends_earlier(start: date, limit: TimeLimit, more: int) -> None:
    longer = TimeLimit(limit.count + more, limit.unit)

    short, long = clock(start, limit).due(CALENDAR), clock(start, longer).due(CALENDAR)

    assert short is not None
    assert long is not None
    assert short.day <= long.day


@given(DAYS, LIMITS, st.integers(0, 120))
def test_what_is_left_never_grows_from_one_day_to_the_next(
    start: date, limit: TimeLimit, days: int
) -> None:
    made = clock(start, limit)
    today = start + timedelta(days=days)

    assert made.remaining(CALENDAR, today + timedelta(days=1)) <= made.remaining(CALENDAR, today)


@given(DAYS, LIMITS, st.integers(0, 30))
def test_stopped_and_at_once_resumed_is_as_if_never_stopped(
    start: date, limit: TimeLimit, days: int
) -> None:
    made = clock(start, limit)
    day = start + timedelta(days=days)

    assert made.paused(day).resumed(day).due(CALENDAR) == made.due(CALENDAR)


def test_a_clock_stopped_twice_is_stopped_once() -> None:
    made = clock(date(2025, 7, 1), TimeLimit(5, Unit.WORKING_DAYS)).paused(date(2025, 7, 2))

    assert made.paused(date(2025, 7, 3)) == made


def test_a_year_without_a_notice_is_provisional_and_goes_on() -> None:
    due = clock(date(2035, 9, 29), TimeLimit(5, Unit.WORKING_DAYS)).due(CALENDAR)

    assert due is not None
    assert due.provisional
    assert due.day == date(2035, 10, 5)
