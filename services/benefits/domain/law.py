"""The law that benefits applies: its provisions, and the parameters found by day and place."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path

from services.kernel.law import Finding, Outcome, Provision, Tag, facts
from services.kernel.parameters import Parameter, Value, load_folder, places
from services.kernel.periods import Month

_P79 = "人社厅函〔2025〕79号"
_WIR = "工伤保险条例"
_DEPENDANTS = "因工死亡职工供养亲属范围规定"

BASE = Provision(_P79, "第三十九条", Tag.LAW)
GRANT = Provision(_P79, "第三十八条第(二)项", Tag.LAW)
ALLOWANCE = Provision(_P79, "第三十八条第(三)项", Tag.LAW)
SETTLEMENT = Provision(_P79, "第三十八条第(四)项", Tag.LAW)
FUNERAL = Provision(_P79, "第三十九条第(一)项", Tag.LAW)
SURVIVORS = Provision(_P79, "第三十九条第(二)项", Tag.LAW)
DEATH = Provision(_P79, "第三十九条第(三)项", Tag.LAW)
REVIEW = Provision(_WIR, "第二十八条", Tag.COMMON)
TREATMENT = Provision(_WIR, "第三十条", Tag.COMMON)
DEVICES = Provision(_WIR, "第三十二条", Tag.COMMON)
CARE = Provision(_WIR, "第三十四条", Tag.COMMON)
ALLOWANCE_FLOOR = Provision(_WIR, "第三十五条第一款第(二)项", Tag.COMMON)
RETIREMENT = Provision(_WIR, "第三十五条第一款第(三)项", Tag.COMMON)
LATER_DEATH = Provision(_WIR, "第三十九条", Tag.COMMON)
INDEXATION = Provision(_WIR, "第四十条", Tag.COMMON)
MISSING = Provision(_WIR, "第四十一条", Tag.COMMON)
STOP = Provision(_WIR, "第四十二条", Tag.COMMON)
DEPENDANT = Provision(_DEPENDANTS, "第三条", Tag.COMMON)
DEPENDANT_ENDS = Provision(_DEPENDANTS, "第四条", Tag.COMMON)
RECOVERY = Provision("社会保险经办条例", "第四十六条", Tag.LAW)
FRAUD = Provision("社会保险经办条例", "第五十五条", Tag.LAW)
ADVANCE = Provision("社会保险法", "第四十一条", Tag.COMMON)
THIRD_PARTY = Provision("社会保险法", "第四十二条", Tag.COMMON)
TREATMENT_ALLOWANCE = Provision("国际劳工组织报告", "第五章", Tag.SEED)

_HERE = Path(__file__).resolve().parent.parent
_KERNEL = _HERE.parent / "kernel"
_SHARED = ("average_wage", "disposable_income", "minimum_wage")


@dataclass(frozen=True, eq=False)
class Law:
    """The parameters that benefits reads, by name. There is one, so it is compared by identity."""

    parameters: Mapping[str, Parameter]

    def on(self, name: str, day: date, where: str, known: date | None = None) -> Value:
        """The value in force on a day in a place, as published by the day `known`."""
        return self.parameters[name].on(day, where, known)

    def is_on(self, name: str, day: date, where: str) -> bool:
        """Whether a switch is on."""
        return bool(self.on(name, day, where).value == "on")

    def changes(self, name: str, where: str, after: Month, known: date) -> list[Month]:
        """The months after `after` from which another value holds, as published by `known`.

        A value that begins within a month holds from the month after.
        """
        sought = places(where)
        months = {
            _first_whole_month(value.since)
            for value in self.parameters[name].values
            if value.jurisdiction in sought and value.published <= known
        }
        return sorted(month for month in months if month > after)


@cache
def load_law() -> Law:
    """The parameters of this service and those it shares with others."""
    shared = load_folder(_KERNEL / "parameters")
    own = load_folder(_HERE / "parameters")
    return Law({**{name: shared[name] for name in _SHARED}, **own})


@lru_cache(maxsize=32)
def law_version(law: Law, known: date) -> str:
    """Names everything published by a day: it changes whenever a value does.

    Kept beside what was planned, so that it is known which cases a publication may change.
    """
    digest = hashlib.sha256()
    for name in sorted(law.parameters):
        for value in law.parameters[name].values:
            if value.published <= known:
                digest.update(repr((name, value.jurisdiction, value.version)).encode())
    return digest.hexdigest()[:16]


def calculated(
    provision: Provision,
    text: str,
    text_zh: str,
    arithmetic: str,
    *,
    inputs: Mapping[str, object],
    outputs: Mapping[str, object],
    values: Sequence[Value] = (),
) -> Finding:
    """A finding whose provision is a calculation."""
    return Finding(
        provision,
        Outcome.CALCULATED,
        text,
        text_zh,
        facts(**inputs),
        facts(**outputs),
        tuple(value.version for value in values),
        arithmetic,
    )


def found(
    provision: Provision,
    outcome: Outcome,
    text: str,
    text_zh: str,
    *,
    inputs: Mapping[str, object],
    outputs: Mapping[str, object] | None = None,
    values: Sequence[Value] = (),
) -> Finding:
    """A finding whose provision is a condition."""
    return Finding(
        provision,
        outcome,
        text,
        text_zh,
        facts(**inputs),
        facts(**(outputs or {})),
        tuple(value.version for value in values),
    )


def percent(share: Decimal) -> str:
    """`0.40` as `40 %`."""
    return f"{(share * 100).normalize():f} %"


def _first_whole_month(day: date) -> Month:
    month = Month.of(day)
    return month if day == month.first_day else month.plus(1)
