"""Forms of moments: how a mapping says in which form a file writes its times."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# Numbers instead of a written time: microseconds per unit.
UNITS = {
    "unix seconds": 1_000_000,
    "unix milliseconds": 1_000,
    "unix microseconds": 1,
    "excel days": 86_400_000_000,
}
EXCEL_EPOCH_DAYS = -25_569  # 1899-12-30, from which spreadsheets count days

_SHORTHANDS = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M"}
# A directive: its part of the moment, and its pattern with one or two digits, or with two.
_DIRECTIVES: dict[str, tuple[str, str, str]] = {
    "Y": ("year", r"\d{4}", r"\d{4}"),
    "y": ("short_year", r"\d{2}", r"\d{2}"),
    "m": ("month", r"\d{1,2}", r"\d{2}"),
    "d": ("day", r"\d{1,2}", r"\d{2}"),
    "H": ("hour", r"\d{1,2}", r"\d{2}"),
    "I": ("hour", r"\d{1,2}", r"\d{2}"),
    "M": ("minute", r"\d{1,2}", r"\d{2}"),
    "S": ("second", r"\d{1,2}", r"\d{2}"),
    "f": ("fraction", r"\d{1,9}", r"\d{1,9}"),
    "p": ("half", r"[AaPp]\.?[Mm]\.?|上午|下午", r"[AaPp]\.?[Mm]\.?|上午|下午"),
    "z": ("offset", r"[Zz]|[+-]\d{2}(?::?\d{2})?", r"[Zz]|[+-]\d{2}(?::?\d{2})?"),
    "b": ("month_name", r"[A-Za-z]{3}[a-z]*", r"[A-Za-z]{3}"),
    "B": ("month_name", r"[A-Za-z]{3}[a-z]*", r"[A-Za-z]{3}[a-z]*"),
    "a": ("", r"[A-Za-z]+", r"[A-Za-z]+"),
    "A": ("", r"[A-Za-z]+", r"[A-Za-z]+"),
}
_ADJACENT = re.compile(r"%[YymdHIMS]%[YymdHIMS]")
# Dates and times as ISO 8601 writes them, and as many databases do.
ISO_PATTERN = (
    r"^\s*(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})(?:[Tt]|\s+)"
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"\s*(?P<offset>[Zz]|[+-]\d{2}(?::?\d{2})?)?\s*$"
)
ISO_PARTS = ("year", "month", "day", "hour", "minute", "second", "fraction", "offset")


class FormWrong(ValueError):  # noqa: N818 - the mapping is refused, the program is right
    """The text is no form of a moment; phrases in both languages say why."""

    def __init__(self, what: str, what_zh: str) -> None:
        super().__init__(what)
        self.what, self.what_zh = what, what_zh


@dataclass(frozen=True)
class Form:
    """A form of moments: numbers of a unit, or texts of a pattern with named parts."""

    text: str
    unit_us: int = 0
    pattern: str = ""
    parts: tuple[str, ...] = ()

    @property
    def has_year(self) -> bool:
        """Whether the year is written."""
        return bool(self.unit_us) or bool({"year", "short_year"} & set(self.parts))

    @property
    def separator(self) -> str:
        """What separates year, month and day, if all else is as in ISO 8601; else empty."""
        match = re.fullmatch(r"%Y([/.])%m\1%d[ T]%H:%M(:%S)?", self.text)
        return match[1] if match else ""


@lru_cache
def parse_form(text: str) -> Form:
    """Read a form such as `%d.%m.%Y %H:%M` or `unix seconds`. Raises FormWrong."""
    if text in UNITS:
        return Form(text, unit_us=UNITS[text])
    expanded = text
    for short, long in _SHORTHANDS.items():
        expanded = expanded.replace(short, long)
    pattern, parts = _pattern(expanded, text)
    known = set(parts)
    if len(known) != len(parts):
        raise FormWrong(
            f'"{text}" names a part of the time twice', f'"{text}" 重复了时间的某一部分'
        )
    if not ({"month", "month_name"} & known and "day" in known):
        raise FormWrong(
            f'"{text}" has no month and day; write a form such as "%Y-%m-%d %H:%M:%S", or one of '
            f"{', '.join(UNITS)}",
            f'"{text}" 没有月和日; 请写作 `%Y-%m-%d %H:%M:%S` 这样的格式, '
            f"或 {', '.join(UNITS)} 之一",
        )
    if not {"hour", "minute"} <= known:
        raise FormWrong(
            f'"{text}" has no hour and minute: a day is no moment; name the column of the time too',
            f'"{text}" 没有时和分: 日期不是时刻; 请同时指定时刻所在的列',
        )
    if ("%I" in expanded) != ("half" in known):
        raise FormWrong(f'"{text}" needs %I and %p together', f'"{text}" 中 %I 与 %p 须同时出现')
    return Form(text, pattern=pattern, parts=tuple(parts))


def _pattern(form: str, text: str) -> tuple[str, list[str]]:
    """The regular expression of a form, and the parts that it names."""
    width = 2 if _ADJACENT.search(form) else 1
    pattern, parts, position = r"^\s*", [], 0
    while position < len(form):
        letter = form[position]
        if letter == "%":
            directive = _DIRECTIVES.get(form[position + 1 : position + 2])
            if directive is None:
                raise FormWrong(
                    f'"{text}" has the part {form[position : position + 2]}, which is not known; '
                    f"known are {' '.join('%' + name for name in _DIRECTIVES)}",
                    f'"{text}" 中的 {form[position : position + 2]} 无法识别; 可用: '
                    f"{' '.join('%' + name for name in _DIRECTIVES)}",
                )
            part = directive[0]
            pattern += f"(?P<{part}>{directive[width]})" if part else directive[width]
            parts += [part] if part else []
            position += 2
        else:
            pattern += r"\s+" if letter.isspace() else re.escape(letter)
            position += 1
    return pattern + r"\s*$", parts
