"""Items of the grading standard (分级条目): their facts, their generated labels, and the search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Labels = tuple[str, str]  # in English and in Chinese


@dataclass(frozen=True)
class Term:
    """A word of the vocabulary, in both languages; `kind`, `regions` and `heals` may be empty."""

    code: str
    en: str
    zh: str
    kind: str = ""
    regions: tuple[str, ...] = ()
    heals: str = ""


@dataclass(frozen=True)
class Bound:
    """A threshold of a measured value: how it compares, the value, its unit."""

    operator: str
    value: str
    unit: Term

    @property
    def labels(self) -> Labels:
        """Such as `≥ 30 cm²`."""
        sign = SIGNS[self.operator]
        value = self.value.replace("-", "～")
        # A unit that is a word stands apart from its number in English.
        gap = " " if self.unit.en[:1].isalpha() else ""
        return f"{sign}{self.value}{gap}{self.unit.en}", f"{sign}{value}{self.unit.zh}"


@dataclass(frozen=True)
class Fact:
    """One fact of an item: what (finding), where (part, side), how much (degree, bounds).

    `others` are the same bounds in other units.
    """

    side: Term | None
    part: Term | None
    finding: Term
    degree: Term | None
    bounds: tuple[Bound, ...] = ()
    others: tuple[Bound, ...] = ()

    @property
    def labels(self) -> Labels:
        """The fact in words, built from its parts."""
        return self._label(0), self._label(1)

    def _label(self, language: int) -> str:
        def word(term: Term) -> str:
            return (term.en, term.zh)[language]

        what = word(self.finding)
        if self.degree is not None:
            what += f" ({word(self.degree)})"
        if self.bounds:
            what += " " + " ".join(bound.labels[language] for bound in self.bounds)
        if self.others:
            what += f" ({', '.join(bound.labels[language] for bound in self.others)})"
        where = word(self.part) if self.part is not None else ""
        if self.side is not None:
            where += f" ({word(self.side)})"
        return f"{where}: {what}" if where else what


@dataclass(frozen=True)
class Item:
    """An item of the standard: `number` is grade and place, such as `6.14`.

    `heals` are the kinds of injury by which healing time is counted, as in deferral_months.
    `family` is the code of the family whose measured findings lead to it, if there is one.
    """

    number: str
    kind: str
    regions: tuple[str, ...]
    heals: frozenset[str]
    label: str
    label_zh: str
    family: str = ""
    search_text: str = ""

    @property
    def grade(self) -> int:
        """The disability grade, 1 (worst) to 10."""
        return self.place[0]

    @property
    def place(self) -> tuple[int, int]:
        """Grade and number within the grade, by which items are sorted."""
        grade, _, number = self.number.partition(".")
        return int(grade), int(number)

    @property
    def clause(self) -> str:
        """The article of the standard."""
        grade, number = self.place
        return f"5.{grade}.2({number})"


# How a comparison is written in a file, and how people read it.
SIGNS: Mapping[str, str] = {">=": "≥", "<=": "≤", ">": ">", "<": "<", "=": "=", "": ""}


def search(
    items: Iterable[Item], query: str, *, region: str = "", kind: str = "", grade: int = 0
) -> list[Item]:
    """Items whose number is the query or whose words contain each word of it, by number.

    Words are those of the labels, of the region and of the kind, in both languages.
    """
    terms = query.casefold().split()
    return [
        item
        for item in sorted(items, key=lambda item: item.place)
        if (item.number in terms or all(term in item.search_text for term in terms))
        and (not region or region in item.regions)
        and (not kind or kind == item.kind)
        and (not grade or grade == item.grade)
    ]
