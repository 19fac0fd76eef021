"""The form of moments, guessed from examples."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from services.client.files.cells import trimmed
from services.client.files.forms import UNITS, parse_form
from services.client.files.moments import MomentRule, read_moments
from services.client.files.remarks import Remark

_DAY = re.compile(
    r"\s*(\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{8})\s*"
)
_TIME = re.compile(r"\s*\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?\s*")
_OFFSET = re.compile(r".*\d\d:\d\d.*([Zz]|[+-]\d{2}(:?\d{2})?)\s*", re.DOTALL)
_NUMBER = re.compile(r"\s*\d+(\.\d+)?\s*")
# How many units have passed since 1970 in the years 2001 to 2096; 80 years of days from 1900.
_RANGES = {
    "unix seconds": (1e9, 4e9),
    "unix milliseconds": (1e12, 4e12),
    "unix microseconds": (1e15, 4e15),
    "excel days": (3.6e4, 7.2e4),
}
_DATES = (
    *("%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%Y年%m月%d日", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y"),
    *("%d-%m-%Y", "%d %b %Y", "%b %d, %Y", "%Y-%m-%d", "%m-%d", "%m/%d"),
)
_TIMES = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p", "%H%M%S", "%H时%M分%S秒")
_FORMS = (*(f"{date} {time}" for date in _DATES for time in _TIMES), "%Y%m%d%H%M%S", "%Y%m%d%H%M")
_SHARE = 0.9


@dataclass(frozen=True)
class FormGuess:
    """A form that most examples have: empty for ISO 8601, not known if none fits."""

    form: str = ""
    is_known: bool = True
    needs_zone: bool = False
    needs_year: bool = False
    note: Remark | None = None


def guess_form(values: Sequence[str]) -> FormGuess:
    """The form of examples; a few that do not fit are no harm."""
    texts = trimmed(pa.array(list(values), pa.string())).drop_null()
    if not len(texts):
        return FormGuess()
    if _share(texts, "") >= _SHARE:
        return FormGuess(needs_zone=not all(map(_OFFSET.fullmatch, texts.to_pylist())))
    unit = _unit(texts.to_pylist())
    if unit:
        return FormGuess(unit, needs_zone=unit == "excel days")
    fitting = [form for form in _FORMS if _share(texts, form) >= _SHARE]
    if not fitting:
        return FormGuess(is_known=False)
    form = fitting[0]
    note = None
    other = next((one for one in fitting[1:] if "%m/%d" in form and "%d/%m" in one), "")
    if other:
        note = Remark(
            f'form "{form}" may as well be "{other}": no day of the first rows is after the 12th',
            f"时间格式 `{form}` 也可能是 `{other}`: 前几行的日期都不晚于 12 日",
        )
    return FormGuess(form, needs_zone=True, needs_year=not parse_form(form).has_year, note=note)


def is_day(text: str) -> bool:
    """Whether a text is a day without a time."""
    return _DAY.fullmatch(text) is not None


def is_time(text: str) -> bool:
    """Whether a text is a time without a day."""
    return _TIME.fullmatch(text) is not None


def _unit(values: Sequence[str]) -> str:
    if not all(map(_NUMBER.fullmatch, values)):
        return ""
    numbers = [float(value) for value in values]
    for unit in UNITS:
        low, high = _RANGES[unit]
        if all(low <= number <= high for number in numbers):
            return unit
    return ""


def _share(texts: pa.Array, form: str) -> float:
    rule = MomentRule(parse_form(form) if form else None, "UTC", year=2024)
    if form and "%" in form:
        # By the form alone, not as ISO 8601 writes moments.
        matched = pc.match_substring_regex(texts, parse_form(form).pattern)
        if (pc.mean(matched.cast(pa.float64())).as_py() or 0.0) < _SHARE:
            return 0.0
    reading = read_moments(texts, rule)
    wrong = [mask for _, mask in reading.faults]
    bad = pa.repeat(pa.scalar(value=False), len(texts))
    for mask in wrong:
        bad = pc.or_(bad, mask)
    return 1.0 - float(pc.mean(bad.cast(pa.float64())).as_py())
