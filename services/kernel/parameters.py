"""The law's numbers: dated, provincial, with sources; read from TOML, looked up on two time axes.

A value is looked up by the day of the event (`since`) and by the day of the decision (`published`):
a wage published in May applies to January's cases from May on; before May the previous value is
used. A parameter says whether the value of a wider place may stand in for a place's own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from services.kernel.identifiers import NATIONAL, province_of
from services.kernel.law import ParameterVersion, Tag
from services.kernel.money import Fen
from services.kernel.parameter_check import Fault, check_content
from services.kernel.problems import Kind, Problem

__all__ = [
    "NATIONAL",
    "Fallback",
    "Parameter",
    "ParameterFileFaulty",
    "ParameterNotFound",
    "Value",
    "load",
    "load_folder",
    "places",
]


MUNICIPALITIES = frozenset({"110000", "120000", "310000", "500000"})


class Fallback(Enum):
    """Whether the value of a wider place may stand in for a place's own.

    HOLDS where the wider value is itself the rule; PROVISIONAL for a local amount, trued up when
    the place's own is published; NONE for what only a province decides.
    """

    HOLDS = "holds"
    PROVISIONAL = "provisional"
    NONE = "none"


class ParameterNotFound(Problem):
    """No value is in force; the law lacks it for this day and place."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "LEGAL_PARAMETER_MISSING"
    message = (
        "{parameter} has no value in force on {day} in {place}; check the day and the place, "
        "or ask an administrator to add the value with its source."
    )
    message_zh = (
        "参数 {parameter} 于 {day} 在 {place} 没有有效取值; 请核对日期和地点, "
        "或请管理员补充该取值及其来源。"
    )

    def __init__(self, name: str, day: date, jurisdiction: str) -> None:
        """Name the parameter, the day and the place."""
        self.name, self.day, self.jurisdiction = name, day, jurisdiction
        super().__init__(parameter=name, day=day, place=jurisdiction)


class ParameterFileFaulty(ValueError):  # noqa: N818 - says what is wrong with a file
    """A parameter file has faults; `faults` lists them, a sentence each."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Put all faults into the message."""
        self.faults = tuple(faults)
        super().__init__(" ".join(str(fault) for fault in faults))


@dataclass(frozen=True)
class Value:
    """One value of a parameter: its first day, place, day of publication and source.

    It is in force until the next value of the same place, or up to but not including `until`.
    """

    since: date
    jurisdiction: str
    published: date
    value: Any
    source: str
    tag: Tag
    parameter: str
    until: date | None = None
    # It is of a wider place than was asked for, and stands in until that place's own is published.
    stands_in: bool = False

    @property
    def decimal(self) -> Decimal:
        """The value as a decimal."""
        return Decimal(self.value)

    @property
    def fen(self) -> Fen:
        """The value, written in yuan, as fen."""
        return Fen.of_yuan(self.value)

    def at(self, *keys: str) -> Decimal:
        """A decimal inside a table value: `value.at("full")`."""
        value = self.value
        for key in keys:
            value = value[key]
        return Decimal(value)

    @property
    def is_assumed(self) -> bool:
        """Whether nothing was found for it, so that a province has to confirm it."""
        return self.tag is Tag.ASSUMED

    @property
    def version(self) -> ParameterVersion:
        """The part of the value that a finding records."""
        return ParameterVersion(
            self.parameter, self.since, self.jurisdiction, _text(self.value), self.source, self.tag
        )


@dataclass(frozen=True)
class Parameter:
    """All values of one parameter."""

    name: str
    unit: str
    values: tuple[Value, ...]
    fallback: Fallback = Fallback.HOLDS

    @cached_property
    def _by_place(self) -> dict[str, list[Value]]:
        by_place: dict[str, list[Value]] = {}
        for value in self.values:
            by_place.setdefault(value.jurisdiction, []).append(value)
        return by_place

    def on(self, day: date, where: str = NATIONAL, known: date | None = None) -> Value:
        """The value in force on a day in a place, as published by the day `known`.

        `where` is a division code, a platform's credit code followed by `@` and a division, or
        `CN`. The most specific place that has any value in force wins: platform, pooling area,
        province, country, as far as `fallback` allows it. Raises ParameterNotFound.
        """
        for place in _places(where):
            if place == NATIONAL != where and self.fallback is Fallback.NONE:
                break
            in_force = [
                value
                for value in self._by_place.get(place, ())
                if value.since <= day
                and (value.until is None or day < value.until)
                and (known is None or value.published <= known)
            ]
            if in_force:
                value = max(in_force, key=lambda value: (value.since, value.published))
                provisional = self.fallback is Fallback.PROVISIONAL and _is_wider(place, where)
                return replace(value, stands_in=True) if provisional else value
        raise ParameterNotFound(self.name, day, where)


def _is_wider(place: str, where: str) -> bool:
    """Whether a place is wider than another; a municipality's figure is its districts' own."""
    division = where.rpartition("@")[2]
    if place.rpartition("@")[2] == division:
        return False
    return place == NATIONAL or province_of(division) not in MUNICIPALITIES


def places(where: str) -> list[str]:
    """The jurisdictions in which a value for a place is looked up, most specific first."""
    return list(_places(where))


@lru_cache(maxsize=4096)
def _places(where: str) -> tuple[str, ...]:
    if where == NATIONAL:
        return (NATIONAL,)
    platform, _, division = where.rpartition("@")
    province = province_of(division)
    of_platform = [f"{platform}@{division}", f"{platform}@{province}"] if platform else []
    return tuple(dict.fromkeys([*of_platform, division, province, NATIONAL]))


def load(path: Path) -> Parameter:
    """Read one parameter file; raises ParameterFileFaulty.

    Only `oip law check`, which knows the pooling areas, checks that its places exist.
    """
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    faults = check_content(content, path.name)
    if faults:
        raise ParameterFileFaulty(faults)
    values = tuple(
        Value(
            since=row["since"],
            jurisdiction=row.get("in", NATIONAL),
            published=row.get("published", row["since"]),
            value=row["value"],
            source=row["source"],
            tag=Tag(row["tag"]),
            parameter=path.stem,
            until=row.get("until"),
        )
        for row in content["values"]
    )
    fallback = Fallback(content.get("fallback", "holds"))
    return Parameter(path.stem, content["unit"], values, fallback)


def load_folder(folder: Path) -> dict[str, Parameter]:
    """All parameters of a folder, by name."""
    return {path.stem: load(path) for path in sorted(folder.glob("*.toml"))}


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    return str(value)
