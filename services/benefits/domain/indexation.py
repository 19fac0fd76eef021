"""Yearly adjustment of benefits in payment (待遇调整): added sums, floors, a new wage for care."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from services.benefits.domain import law as rules
from services.benefits.domain.benefit_base import benefit_base
from services.benefits.domain.disability import care_allowance
from services.benefits.domain.figures import AwaitedFigure
from services.benefits.domain.findings import ExplainedAmount, calculation
from services.kernel.law import Finding
from services.kernel.lawbook import Law
from services.kernel.money import Fen
from services.kernel.parameters import NATIONAL, Value, places
from services.kernel.periods import Month
from services.kernel.scheme import CareDependence


def adjustments(law: Law, where: str, known: date) -> list[Value]:
    """The adjustments of the most specific place that has any, oldest first."""
    values = law.parameters["indexation"].values
    for place in places(where):
        here = [one for one in values if one.jurisdiction == place and one.published <= known]
        if here and place != NATIONAL:
            return sorted(here, key=lambda one: one.since)
    return [one for one in values if one.jurisdiction == NATIONAL and one.published <= known]


def indexed(
    law: Law,
    granted: Fen,
    key: str,
    *,
    begun: date,
    month: Month,
    where: str,
    known: date,
    care: CareDependence = CareDependence.NONE,
    key_in: Callable[[Month], str] | None = None,
) -> ExplainedAmount:
    """A monthly amount with all adjustments in force in a month.

    `key` is `grade_3`, `survivor` or `care_major`. An adjustment reaches the benefits that were
    granted by the last day of the year before: `begun` is the day of the conclusion, of the death,
    or of what else gave the right, so that a conclusion of December is reached. It may add a flat
    sum (`add_<key>`), raise to a floor (`floor_<key>`), or, for care, recompute from the new wage
    (`care_wage`). It never lowers. A sum added stays the one of the grade of its year, which
    `key_in` says; a floor is that of the grade in the month paid. 工伤保险条例 art. 40.
    """
    amount, findings, awaits = granted, [], list[AwaitedFigure]()
    for value in adjustments(law, where, known):
        effective = Month.of(value.since)
        if effective > month or begun.year >= effective.year:
            continue
        law.note(value)
        raised = amount
        added = f"add_{key_in(effective) if key_in else key}"
        if added in value.value:
            raised = raised + Fen.of_yuan(value.value[added])
        if care is not CareDependence.NONE and value.value.get("care_wage") == "new":
            base = benefit_base(law, value.since, where, known)
            awaits.extend(base.awaits)
            anew = care_allowance(law, base, care, value.since, where).amount
            if anew > raised:
                findings.append(base.finding)
                raised = anew
        if f"floor_{key}" in value.value:
            raised = max(raised, Fen.of_yuan(value.value[f"floor_{key}"]))
        if raised > amount:
            findings.append(_finding(amount, raised, effective, value))
        amount = raised
    return ExplainedAmount(amount, tuple(findings), tuple(awaits))


def _finding(before: Fen, after: Fen, effective: Month, value: Value) -> Finding:
    return calculation(
        rules.INDEXATION,
        f"From {effective} the adjustment raises the benefit from {before.yuan} to {after.yuan} "
        "yuan a month.",
        f"自 {effective} 起, 待遇由每月 {before.yuan} 元调整为 {after.yuan} 元。",
        f"{before} + {after - before} = {after}",
        inputs={"before": before, "effective_month": effective},
        outputs={"amount": after},
        values=(value,),
    )
