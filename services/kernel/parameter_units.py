"""The units of parameters, and whether a value fits its unit.

A unit begins with a measure: `yuan per month`, `share of the benefit base`, `working days`. After a
comma, a semicolon, a colon or `and` it may name a further measure for the other values of a table,
and `by ...` names the keys of a table. A choice is written out: `on or off`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from services.kernel.identifiers import is_division

Fits = Callable[[str], bool]

RATE_MAX = Decimal(1000)
RATE_DECIMALS = 6
GRADES = frozenset(str(grade) for grade in range(1, 11))
LIMIT_UNITS = frozenset({"days", "working days", "months", "hours"})

_CHOICE = re.compile(r"\w+(?:, \w+)* or \w+")
_KEYS = re.compile(r", by .*$")
_PARTS = re.compile(r"[;:,]| and ")
_WORD = re.compile(r"[\w.+-]{1,40}")


def _decimal(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _decimals(text: str, most: int) -> bool:
    number = _decimal(text)
    if number is None or number < 0:
        return False
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and -exponent <= most


def _yuan(text: str) -> bool:
    return _decimals(text, 2)


def _yuan_per_order(text: str) -> bool:
    return _decimals(text, 4)


def _rate(text: str) -> bool:
    return _decimals(text, RATE_DECIMALS) and Decimal(text) <= RATE_MAX


def _whole(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _day_of_month(text: str) -> bool:
    return _whole(text) and 1 <= int(text) <= 31


def _grade(text: str) -> bool:
    return text in GRADES


def _word(text: str) -> bool:
    return _WORD.fullmatch(text) is not None


def _day(text: str) -> bool:
    return day_in(text) is not None


def day_in(text: str) -> date | None:
    """The day that a text is; None for another text."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


# The first measure that matches the beginning of a part of the unit applies.
MEASURES: tuple[tuple[str, Fits, str], ...] = (
    (r"yuan per order\b", _yuan_per_order, "an amount in yuan of up to four decimals"),
    (r"yuan\b", _yuan, "an amount in yuan of up to two decimals"),
    (r"(?:shares?|factors?|times)\b", _rate, "a decimal from 0 on"),
    (r"day of the month\b", _day_of_month, "a day from 1 to 31"),
    (r"day\b", _day, "a day such as 2025-07-01"),
    (
        r"(?:calendar |working )?(?:days|years|months?|hours|minutes)\b",
        _whole,
        "a whole number",
    ),
    (r"(?:count of|cases|bands|orders|mg per)\b", _whole, "a whole number"),
    (r"division codes\b", is_division, "a division code of six digits"),
    (r"grade\b", _grade, "a grade from 1 to 10"),
    (r"(?:name of|whether)\b", _word, "a word"),
)
LIMIT = "a limit"


def unknown_unit(unit: str) -> str:
    """What is wrong with a unit; empty if it begins with a measure or is a choice."""
    if unit.startswith(LIMIT) or _choice(unit) or _measures(unit):
        return ""
    known = (
        "yuan, share, times, factor, days, months, years, hours, count of, grade, division codes"
    )
    return f"{unit!r} is not a unit; begin it with one of {known}, or write out a choice"


def misfit(value: Any, unit: str, at: str) -> Iterator[tuple[str, str]]:
    """Where a value does not fit its unit: the key, and what to write."""
    if unit.startswith(LIMIT):
        yield from _misfit_of_limit(value, at)
        return
    choice = _choice(unit)
    measures = _measures(unit)
    for key, text in _texts(value, at, named="grade" if unit.startswith("grade") else ""):
        if choice:
            if text not in choice:
                yield key, f"{text!r} is not one of {', '.join(sorted(choice))}"
        elif measures and not any(fits(text) for _, fits, _ in measures):
            form = " or ".join(dict.fromkeys(form for _, _, form in measures))
            yield key, f"{text!r} does not fit the unit {unit!r}; write {form}"


def _misfit_of_limit(value: Any, at: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, Mapping) or set(value) != {"count", "unit"}:
        yield at, "a limit is a count and a unit; write both"
        return
    if not _whole(str(value["count"])):
        yield f"{at}.count", f"{value['count']!r} is not a whole number"
    if str(value["unit"]) not in LIMIT_UNITS:
        yield f"{at}.unit", f"{value['unit']!r} is not one of {', '.join(sorted(LIMIT_UNITS))}"


def _choice(unit: str) -> frozenset[str]:
    without_keys = _KEYS.sub("", unit)
    if not _CHOICE.fullmatch(without_keys):
        return frozenset()
    return frozenset(re.split(r", | or ", without_keys))


def _measures(unit: str) -> list[tuple[str, Fits, str]]:
    """The measures that the parts of a unit begin with; `repay in days` names its key first."""
    measures = []
    for part in _PARTS.split(unit):
        stripped = part.strip()
        for text in (stripped, re.sub(r"^\w+ in ", "", stripped)):
            first = [measure for measure in MEASURES if re.match(measure[0], text)][:1]
            if first:
                measures += first
                break
    return measures


def _texts(value: Any, at: str, named: str) -> Iterator[tuple[str, str]]:
    """The texts in a value by key; with `named` only those under a key of that name."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            below = isinstance(item, Mapping | list)
            if below or not named or key == named:
                yield from _texts(item, f"{at}.{key}", named if below else "")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{at}[{index}]", named)
    elif isinstance(value, str):
        yield at, value
    elif isinstance(value, date):
        yield at, value.isoformat()
