"""The check of parameter files: every fault is one sentence with file, key and day.

A file has a title in two languages, a unit, and values. Each value has its first day (`since`, and
`until` where it ends without a successor), its place (`in`), its day of publication (`published`),
the value, its source (`source`) and the certainty of the source (`tag`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from numbers import Real
from pathlib import Path
from typing import Any, TypeGuard

from services.kernel.identifiers import NATIONAL, is_credit_code, is_division, province_of
from services.kernel.instruments import not_law
from services.kernel.law import Tag
from services.kernel.parameter_units import day_in, misfit, unknown_unit

FILE_KEYS = frozenset({"title", "title_zh", "unit", "first_day", "fallback", "values"})
FALLBACKS = ("holds", "provisional", "none")
ROW_KEYS = frozenset({"since", "until", "in", "published", "value", "source", "tag"})
POOLING_AREAS = "pooling_areas"
AREAS_UNIT = "division codes"
# A notice that reaches further back counts as a typing error.
LONGEST_REACH_BACK = timedelta(days=366)
ASSUMED = "assumed"


@dataclass(frozen=True)
class Fault:
    """What is wrong in a file, its key and its day (empty if no day is known)."""

    file: str
    key: str
    day: str
    what: str

    def __str__(self) -> str:
        place = ", ".join(part for part in (self.file, self.key, self.day) if part)
        return f"{place}: {self.what}."


@dataclass(frozen=True)
class Places:
    """The places that values may name: pooling areas by province."""

    pooling_areas: Mapping[str, frozenset[str]]

    @classmethod
    def read(cls, path: Path) -> Places:
        """The places of a pooling_areas file; rows that cannot be read are left out."""
        areas: dict[str, frozenset[str]] = {}
        for row in _content(path).get("values", []):
            if isinstance(row, dict) and isinstance(row.get("value"), list):
                known = areas.get(row.get("in", ""), frozenset())
                areas[row.get("in", "")] = known | {str(code) for code in row["value"]}
        return cls(areas)

    @classmethod
    def of(cls, folder: Path, other: Path | None = None) -> Places:
        """The places of the pooling_areas.toml under a folder, or else of the file `other`."""
        inside = sorted(folder.rglob(f"{POOLING_AREAS}.toml"))
        files = [*inside, *([other] if other else [])]
        try:
            return cls.read(files[0]) if files else cls({})
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            return cls({})


@dataclass(frozen=True)
class _Row:
    """A value with days that can be compared."""

    since: date
    until: date | None
    published: date
    value: Any


def check_tree(folder: Path, places: Places | None = None) -> list[Fault]:
    """The faults of all parameter files under a folder, by default checked against its places."""
    known = places or Places.of(folder)
    faults: list[Fault] = []
    for path in parameter_files(folder):
        faults += check_file(path, known, str(path.relative_to(folder)))
    return faults


def parameter_files(folder: Path) -> list[Path]:
    """The files in folders named parameters under a folder, or else those directly in it."""
    below = [path for path in folder.rglob("*.toml") if path.parent.name == "parameters"]
    return sorted(below or folder.glob("*.toml"))


def check_file(path: Path, places: Places, shown: str = "") -> list[Fault]:
    """The faults of one file."""
    file = shown or path.name
    try:
        content = _content(path)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return [Fault(file, "", "", f"the file is not TOML ({error}); correct its form")]
    return check_content(content, file, places)


def check_content(
    content: Mapping[str, Any], file: str, places: Places | None = None
) -> list[Fault]:
    """The faults in the content of a file.

    Without `places`, only the form of places is checked, and sources are not compared with texts.
    """
    faults = list(_head(content, file))
    unit = str(content.get("unit", ""))
    rows = content.get("values")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        return [*faults, Fault(file, "values", "", "there is no value; add one as [[values]]")]
    chains: dict[str, list[_Row]] = {}
    for index, row in enumerate(rows):
        faults += _row(row, f"values[{index}]", file, unit, places)
        since, until, published = row.get("since"), row.get("until"), row.get("published")
        if _is_day(since) and (until is None or _is_day(until)):
            known = published if _is_day(published) else since
            chain = chains.setdefault(str(row.get("in", NATIONAL)), [])
            chain.append(_Row(since, until, known, row.get("value")))
    for place, chain in chains.items():
        faults += _chain(sorted(chain, key=lambda r: (r.since, r.published)), place, file, unit)
    faults += _first_day(content.get("first_day"), chains, file)
    return faults


def _head(content: Mapping[str, Any], file: str) -> Iterator[Fault]:
    for key in sorted(set(content) - FILE_KEYS):
        yield Fault(file, key, "", f"a file has {_join(FILE_KEYS)} only; correct the key")
    for key in ("title", "title_zh"):
        if not str(content.get(key, "")).strip():
            yield Fault(file, key, "", "the title is missing; write one")
    unit = content.get("unit")
    if not isinstance(unit, str) or not unit.strip():
        yield Fault(file, "unit", "", "the unit is missing; write what the value counts")
    elif problem := unknown_unit(unit):
        yield Fault(file, "unit", "", problem)
    if content.get("fallback", "holds") not in FALLBACKS:
        yield Fault(file, "fallback", "", f"it is one of {_join(FALLBACKS)}; correct it")
    if "first_day" in content and not _is_day(content["first_day"]):
        yield Fault(file, "first_day", "", "it is not a day; write it as 2025-07-01")


def _row(
    row: Mapping[str, Any], key: str, file: str, unit: str, places: Places | None
) -> Iterator[Fault]:
    day = str(row["since"]) if _is_day(row.get("since")) else ""
    for name in sorted(set(row) - ROW_KEYS):
        yield Fault(file, f"{key}.{name}", day, f"a value has {_join(ROW_KEYS)} only")
    if not day:
        yield Fault(file, f"{key}.since", "", "the first day is missing; write it as 2025-07-01")
    for name in ("published", "until"):
        if name in row and not _is_day(row[name]):
            yield Fault(file, f"{key}.{name}", day, "it is not a day; write it as 2025-07-01")
    for at, problem in _value(row, unit, f"{key}.value"):
        yield Fault(file, at, day, problem)
    yield from _source(row, key, file, day)
    if places is not None:
        yield from _law(row, key, file, unit)
    areas = unit == AREAS_UNIT
    if problem := unknown_place(row.get("in", NATIONAL), None if areas else places):
        yield Fault(file, f"{key}.in", day, problem)
    if areas:
        yield from _areas(row, key, file)


def _value(row: Mapping[str, Any], unit: str, at: str) -> Iterator[tuple[str, str]]:
    """What is wrong with the value itself, by key."""
    if "value" not in row:
        yield at, "the value is missing; write it as text"
        return
    if row["value"] in ({}, [], "") and "by key" not in unit:
        yield at, "the value is empty; write what is in force"
    yield from _unwritable(row["value"], at)
    yield from misfit(row["value"], unit, at)


def _source(row: Mapping[str, Any], key: str, file: str, day: str) -> Iterator[Fault]:
    """What is wrong with the source and its tag."""
    source, tag = str(row.get("source", "")).strip(), row.get("tag")
    if not source:
        yield Fault(file, f"{key}.source", day, "the source is missing; name the instrument")
    if tag not in [known.value for known in Tag]:
        tags = _join(known.value for known in Tag)
        yield Fault(file, f"{key}.tag", day, f"the tag is one of {tags}, not {tag!r}")
    elif tag != ASSUMED and source.startswith(ASSUMED):
        yield Fault(file, f"{key}.tag", day, "the source says assumed; tag it assumed")


def _law(row: Mapping[str, Any], key: str, file: str, unit: str) -> Iterator[Fault]:
    """What is tagged law and is not: no article of a text, another place, a later first day.

    A value that is a day is the law from that day on.
    """
    since, place = row.get("since"), str(row.get("in", NATIONAL))
    if row.get("tag") != Tag.LAW.value or not _is_day(since):
        return
    first = day_in(str(row.get("value"))) if unit.startswith("day;") else None
    if problem := not_law(str(row.get("source", "")).strip(), first or since, place):
        yield Fault(file, f"{key}.tag", str(since), f"it is tagged law, and {problem}")


def _unwritable(value: Any, at: str) -> Iterator[tuple[str, str]]:
    """Numbers that are not written as text: a float loses digits, an integer has no decimals."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _unwritable(item, f"{at}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unwritable(item, f"{at}[{index}]")
    elif isinstance(value, int):
        yield at, f'write it as text, "{value}"'
    elif isinstance(value, Real):
        yield at, f'{value} is a float, which is not exact; write it as text, "{value}"'


def unknown_place(place: Any, places: Places | None) -> str:
    """What is wrong with a place; empty if it is known."""
    if place == NATIONAL:
        return ""
    platform, _, division = str(place).rpartition("@")
    if platform and not is_credit_code(platform):
        return f"{platform} is not a unified social credit code; copy it from the business licence"
    if not is_division(division):
        return f"{place} is not a place; write CN, a division code, or CODE@division"
    return "" if places is None else _unlisted(division, province_of(division), places)


def _unlisted(division: str, province: str, places: Places) -> str:
    if province not in places.pooling_areas:
        return f"the province {province} is not known; add it to {POOLING_AREAS}.toml"
    if division != province and division not in places.pooling_areas[province]:
        return f"{division} is not a pooling area of {province}; see {POOLING_AREAS}.toml"
    return ""


def _areas(row: Mapping[str, Any], key: str, file: str) -> Iterator[Fault]:
    """Pooling areas that do not lie in their province."""
    day, province = str(row.get("since", "")), str(row.get("in", NATIONAL))
    if not is_division(province) or province != province_of(province):
        yield Fault(file, f"{key}.in", day, f"{province} is not a province; name the province")
        return
    for index, code in enumerate(row.get("value") or []):
        if is_division(str(code)) and province_of(str(code)) != province:
            where = f"{key}.value[{index}]"
            yield Fault(file, where, day, f"{code} does not lie in {province}; move or correct it")


def _chain(rows: list[_Row], place: str, file: str, unit: str) -> Iterator[Fault]:
    """Values of one place in order: days that occur twice or are left out."""
    key = f"values in {place}"
    for row in rows:
        if row.until is not None and row.until <= row.since:
            what = f"it ends on {row.until}, before it begins; correct until"
            yield Fault(file, key, str(row.since), what)
        if row.published > row.since + LONGEST_REACH_BACK:
            what = f"it was published on {row.published}, over a year later; correct a day"
            yield Fault(file, key, str(row.since), what)
    for before, after in pairwise(rows):
        day = str(after.since)
        if before.since == after.since and before.published == after.published:
            yield Fault(file, key, day, "two values begin on this day; keep one")
            continue
        if before.until is not None and after.since < before.until:
            what = f"the value before it is in force until {before.until}; correct until or since"
            yield Fault(file, key, day, what)
        if before.until is not None and after.since > before.until:
            what = f"no value is in force until {day}; close the gap or add a value"
            yield Fault(file, key, str(before.until), what)
        if after.published < before.published:
            what = (
                f"it was published on {after.published}, before the value it replaces "
                f"({before.published}); correct a day"
            )
            yield Fault(file, key, day, what)
        yield from _same_keys(before, after, key, file, unit)


def _same_keys(before: _Row, after: _Row, key: str, file: str, unit: str) -> Iterator[Fault]:
    """Keys that a table loses; `by key` in the unit allows each value its own keys."""
    if "by key" in unit:
        return
    if not isinstance(before.value, Mapping) or not isinstance(after.value, Mapping):
        return
    for name in sorted(set(before.value) - set(after.value)):
        what = f"{name} has a value before this day and none from it on; add it"
        yield Fault(file, f"{key}.{name}", str(after.since), what)


def _first_day(first: Any, chains: Mapping[str, list[_Row]], file: str) -> Iterator[Fault]:
    """Days from `first_day` on without any value, of the country or of a province."""
    if not _is_day(first):
        return
    begins = {place: min(row.since for row in rows) for place, rows in chains.items()}
    if not begins or min(begins.values()) <= first:
        return
    place = min(begins, key=lambda begun: (begins[begun], begun))
    what = f"no value is in force until {begins[place]}; add one for the days before"
    yield Fault(file, f"values in {place}", str(first), what)


def _content(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _is_day(value: Any) -> TypeGuard[date]:
    return isinstance(value, date) and not isinstance(value, datetime)


def _join(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
