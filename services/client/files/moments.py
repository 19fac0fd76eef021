"""Moments over whole columns: from what a file holds to UTC in microseconds.

Sound columns take one pass: a cast that is right for all cells. Only where that fails each cell is
taken apart, so that a wrong one costs its row and no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from services.client.files.cells import (
    Reading,
    as_texts,
    is_true,
    null_where,
    numbers_in,
    real,
    whole,
)
from services.client.files.faults import RowFault
from services.client.files.forms import (
    EXCEL_EPOCH_DAYS,
    ISO_PARTS,
    ISO_PATTERN,
    MONTHS,
    Form,
)
from services.client.files.zones import Never, Twice, to_utc

MOMENT = pa.timestamp("us", tz="UTC")
DAY_US = 86_400_000_000
# The shortest text with a time: 2025-07-10 09:00. A shorter one that casts is a day.
_WITH_TIME_LENGTH = 16
_DAY_ALONE = r"^\s*(\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{8})\s*$"
# 2000-01-01 to 2100-01-01: what lies outside was read in a wrong unit or form.
_FIRST_US, _END_US = 946_684_800_000_000, 4_102_444_800_000_000
# A century, so that no sum overflows.
_SPAN_US_MAX = 3.2e15
_DAYS_IN_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class NotMoments(Exception):  # noqa: N818 - the reader names the column and refuses the file
    """The type of the column holds no moments. `days` if it holds days."""

    def __init__(self, kind: str, *, days: bool = False) -> None:
        super().__init__(kind)
        self.days = days


@dataclass(frozen=True)
class MomentRule:
    """How the moments of a column are written."""

    form: Form | None = None
    zone: str = ""
    year: int = 0
    twice: Twice = "refuse"
    never: Never = "refuse"


@dataclass
class _Clock:
    """Times as the clock shows them, in microseconds; `offset` is that to UTC where written."""

    times: Any
    offset: Any
    wrong: Any


def read_moments(column: Any, rule: MomentRule) -> Reading:
    """The moments of a column in UTC. Raises NotMoments if its type holds none."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        if kind.tz is not None:
            return _plausible(column.cast(MOMENT, safe=False))
        return _in_zone(column.cast(pa.timestamp("us"), safe=False).view(pa.int64()), rule)
    if pa.types.is_date(kind):
        raise NotMoments(str(kind), days=True)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        if rule.form is None or not rule.form.unit_us:
            raise NotMoments(str(kind))
        return (
            _of_numbers(column.cast(pa.float64()), rule)
            if not pa.types.is_integer(kind)
            else (_of_whole(column.cast(pa.int64()), rule))
        )
    texts = as_texts(column)
    if texts is None:
        raise NotMoments(str(kind))
    if rule.form is not None and rule.form.unit_us:
        return _of_number_texts(texts, rule)
    return _quick(texts, rule) or _cell_by_cell(texts, rule)


def add_span(origin: Any, length: Any, factor_us: int) -> Reading:
    """Moments some time after others; `length` is a column of numbers."""
    number = numbers_in(length)
    us = pc.multiply(number.values, real(factor_us))
    wrong = _outside(us, -_SPAN_US_MAX, _SPAN_US_MAX)
    microseconds = pc.round(null_where(us, wrong)).cast(pa.int64())
    moments = pc.add(origin.view(pa.int64()), microseconds)
    return Reading(moments.view(MOMENT), [*number.faults, (RowFault.NOT_A_NUMBER, wrong)])


def _quick(texts: Any, rule: MomentRule) -> Reading | None:
    """The moments if one cast is right for all cells; else None."""
    separator = rule.form.separator if rule.form is not None else ""
    if rule.form is not None and not separator:
        return None
    written = pc.replace_substring(texts, separator, "-") if separator else texts
    shortest = pc.min(pc.binary_length(written)).as_py()
    if shortest is not None and shortest < _WITH_TIME_LENGTH:
        return None
    try:
        if rule.zone:
            clock = written.cast(pa.timestamp("us"))
            return _in_zone(clock.view(pa.int64()), rule)
        return _plausible(written.cast(MOMENT))
    except pa.ArrowInvalid:
        return None


def _cell_by_cell(texts: Any, rule: MomentRule) -> Reading:
    """Each text by the form, or else as ISO 8601 writes it."""
    clock = _taken_apart(texts, ISO_PATTERN, ISO_PARTS, rule.year)
    if rule.form is not None:
        in_form = _taken_apart(texts, rule.form.pattern, rule.form.parts, rule.year)
        clock = _Clock(
            *(
                pc.if_else(in_form.wrong, theirs, ours)
                for ours, theirs in (
                    (in_form.times, clock.times),
                    (in_form.offset, clock.offset),
                    (in_form.wrong, clock.wrong),
                )
            )
        )
    is_day = pc.and_(clock.wrong, _matches(texts, _DAY_ALONE))
    faults = [
        (RowFault.MOMENT_WITHOUT_TIME, is_day),
        (RowFault.NOT_A_MOMENT, pc.and_not(clock.wrong, is_day)),
    ]
    has_offset = pc.is_valid(clock.offset)
    exact = pc.subtract(clock.times, clock.offset)
    without = null_where(clock.times, has_offset)
    if not rule.zone:
        faults.append((RowFault.MOMENT_WITHOUT_ZONE, pc.is_valid(without)))
        return _plausible(exact.view(MOMENT), faults)
    zoned = _in_zone(without, rule)
    return _plausible(
        pc.coalesce(exact, zoned.values.view(pa.int64())).view(MOMENT), [*faults, *zoned.faults]
    )


def _taken_apart(texts: Any, pattern: str, parts: tuple[str, ...], year: int) -> _Clock:
    """The clock's time in each text that the pattern fits; `wrong` where there is none."""
    fields = pc.extract_regex(texts, pattern)
    part = {name: pc.struct_field(fields, [name]) for name in parts}
    count = len(texts)

    def number(name: str, default: int = 0) -> Any:
        if name not in part:
            return pa.repeat(pa.scalar(default, pa.int64()), count)
        digits = pc.if_else(pc.equal(part[name], ""), str(default), part[name])
        return digits.cast(pa.int64())

    years = (
        number("year", year)
        if "short_year" not in part
        else pc.add(number("short_year"), whole(2000))
    )
    months = _month_numbers(part["month_name"]) if "month_name" in part else number("month")
    hours = _with_half(number("hour"), part["half"]) if "half" in part else number("hour")
    days, minutes, seconds = number("day"), number("minute"), number("second")
    fraction = _fraction_us(part["fraction"]) if "fraction" in part else number("fraction")
    small = pc.add(
        pc.multiply(pc.add(pc.multiply(minutes, whole(60)), seconds), 1_000_000), fraction
    )
    in_day = pc.add(pc.multiply(hours, whole(3_600_000_000)), small)
    times = pc.add(pc.multiply(_days_since_epoch(years, months, days), whole(DAY_US)), in_day)
    sound = pc.and_(
        _is_day(years, months, days),
        pc.and_(
            pc.and_(pc.less(minutes, whole(60)), pc.less(seconds, whole(60))),
            # 24:00 is the end of the day.
            pc.and_(pc.less_equal(hours, whole(24)), pc.less_equal(in_day, whole(DAY_US))),
        ),
    )
    is_read = is_true(sound)
    offset = _offsets_us(part["offset"]) if "offset" in part else pa.nulls(count, pa.int64())
    wrong = pc.and_not(pc.is_valid(texts), is_read)
    return _Clock(null_where(times, pc.invert(is_read)), offset, wrong)


def _days_since_epoch(years: Any, months: Any, days: Any) -> Any:
    """Days from 1970-01-01 by the Gregorian calendar, counted in years that begin in March."""
    is_early = pc.less_equal(months, whole(2)).cast(pa.int64())
    year = pc.subtract(years, is_early)
    month = pc.subtract(pc.add(months, pc.multiply(is_early, whole(12))), 3)
    in_year = pc.add(
        pc.divide(pc.add(pc.multiply(month, 153), whole(2)), 5), pc.subtract(days, whole(1))
    )
    leaps = pc.add(
        pc.subtract(pc.divide(year, whole(4)), pc.divide(year, whole(100))),
        pc.divide(year, whole(400)),
    )
    return pc.subtract(pc.add(pc.add(pc.multiply(year, whole(365)), leaps), in_year), 719_468)


def _is_day(years: Any, months: Any, days: Any) -> Any:
    """Whether the calendar has the day."""
    is_month = pc.and_(pc.greater_equal(months, whole(1)), pc.less_equal(months, whole(12)))
    lengths = pa.array(_DAYS_IN_MONTH, pa.int64())
    length = lengths.take(pc.subtract(pc.if_else(is_month, months, 1), whole(1)))

    def divides(number: int) -> Any:
        return pc.equal(pc.multiply(pc.divide(years, number), number), years)

    is_leap = pc.or_(pc.and_not(divides(4), divides(100)), divides(400))
    extra = pc.and_(is_leap, pc.equal(months, whole(2))).cast(pa.int64())
    in_month = pc.and_(pc.greater_equal(days, whole(1)), pc.less_equal(days, pc.add(length, extra)))
    return pc.and_(is_month, in_month)


def _month_numbers(names: Any) -> Any:
    short = pc.utf8_slice_codeunits(pc.utf8_lower(names), 0, 3)
    place = pc.index_in(short, value_set=pa.array(MONTHS)).cast(pa.int64())
    return pc.add(pc.fill_null(place, -1), whole(1))


def _with_half(hours: Any, half: Any) -> Any:
    """Hours from 1 to 12 of a half of the day; any other hour becomes one that does not exist."""
    is_late = pc.match_substring_regex(half, "^([Pp]|下午)")
    of_half = pc.if_else(pc.equal(hours, whole(12)), 0, hours)
    is_sound = pc.and_(pc.greater_equal(hours, whole(1)), pc.less_equal(hours, whole(12)))
    return pc.if_else(is_sound, pc.add(of_half, pc.if_else(is_late, 12, 0)), 99)


def _fraction_us(digits: Any) -> Any:
    padded = pc.utf8_slice_codeunits(pc.utf8_rpad(digits, 9, "0"), 0, 6)
    return padded.cast(pa.int64())


def _offsets_us(texts: Any) -> Any:
    """The offset to UTC in microseconds; null where none is written."""
    written = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    digits = pc.replace_substring_regex(written, "[Zz:+-]", "")
    padded = pc.utf8_rpad(digits, 4, "0")
    hours = pc.utf8_slice_codeunits(padded, 0, 2).cast(pa.int64())
    minutes = pc.utf8_slice_codeunits(padded, 2, 4).cast(pa.int64())
    size = pc.multiply(pc.add(pc.multiply(hours, whole(60)), minutes), 60_000_000)
    return pc.if_else(pc.starts_with(written, "-"), pc.negate(size), size)


def _of_number_texts(texts: Any, rule: MomentRule) -> Reading:
    """Texts that are numbers of a unit; those that are moments as ISO 8601 writes them too."""
    try:
        return _of_whole(texts.cast(pa.int64()), rule)
    except pa.ArrowInvalid:
        number = numbers_in(texts)
        of_numbers = _of_numbers(number.values, rule)
        if not number.faults:
            return of_numbers
        is_text = pc.is_null(number.values)
        written = _cell_by_cell(null_where(texts, pc.invert(is_text)), _without_form(rule))
        moments = pc.coalesce(of_numbers.values, written.values)
        return Reading(moments, [*of_numbers.faults, *written.faults])


def _without_form(rule: MomentRule) -> MomentRule:
    """The rule for what is written as ISO 8601 has it."""
    return MomentRule(None, rule.zone, rule.year, rule.twice, rule.never)


def _of_whole(numbers: Any, rule: MomentRule) -> Reading:
    assert rule.form is not None
    if rule.form.text == "excel days":
        return _of_numbers(numbers.cast(pa.float64()), rule)
    unit = rule.form.unit_us
    most = _END_US // unit
    is_far = pc.or_(pc.less(numbers, whole(0)), pc.greater(numbers, whole(most)))
    sane = null_where(numbers, is_far)
    reading = _plausible(pc.multiply(sane, whole(unit)).view(MOMENT))
    far = is_true(is_far)
    return Reading(reading.values, [(RowFault.IMPLAUSIBLE_MOMENT, far), *reading.faults])


def _of_numbers(numbers: Any, rule: MomentRule) -> Reading:
    """Numbers with fractions; days of a spreadsheet are times of the clock."""
    assert rule.form is not None
    is_excel = rule.form.text == "excel days"
    unit = rule.form.unit_us
    # Days of a spreadsheet begin seventy years earlier.
    far = _outside(numbers, 0.0, _END_US / unit + 70_000)
    sane = null_where(numbers, far)
    if is_excel:
        sane = pc.add(sane, real(EXCEL_EPOCH_DAYS))
    # Whole milliseconds: the last digits of a fraction of a day are noise.
    step = 1000 if is_excel else 1
    units = pc.round(pc.multiply(sane, real(unit // step))).cast(pa.int64())
    microseconds = pc.multiply(units, whole(step))
    reading = _in_zone(microseconds, rule) if is_excel else _plausible(microseconds.view(MOMENT))
    return Reading(reading.values, [(RowFault.IMPLAUSIBLE_MOMENT, far), *reading.faults])


def _in_zone(clock: Any, rule: MomentRule) -> Reading:
    """Times of the clock in the zone of the file."""
    if not rule.zone:
        nothing = pa.nulls(len(clock), MOMENT)
        return Reading(nothing, [(RowFault.MOMENT_WITHOUT_ZONE, pc.is_valid(clock))])
    utc = to_utc(clock, rule.zone, rule.twice, rule.never)
    faults = []
    if utc.twice is not None:
        faults.append((RowFault.HOUR_EXISTS_TWICE, is_true(utc.twice)))
    if utc.never is not None:
        faults.append((RowFault.HOUR_NEVER_EXISTS, is_true(utc.never)))
    return _plausible(utc.moments.view(MOMENT), faults)


def _plausible(moments: Any, faults: list[tuple[RowFault, Any]] | None = None) -> Reading:
    """The moments, with those outside this century as faults."""
    microseconds = moments.view(pa.int64())
    least, most = (value.as_py() for value in pc.min_max(microseconds).values())
    if least is None or (least >= _FIRST_US and most < _END_US):
        return Reading(moments, faults or [])
    outside = pc.or_(
        pc.less(microseconds, whole(_FIRST_US)), pc.greater_equal(microseconds, whole(_END_US))
    )
    far = is_true(outside)
    return Reading(moments, [*(faults or []), (RowFault.IMPLAUSIBLE_MOMENT, far)])


def _outside(numbers: Any, least: float, most: float) -> Any:
    """Where a number is out of range, infinite, or none at all."""
    inside = pc.and_(pc.greater_equal(numbers, real(least)), pc.less_equal(numbers, real(most)))
    return pc.and_(pc.is_valid(numbers), pc.invert(is_true(inside)))


def _matches(texts: Any, pattern: str) -> Any:
    return is_true(pc.match_substring_regex(texts, pattern))
