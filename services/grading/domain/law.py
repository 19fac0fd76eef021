"""The parameters and provisions that grading applies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from services.kernel.law import Provision, Tag
from services.kernel.parameters import NATIONAL, Parameter, Value, load_folder

STANDARD = "GB/T 16180-2014"
REGULATION = "工伤保险条例"

SEVERAL_INJURIES = Provision(STANDARD, "4.2", Tag.COMMON)
OLD_IMPAIRMENT = Provision(STANDARD, "4.3", Tag.COMMON)
CARE = Provision(STANDARD, "4.1.5", Tag.COMMON)
PANEL = Provision(REGULATION, "第二十五条", Tag.COMMON)
MAJORITY = Provision(REGULATION, "第二十五条 (多数意见)", Tag.ASSUMED)
MEDIAN = Provision(REGULATION, "第二十五条 (无多数意见时取中位)", Tag.ASSUMED)
STABLE = Provision(REGULATION, "第二十一条", Tag.COMMON)
RE_APPRAISAL = Provision(REGULATION, "第二十六条", Tag.COMMON)
REVIEW = Provision(REGULATION, "第二十八条", Tag.COMMON)
ABSENCE = Provision(REGULATION, "第四十二条", Tag.COMMON)


@dataclass(frozen=True)
class Law:
    """The parameters as they stand on a day in a place.

    `day` is the day on which the panel or the committee acts: the standard and the time limits in
    force then apply. `where` is the pooling area of the claim.
    """

    parameters: Mapping[str, Parameter]
    day: date
    where: str = NATIONAL

    def value(self, name: str) -> Value:
        """A parameter's value; raises ParameterNotFound."""
        return self.parameters[name].on(self.day, self.where or NATIONAL)

    def count(self, name: str) -> int:
        """A parameter that is a whole number."""
        return int(self.value(name).decimal)

    def table(self, name: str) -> Mapping[str, Any]:
        """A parameter that is a table."""
        found: Mapping[str, Any] = self.value(name).value
        return found


def provision_of(value: Value) -> Provision:
    """The provision that a value comes from, where the instrument changed and the rule did not."""
    instrument, _, article = value.source.partition(" ")
    return Provision(instrument, article, value.tag)


@cache
def _parameters() -> Mapping[str, Parameter]:
    return load_folder(Path(__file__).parent.parent / "parameters")


def law_on(day: date, where: str = NATIONAL) -> Law:
    """The law of grading on a day in a place."""
    return Law(_parameters(), day, where)
