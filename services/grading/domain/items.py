"""Items of the grading standard (分级条目): their facts, their generated labels, and the search."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
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


PIECE_MAX = 12  # characters; no word of the vocabulary needs more
# Words of the standard and their like, which the labels put in one way.
_ALIKE = {
    "完全丧失": "全失",
    "丧失": "缺失",
    "缺损": "缺失",
    "损害": "损伤",
    "单侧": "一侧",
    "两侧": "双侧",
    "单手": "一手",
    "单足": "一足",
    "单眼": "一眼",
}
# Characters of Chinese sentences that name nothing: an item may do without them.
_PARTICLES = frozenset("后术者性并伴有及或而致的能形成")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")

# How a comparison is written in a file, and how people read it.
SIGNS: Mapping[str, str] = {">=": "≥", "<=": "≤", ">": ">", "<": "<", "=": "=", "": ""}


def search(
    items: Iterable[Item], query: str, *, region: str = "", kind: str = "", grade: int = 0
) -> list[Item]:
    """The items whose numbers are the query, else those with each of its words; by number.

    Words are those of the labels, of the region and of the kind, in both languages. If no item has
    all of them, Chinese words, which are written without gaps, are looked for in pieces: 脾切除
    finds the spleen removed. Of those, the items that need the fewest pieces or one more are found.
    """
    terms = folded(query).split()
    chosen = [
        item
        for item in sorted(items, key=lambda item: item.place)
        if (not region or region in item.regions)
        and (not kind or kind == item.kind)
        and (not grade or grade == item.grade)
    ]
    named = [item for item in chosen if item.number in terms or item.clause in terms]
    if terms and len(named) == len(terms):
        return named
    whole = [item for item in chosen if all(term in item.search_text for term in terms)]
    if named or whole:
        return [item for item in chosen if item in named or item in whole]
    counts = [(item, _piece_count(terms, item.search_text)) for item in chosen]
    fewest = min((count for _, count in counts if count), default=0)
    return [item for item, count in counts if 0 < count <= fewest + 1]


def folded(text: str) -> str:
    """A text as it is searched: without case, with plain digits and signs, one word for a thing."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    for word, alike in _ALIKE.items():
        plain = plain.replace(word, alike)
    return plain


def _piece_count(terms: Sequence[str], text: str) -> int:
    """Into how many pieces that a text has the words fall; 0 if they do not."""
    counts = [_pieces_of(term, text) for term in terms]
    return sum(counts) if all(counts) else 0


def _pieces_of(word: str, text: str) -> int:
    """The pieces of one word; a Chinese one may fall into pieces of two characters on average."""
    count = start = 0
    while start < len(word):
        end = next(
            (
                n
                for n in range(min(len(word), start + PIECE_MAX), start, -1)
                if word[start:n] in text
            ),
            start,
        )
        if end - start < 2 and word[start] in _PARTICLES:
            start += 1
        elif end > start:
            count, start = count + 1, end
        else:
            return 0
    longest = (len(word) + 1) // 2 if _CHINESE.search(word) else 1
    return count if count <= longest else 0
