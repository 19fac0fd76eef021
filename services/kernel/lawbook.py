"""The law of a service: parameters, looked up by name, day, place and day of publication.

One class serves every service: `Law(parameters).on(name, day, where, known)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from services.kernel.identifiers import NATIONAL, province_of
from services.kernel.law import ParameterVersion
from services.kernel.parameters import Parameter, ParameterNotFound, Value, load_folder, places
from services.kernel.periods import Month, Span

SHARED = Path(__file__).resolve().parent / "parameters"


@dataclass
class UsedValues:
    """The assumed values that were looked up in a law while something was computed."""

    versions: set[ParameterVersion] = field(default_factory=set)

    def note(self, value: Value) -> None:
        """Take in a value that was looked up; one that has a source needs no confirmation."""
        if value.is_assumed:
            self.versions.add(value.version)


@dataclass(frozen=True, eq=False)
class Law:
    """Parameters by name, with a default place and a default day of publication.

    Only values published by the day `known` count; None counts all. Instances compare by identity,
    so that a law can be the key of a cache. A law with `used` notes there what is looked up in it.
    """

    parameters: Mapping[str, Parameter]
    where: str = NATIONAL
    known: date | None = None
    used: UsedValues | None = None

    def on(
        self, name: str, day: date, where: str | None = None, known: date | None = None
    ) -> Value:
        """The value in force on a day in a place; raises ParameterNotFound.

        `where` and `known` replace the defaults of this law. An unknown name raises KeyError.
        """
        value = self.parameters[name].on(day, where or self.where, known or self.known)
        self.note(value)
        return value

    def note(self, value: Value) -> None:
        """Note a value that was found in the parameters by another way than `on`."""
        if self.used is not None:
            self.used.note(value)

    def decimal(self, name: str, day: date, where: str | None = None) -> Decimal:
        """The value as a decimal."""
        return self.on(name, day, where).decimal

    def count(self, name: str, day: date, where: str | None = None) -> int:
        """The value as a whole number."""
        return int(self.on(name, day, where).decimal)

    def day(self, name: str, day: date, where: str | None = None) -> date:
        """The value as a civil day."""
        return date.fromisoformat(self.on(name, day, where).value)

    def table(self, name: str, day: date, where: str | None = None) -> Mapping[str, Any]:
        """The value as a table by key."""
        rows: Mapping[str, Any] = self.on(name, day, where).value
        return rows

    def is_on(self, name: str, day: date, where: str | None = None) -> bool:
        """Whether a switch, a parameter with the choice of on and off, is on."""
        return bool(self.on(name, day, where).value == "on")

    def at(self, where: str, known: date | None = None) -> Law:
        """The same law with another default place and, if set, another day of publication."""
        return replace(self, where=where, known=known or self.known)

    def noting(self, used: UsedValues) -> Law:
        """The same law, which notes the assumed values that are looked up in it."""
        return replace(self, used=used)

    def in_force(self, day: date, province: str) -> list[Value]:
        """The values in force on a day somewhere in a province, by name and place.

        Those of the whole province, and where an area or a platform has another one, that one.
        """
        values: dict[tuple[str, str, date], Value] = {}
        for name in sorted(self.parameters):
            for where in (province, *_places_inside(self.parameters[name], province)):
                try:
                    value = self.on(name, day, where)
                except ParameterNotFound:
                    continue
                values[name, value.jurisdiction, value.since] = value
        return [values[key] for key in sorted(values)]

    @property
    def assumed(self) -> list[Value]:
        """All assumed values, of any day and place."""
        return [
            value
            for parameter in self.parameters.values()
            for value in parameter.values
            if value.is_assumed
        ]

    def missing(self, day: date, where: str) -> list[ParameterNotFound]:
        """The parameters that have no value in force on a day in a place, by name."""
        absent = []
        for name in sorted(self.parameters):
            try:
                self.on(name, day, where)
            except ParameterNotFound as problem:
                absent.append(problem)
        return absent

    def change_days(self, days: Span, *names: str) -> set[date]:
        """The days in a span on which any of these parameters changes, in any place."""
        return {
            value.since
            for name in names
            for value in self.parameters[name].values
            if value.since in days
        }

    def change_months(self, name: str, where: str, after: Month, known: date) -> list[Month]:
        """The months later than `after` from which a new value applies, as published by `known`.

        A value that begins within a month applies from the month after.
        """
        jurisdictions = places(where)
        months = {
            _first_whole_month(value.since)
            for value in self.parameters[name].values
            if value.jurisdiction in jurisdictions and value.published <= known
        }
        return sorted(month for month in months if month > after)


def load_law(folder: Path, shared: Iterable[str] = ()) -> Law:
    """The law of one service: the parameters in its folder, and the `shared` ones of the kernel."""
    kernel = load_folder(SHARED)
    return Law({**{name: kernel[name] for name in shared}, **load_folder(folder)})


@lru_cache(maxsize=32)
def law_version(law: Law, known: date) -> str:
    """16 hexadecimal digits of a hash over all values published by a day."""
    digest = sha256()
    for name in sorted(law.parameters):
        for value in law.parameters[name].values:
            if value.published <= known:
                digest.update(repr((name, value.jurisdiction, value.version)).encode())
    return digest.hexdigest()[:16]


def _places_inside(parameter: Parameter, province: str) -> Iterator[str]:
    """The places of a province that have a value of their own."""
    for place in sorted({value.jurisdiction for value in parameter.values} - {NATIONAL, province}):
        if province_of(place.rpartition("@")[2]) == province:
            yield place


def _first_whole_month(day: date) -> Month:
    month = Month.of(day)
    return month if day == month.first_day else month.plus(1)
