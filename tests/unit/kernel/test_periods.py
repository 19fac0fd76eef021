"""Days and months of Asia/Shanghai."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.periods import (
    Month,
    Span,
    age_on,
    birthday,
    civil_day,
    first_moment,
)

days = st.dates(date(1991, 9, 16), date(2199, 12, 31))
months = days.map(Month.of)
moments = st.integers(0, 4 * 10**9).map(
    lambda seconds: datetime(1992, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


def test_midnight_in_shanghai_divides_months() -> None:
    assert Month.of(civil_day(datetime(2025, 7, 31, 15, 59, 59, tzinfo=UTC))) == Month(2025, 7)
    assert Month.of(civil_day(datetime(2025, 7, 31, 16, 0, 0, tzinfo=UTC))) == Month(2025, 8)


def test_a_month_knows_its_last_day() -> None:
    assert Month(2024, 2).last_day == date(2024, 2, 29)
    assert Month(2025, 2).last_day == date(2025, 2, 28)
    assert Month(2025, 12).last_day == date(2025, 12, 31)


@pytest.mark.parametrize("text", ["2025-13", "2025-00", "2025", "July", "2025-W01", "2025-07-01"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Month.parse(text)


def test_a_month_is_written_as_people_do() -> None:
    assert str(Month(2025, 7)) == "2025-07"
    assert Month.parse("2025-07") == Month(2025, 7)


@given(months, st.integers(-500, 500), st.integers(-500, 500))
def test_months_add_up(month: Month, first: int, second: int) -> None:
    assert month.plus(first).plus(second) == month.plus(first + second)
    assert (month.plus(first) > month) == (first > 0)


@given(days)
def test_every_day_lies_in_one_month(day: date) -> None:
    month = Month.of(day)

    assert day in month.days
    assert day not in month.plus(1).days
    assert day not in month.plus(-1).days
    assert month.first_day <= day <= month.last_day


@given(months, st.integers(0, 60))
def test_months_until_an_end_leave_no_day_out(month: Month, count: int) -> None:
    between = list(month.until(month.plus(count)))

    assert len(between) == count
    assert (
        sum(each.days.day_count for each in between)
        == (month.plus(count).first_day - month.first_day).days
    )


@given(moments)
def test_a_moment_lies_in_the_month_of_its_civil_day(moment: datetime) -> None:
    start, end = Month.of(civil_day(moment)).moments

    assert start <= moment < end


@given(days)
def test_the_first_moment_of_a_day_is_on_it(day: date) -> None:
    assert civil_day(first_moment(day)) == day
    assert civil_day(first_moment(day) - timedelta(seconds=1)) == day - timedelta(days=1)


def test_a_span_holds_its_start_and_not_its_end() -> None:
    span = Span(date(2025, 7, 1), date(2025, 7, 3))

    assert date(2025, 7, 1) in span
    assert date(2025, 7, 3) not in span
    assert span.day_count == 2


def test_a_span_without_an_end_goes_on() -> None:
    assert date(2199, 1, 1) in Span(date(2025, 7, 1))
    with pytest.raises(ValueError, match="without an end"):
        _ = Span(date(2025, 7, 1)).day_count


def test_someone_born_on_29_february_comes_of_age_on_the_last_day_of_february() -> None:
    born = date(2008, 2, 29)

    assert birthday(born, 18) == date(2026, 2, 28)
    assert age_on(born, date(2026, 2, 27)) == 17
    assert age_on(born, date(2026, 2, 28)) == 18
    assert birthday(born, 4) == date(2012, 2, 29)


@given(st.dates(date(1900, 1, 1), date(2050, 12, 31)), st.integers(0, 120))
def test_an_age_begins_on_its_birthday(born: date, age: int) -> None:
    day = birthday(born, age)

    assert age_on(born, day) == age
    assert age_on(born, day - timedelta(days=1)) == age - 1


@given(st.integers(0, 400), st.integers(0, 400))
def test_months_are_counted_up_to_an_end(start: int, count: int) -> None:
    first = Month(2022, 7).plus(start)

    assert (
        first.count_until(first.plus(count)) == count == len(list(first.until(first.plus(count))))
    )
