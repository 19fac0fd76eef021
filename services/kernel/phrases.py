"""Parts of a sentence: a code for programs, and words in both languages for people.

The facts of a refusal are typed. A value of an enum and a `Phrase` are words in a sentence and a
code in its metadata; a tuple is a list of facts; everything else, such as a name, a day, a count or
an amount, reads the same in every language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from string import Formatter

from services.kernel.enum_labels import LABELS
from services.kernel.field_titles import TITLES

_SERVICE_TITLES = {
    "benefits": "待遇",
    "claims": "职业伤害确认",
    "enrolment": "参保登记",
    "fund": "基金",
    "grading": "劳动能力鉴定",
    "orders": "订单",
    "premiums": "保费",
    "staff": "人员名册",
}

# A blank between two Chinese characters, left where a word stands for a placeholder.
_LOOSE = re.compile(r"^[\u3400-\u9fff、。；，：] [\u3400-\u9fff]$")


class Language(Enum):
    """The languages of sentences."""

    EN = "en"
    ZH = "zh"


@dataclass(frozen=True)
class Phrase:
    """Words that depend on the language; `facts` fill the placeholders of both texts."""

    code: str
    en: str
    zh: str
    facts: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, code: str, en: str, zh: str, **facts: object) -> Phrase:
        """`Phrase.of("HOSPITAL_STAY", "there was a stay in hospital", "有住院治疗")`."""
        return cls(code, en, zh, facts)

    def __str__(self) -> str:
        return self.text(Language.EN)

    def text(self, language: Language) -> str:
        """The words in a language."""
        return fill(self.en if language is Language.EN else self.zh, self.facts, language)


@dataclass(frozen=True)
class FieldPath:
    """The path of a field of a request: as it is, or by the titles of its parts."""

    path: str

    def __str__(self) -> str:
        return self.path

    def text(self, language: Language) -> str:
        """`rows[3].pooling_area`, or 行第 4 项的统筹地区 for those who read Chinese."""
        if language is Language.EN:
            return self.path
        return "的".join(_part_title(part) for part in self.path.split("."))


def _part_title(part: str) -> str:
    name, bracket, index = part.rstrip("]").partition("[")
    title = TITLES.get(name, name)
    return f"{title}第 {int(index) + 1} 项" if bracket and index.isdigit() else title


def fill(template: str, facts: Mapping[str, object], language: Language) -> str:
    """A sentence with its facts in place of the placeholders."""
    if not facts:
        return template
    if language is Language.EN:
        return template.format_map({name: shown(fact, language) for name, fact in facts.items()})
    text, after_words = "", False
    for literal, name, _, _ in Formatter().parse(template):
        text = _joined(text, literal, at_words=after_words)
        if name is not None:
            after_words = _is_words(facts[name])
            text = _joined(text, shown(facts[name], language), at_words=after_words)
    return text


def _joined(text: str, more: str, *, at_words: bool) -> str:
    """Two parts of a Chinese sentence. At words in place of a value no blank stays between them.

    A value keeps the blanks around it and in it: it may be the name of a file.
    """
    if at_words and _LOOSE.search(text[-2:] + more[:1]):
        return text[:-1] + more
    if at_words and _LOOSE.search(text[-1:] + more[:2]):
        return text + more[1:]
    return text + more


def _is_words(fact: object) -> bool:
    if isinstance(fact, tuple):
        return all(map(_is_words, fact))
    return isinstance(fact, Phrase | FieldPath | Enum)


def shown(fact: object, language: Language) -> str:
    """A fact as people read it."""
    if isinstance(fact, Phrase | FieldPath):
        return fact.text(language)
    if isinstance(fact, Enum):
        return label_of(fact).text(language)
    if isinstance(fact, tuple):
        between, none = (", ", "none") if language is Language.EN else ("、", "无")
        return between.join(shown(part, language) for part in fact) or none
    return str(fact)


def metadata(facts: Mapping[str, object]) -> dict[str, str]:
    """Facts as programs read them; those of a phrase stand beside it."""
    texts: dict[str, str] = {}
    for name, fact in facts.items():
        texts[name] = _code(fact)
        if isinstance(fact, Phrase):
            texts |= metadata(fact.facts)
    return texts


def _code(fact: object) -> str:
    if isinstance(fact, Phrase):
        return fact.code
    if isinstance(fact, Enum):
        return fact.name
    if isinstance(fact, tuple):
        return ", ".join(_code(part) for part in fact)
    return str(fact)


def label_of(member: Enum) -> Phrase:
    """The words for a value of an enum of the domain, which the protos know by the same names.

    Raises LookupError for an enum that no proto has.
    """
    return label(_table_of(type(member)), member.name)


def label(enum: str, value: str) -> Phrase:
    """The words for a value of an enum by the enum's full name in the protos.

    >>> label("oip.type.v1.Industry", "RIDE_HAILING").zh
    '出行'
    """
    return Phrase(value, *LABELS[enum][value])


def service_label(name: str) -> Phrase:
    """A service: by its name, which commands and settings use, and in Chinese by its title too."""
    title = _SERVICE_TITLES.get(name)
    return Phrase(name, name, f"{title}({name})" if title else name)


@cache
def _table_of(enum: type[Enum]) -> str:
    """The full name of the proto enum with the same values, of the same service if it has one."""
    values = set(enum.__members__)
    same = [name for name, labels in LABELS.items() if set(labels) == values]
    service = enum.__module__.split(".")[1]
    near = [name for name in same if name.startswith(f"oip.{service}.")] or same
    if len(near) != 1:
        raise LookupError(f"{enum.__module__}.{enum.__qualname__} is no enum of the protos: {near}")
    return near[0]
