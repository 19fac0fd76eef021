"""A rule that is applied leaves a finding: which provision, on which facts, with which result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum


class Tag(Enum):
    """How sure the source of a provision or a parameter is."""

    LAW = "law"  # an official text, or an official statement
    SEED = "seed"  # the ILO report that the scheme's design follows
    COMMON = "common"  # general social or work-injury rules the scheme is built on
    ASSUMED = "assumed"  # nothing found: a default that a province has to confirm


class Outcome(Enum):
    """What a provision yields when it is applied to a case."""

    MET = "met"
    NOT_MET = "not met"
    UNCLEAR = "unclear"  # a person has to decide
    CALCULATED = "calculated"


@dataclass(frozen=True)
class Provision:
    """A place in the law: the instrument, the article within it, and how sure we are of it."""

    instrument: str
    article: str
    tag: Tag

    def __str__(self) -> str:
        return f"{self.instrument} {self.article}".strip()


@dataclass(frozen=True)
class ParameterVersion:
    """A parameter's value as a decision used it, with where it comes from."""

    name: str
    since: date
    jurisdiction: str
    value: str
    source: str
    tag: Tag


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
