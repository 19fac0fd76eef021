"""Times as files write them: forms, zones, units, and the day on which the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from services.client.files.form_guesses import guess_form
from services.client.files.forms import FormWrong, parse_form
from services.client.files.moments import MomentRule, add_span, read_moments
from services.client.files.zones import to_utc

NINE = datetime(2025, 7, 10, 1, 0, tzinfo=UTC)


def read(
    values: list[Any], form: str = "", zone: str = "Asia/Shanghai", **rule: Any
) -> list[datetime | str | None]:
    """Each cell's moment, or the fault that it has."""
    column = pa.array(values)
    reading = read_moments(column, MomentRule(parse_form(form) if form else None, zone, **rule))
    found: list[datetime | str | None] = reading.values.to_pylist()
    for fault, mask in reversed(reading.faults):
        for place in pc.indices_nonzero(mask).to_pylist():
            found[place] = fault.name
    return found


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2025-07-10 09:00:00", ""),
        ("2025-07-10T09:00", ""),
        ("2025-07-10T01:00:00Z", ""),
        ("2025-07-10T09:00:00+0800", ""),
        ("2025-07-10 09:00:00.000000+08", ""),
        (" 2025-7-10  9:00 ", ""),
        ("2025-07-09 25:00", None),
        ("2025/07/10 09:00:00", "%Y/%m/%d %H:%M:%S"),
        ("2025.07.10 09:00", "%Y.%m.%d %H:%M"),
        ("2025/7/10 9:00:00", "%Y/%m/%d %H:%M:%S"),
        ("20250710090000", "%Y%m%d%H%M%S"),
        ("10.07.2025 09:00", "%d.%m.%Y %H:%M"),
        ("07/10/2025 09:00:00 AM", "%m/%d/%Y %I:%M:%S %p"),
        ("2025/07/10 上午09:00:00", "%Y/%m/%d %p%I:%M:%S"),
        ("Jul 10, 2025 9:00 am", "%b %d, %Y %I:%M %p"),
        ("Thu 10 July 2025 09:00", "%a %d %B %Y %H:%M"),
        ("2025年7月10日 09时00分00秒", "%Y年%m月%d日 %H时%M分%S秒"),
        ("10/07/25 09:00", "%d/%m/%y %H:%M"),
        ("2025-07-10 08:30:00 +0730", "%F %T %z"),
        ("1752109200", "unix seconds"),
        ("1752109200.0", "unix seconds"),
        ("1752109200000", "unix milliseconds"),
        ("1752109200000000", "unix microseconds"),
        ("45848.375", "excel days"),
    ],
)
def test_a_form_reads_what_is_written_in_it(text: str, form: str | None) -> None:
    if form is None:
        assert read([text]) == ["NOT_A_MOMENT"]
    else:
        assert read([text], form) == [NINE]
        # Beside a cell that is wrong, each cell is taken apart.
        assert read([text, "never"], form)[0] == NINE


def test_a_moment_as_iso_8601_writes_it_is_read_beside_any_form() -> None:
    assert read(["2025-07-10 09:00", "2025/07/10 09:00"], "%Y/%m/%d %H:%M") == [NINE, NINE]
    assert read(["2025-07-10 09:00", "1752109200"], "unix seconds") == [NINE, NINE]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("2025-07-10", "MOMENT_WITHOUT_TIME"),
        ("10/07/2025", "MOMENT_WITHOUT_TIME"),
        ("20250710", "MOMENT_WITHOUT_TIME"),
        ("2025-02-29 10:00", "NOT_A_MOMENT"),
        ("2025-13-01 10:00", "NOT_A_MOMENT"),
        ("2025-07-10 10:60", "NOT_A_MOMENT"),
        ("2025-07-10 24:00:01", "NOT_A_MOMENT"),
        ("yesterday", "NOT_A_MOMENT"),
        ("1969-07-20 20:17", "IMPLAUSIBLE_MOMENT"),
    ],
)
def test_a_cell_that_is_no_moment_has_its_fault(value: str, fault: str) -> None:
    assert read([value, "2025-07-10 09:00", None]) == [fault, NINE, None]


def test_the_end_of_a_day_is_the_beginning_of_the_next() -> None:
    assert read(["2025-12-31 24:00:00"], zone="UTC") == [datetime(2026, 1, 1, tzinfo=UTC)]


def test_the_29th_of_february_is_a_day_of_leap_years_alone() -> None:
    cells = [f"{year}-02-29 12:00x" for year in (2000, 2024, 2025, 2100)]

    found = read(cells, "%Y-%m-%d %H:%Mx", zone="UTC")

    assert [isinstance(one, datetime) for one in found] == [True, True, False, False]


def test_a_number_of_another_unit_is_implausible() -> None:
    assert read(["1752109200000"], "unix seconds") == ["IMPLAUSIBLE_MOMENT"]
    assert read([1752109200], "unix milliseconds") == ["IMPLAUSIBLE_MOMENT"]


def test_a_time_without_a_zone_needs_one() -> None:
    found = read(["2025-07-10 09:00", "2025-07-10 09:00+08:00"], zone="")

    assert found == ["MOMENT_WITHOUT_ZONE", NINE]


@pytest.mark.parametrize(
    ("clock", "rule", "expected"),
    [
        ("2025-11-02 01:15", {}, "HOUR_EXISTS_TWICE"),
        ("2025-11-02 01:15", {"twice": "earlier"}, datetime(2025, 11, 2, 6, 15, tzinfo=UTC)),
        ("2025-11-02 01:15", {"twice": "later"}, datetime(2025, 11, 2, 7, 15, tzinfo=UTC)),
        ("2025-11-02 00:59", {}, datetime(2025, 11, 2, 5, 59, tzinfo=UTC)),
        ("2025-11-02 02:00", {}, datetime(2025, 11, 2, 8, 0, tzinfo=UTC)),
        ("2025-03-09 02:30", {}, "HOUR_NEVER_EXISTS"),
        ("2025-03-09 02:30", {"never": "forward"}, datetime(2025, 3, 9, 8, 30, tzinfo=UTC)),
        ("2025-03-09 02:30", {"never": "back"}, datetime(2025, 3, 9, 7, 30, tzinfo=UTC)),
        ("2025-03-09 01:59", {}, datetime(2025, 3, 9, 7, 59, tzinfo=UTC)),
        ("2025-03-09 03:00", {}, datetime(2025, 3, 9, 8, 0, tzinfo=UTC)),
        ("2025-11-02 01:15-05:00", {}, datetime(2025, 11, 2, 6, 15, tzinfo=UTC)),
    ],
)
def test_hours_that_exist_twice_or_never_follow_the_mapping(
    clock: str, rule: dict[str, Any], expected: datetime | str
) -> None:
    cells = [clock, "2025-07-01 00:00", "2025-01-01 00:00"]

    assert read(cells, zone="America/Chicago", **rule)[0] == expected


def test_a_zone_agrees_with_the_standard_library_over_a_year() -> None:
    from zoneinfo import ZoneInfo

    zone = "Europe/Berlin"
    start = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
    clocks = [start + 1800 * step for step in range(17_520)]
    column = pa.array([second * 1_000_000 for second in clocks], pa.int64())

    found = to_utc(column, zone, "earlier", "forward").moments.to_pylist()

    expected = [
        datetime.fromtimestamp(second, UTC).replace(tzinfo=ZoneInfo(zone)).timestamp()
        for second in clocks
    ]
    assert [moment / 1_000_000 for moment in found] == expected


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("yyyy-MM-dd HH:mm", "has no month and day"),
        ("%Y-%m-%d", "has no hour and minute"),
        ("%Q %m-%d %H:%M", "has the part %Q, which is not known"),
        ("%d %d %m %H:%M", "names a part of the time twice"),
        ("%d.%m.%Y %I:%M", "needs %I and %p together"),
        ("%", "has the part %, which is not known"),
    ],
)
def test_a_text_that_is_no_form_says_why(form: str, words: str) -> None:
    with pytest.raises(FormWrong, match=words) as wrong:
        parse_form(form)
    assert wrong.value.what_zh != wrong.value.what


def test_a_length_of_time_is_added_in_its_unit() -> None:
    begun = pa.array([NINE, NINE, None], pa.timestamp("us", tz="UTC"))

    after = add_span(begun, pa.array(["90", "x", "5"]), 1_000_000)
    before = add_span(begun, pa.array([1.5, None, 2.0]), -60_000_000)

    assert after.values[0].as_py() == datetime(2025, 7, 10, 1, 1, 30, tzinfo=UTC)
    assert [fault.name for fault, mask in after.faults if pc.any(mask).as_py()] == ["NOT_A_NUMBER"]
    assert before.values[0].as_py() == datetime(2025, 7, 10, 0, 58, 30, tzinfo=UTC)


@pytest.mark.parametrize("value", ["nan", "inf", "1e300", "-1e300"])
def test_numbers_that_are_no_length_and_no_moment_cost_their_row(value: str) -> None:
    begun = pa.array([NINE, NINE], pa.timestamp("us", tz="UTC"))

    span = add_span(begun, pa.array([value, "60"]), 1_000_000)

    assert [mask.to_pylist() for _, mask in span.faults if mask[0].as_py()] == [[True, False]]
    assert read([float(value), 1752109200.0], "unix seconds") == ["IMPLAUSIBLE_MOMENT", NINE]
    assert read([value, "1752109200.0"], "unix seconds")[1] == NINE
    assert isinstance(read([value], "excel days")[0], str)


@pytest.mark.parametrize(
    ("values", "form", "note"),
    [
        (["2025-07-10 09:00:00"] * 3, "", ""),
        (["1752109200000", "1752109200001"], "unix milliseconds", ""),
        (["45848.375"], "excel days", ""),
        (["13/07/2025 09:00", "01/07/2025 09:00"], "%d/%m/%Y %H:%M", ""),
        (["03/07/2025 09:00"], "%m/%d/%Y %H:%M", "may as well be"),
        (["07-10 08:46:00"], "%m-%d %H:%M:%S", ""),
        (["20250710090000"], "%Y%m%d%H%M%S", ""),
    ],
)
def test_a_form_is_guessed_from_examples(values: list[str], form: str, note: str) -> None:
    guess = guess_form(values)

    assert (guess.form, guess.is_known) == (form, True)
    assert note in (guess.note.en if guess.note else "")


def test_a_form_that_nobody_knows_is_not_guessed() -> None:
    assert not guess_form(["noon", "dusk"]).is_known
    assert guess_form(["07-10 08:46:00"]).needs_year
    assert not guess_form(["2025-07-10T09:00Z"]).needs_zone
