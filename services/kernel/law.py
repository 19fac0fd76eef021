"""Findings: a rule that is applied records its provision, the facts and the result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum
from hashlib import sha256

from services.kernel.instruments import INSTRUMENTS, Instrument


class Tag(Enum):
    """The certainty of the source of a provision or a parameter."""

    LAW = "law"  # an article that was seen, in its place and from its first day; instruments.py
    SEED = "seed"  # the ILO report that the scheme's design follows
    COMMON = "common"  # by analogy, by report, or by the figure of another place
    ASSUMED = "assumed"  # no source: a default that a province has to confirm


class Outcome(Enum):
    """The result of applying a provision to a case."""

    MET = "met"
    NOT_MET = "not met"
    UNCLEAR = "unclear"  # a person has to decide
    CALCULATED = "calculated"


@dataclass(frozen=True)
class Provision:
    """A place in the law: the instrument, its article, and the certainty of the source."""

    instrument: str
    article: str
    tag: Tag

    def __str__(self) -> str:
        return f"{self.instrument} {self.article}".strip()

    @property
    def held_by(self) -> Instrument:
        """The instrument with its days and its place; raises KeyError for an unlisted one."""
        return INSTRUMENTS[self.instrument]


class ProvisionNotInForce(LookupError):  # noqa: N818 - named for what is missing
    """No text of a rule was in force on a day."""


class DatedProvision:
    """One rule in its successive texts; the day of the accident chooses, never that of the act."""

    def __init__(self, *texts: Provision) -> None:
        """The texts, oldest first."""
        self.texts = texts

    def on(self, day: date) -> Provision:
        """The text that rules an event on a day: the youngest in force."""
        in_force = [text for text in self.texts if text.held_by.since <= day]
        if not in_force:
            message = f"{self.texts[0]} was not in force on {day}"
            raise ProvisionNotInForce(message)
        return max(in_force, key=lambda text: text.held_by.since)


@dataclass(frozen=True)
class ParameterVersion:
    """A parameter's value as a decision used it, with its source."""

    name: str
    since: date
    jurisdiction: str
    value: str
    source: str
    tag: Tag

    @property
    def digest(self) -> bytes:
        """SHA-256 of what it says: a value that changes in its file has another one."""
        said = (self.name, self.since.isoformat(), self.jurisdiction, self.value)
        return sha256("\n".join(said).encode()).digest()


@dataclass(frozen=True)
class Finding:
    """One provision applied to one case.

    `inputs` and `outputs` are named values as text (amounts in fen, days as ISO 8601), so that a
    person can check the result without the program. `text` and `text_zh` are one sentence each.
    """

    provision: Provision
    outcome: Outcome
    text: str
    text_zh: str
    inputs: tuple[tuple[str, str], ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()
    parameters: tuple[ParameterVersion, ...] = ()
    arithmetic: str = ""


def facts(**values: object) -> tuple[tuple[str, str], ...]:
    """Named values as the text pairs of a finding: `facts(grade=3, base=Fen(347380))`."""
    return tuple((name, _text(value)) for name, value in values.items())


def _text(value: object) -> str:
    if isinstance(value, Enum):
        return value.name
    return str(value)
