"""The law a service applies: its parameters, found by name, day, place and what was published.

One class serves every service: `Law(parameters).on(name, day, where, known)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from services.kernel.identifiers import NATIONAL
from services.kernel.parameters import Parameter, Value, load_folder, places
from services.kernel.periods import Month, Span

SHARED = Path(__file__).resolve().parent / "parameters"


@dataclass(frozen=True, eq=False)
class Law:
    """Parameters by name, with the place and the day of publication that apply by default.

    `known` is the day whose publications count; None counts all. Compared by identity, so that
    a law can be the key of a cache.
    """

    parameters: Mapping[str, Parameter]
    where: str = NATIONAL
    known: date | None = None

    def on(
        self, name: str, day: date, where: str | None = None, known: date | None = None
    ) -> Value:
        """The value in force on a day in a place; raises ParameterNotFound."""
        return self.parameters[name].on(day, where or self.where, known or self.known)

    def decimal(self, name: str, day: date, where: str | None = None) -> Decimal:
        """A parameter that is a decimal."""
        return self.on(name, day, where).decimal

    def count(self, name: str, day: date, where: str | None = None) -> int:
        """A parameter that is a whole number."""
        return int(self.on(name, day, where).decimal)

    def table(self, name: str, day: date, where: str | None = None) -> Mapping[str, Any]:
        """A parameter that is a table."""
        rows: Mapping[str, Any] = self.on(name, day, where).value
        return rows

    def is_on(self, name: str, day: date, where: str | None = None) -> bool:
        """Whether a switch is on."""
        return bool(self.on(name, day, where).value == "on")

    def at(self, where: str, known: date | None = None) -> Law:
        """The same law with another default place, and the publications up to another day."""
        return replace(self, where=where, known=known or self.known)

    def change_days(self, days: Span, *names: str) -> set[date]:
        """The days in a span on which any of these parameters changes anywhere."""
        return {
            value.since
            for name in names
            for value in self.parameters[name].values
            if value.since in days
        }

    def change_months(self, name: str, where: str, after: Month, known: date) -> list[Month]:
        """The months after `after` from which another value holds, as published by `known`.

        A value that begins within a month holds from the month after.
        """
        jurisdictions = places(where)
        months = {
            _first_whole_month(value.since)
            for value in self.parameters[name].values
            if value.jurisdiction in jurisdictions and value.published <= known
        }
        return sorted(month for month in months if month > after)


def load_law(folder: Path, shared: Iterable[str] = ()) -> Law:
    """The law of one service: its own parameter folder and the shared parameters it names."""
    kernel = load_folder(SHARED)
    return Law({**{name: kernel[name] for name in shared}, **load_folder(folder)})


@lru_cache(maxsize=32)
def law_version(law: Law, known: date) -> str:
    """A short hash of everything published by a day: it changes whenever a value does."""
    digest = sha256()
    for name in sorted(law.parameters):
        for value in law.parameters[name].values:
            if value.published <= known:
                digest.update(repr((name, value.jurisdiction, value.version)).encode())
    return digest.hexdigest()[:16]


def _first_whole_month(day: date) -> Month:
    month = Month.of(day)
    return month if day == month.first_day else month.plus(1)
