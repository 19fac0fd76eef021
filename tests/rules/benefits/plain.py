"""Plain values of the cases to values of the domain, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from services.benefits.domain import disability, stops
from services.benefits.domain.base import Base, benefit_base
from services.benefits.domain.law import Law, load_law
from services.benefits.domain.model import (
    BenefitKind,
    CareDependence,
    Case,
    CaseState,
    Conclusion,
    Entitlement,
    Facts,
    Level,
    Relation,
    Survivor,
)
from services.kernel.law import Finding
from services.kernel.money import Fen
from services.kernel.parameters import Value
from services.kernel.periods import Month

FAR = date(2200, 1, 1)
Given = dict[str, Any]


def yuan(amount: Fen) -> str:
    return f"{Decimal(amount.count) / 100:.2f}"


def line(one: Entitlement) -> str:
    """`2779.04 from 2025-09, 2989.04 from 2026-01, open`."""
    parts = [f"{yuan(segment.amount)} from {segment.since}" for segment in one.segments]
    end = f"to {one.last_month}" if one.last_month else "open"
    return ", ".join([*parts, end])


def explained(findings: Sequence[Finding]) -> dict[str, Any]:
    """The provisions applied; nothing if none was, because the rule does not reach the facts."""
    for finding in findings:
        assert finding.text
        assert finding.text_zh
    return {"provisions": [str(finding.provision) for finding in findings]} if findings else {}


def computed(result: disability.Computed) -> dict[str, Any]:
    return {"amount_yuan": yuan(result.amount), **explained(result.findings)}


def stopped(stop: stops.Stop) -> dict[str, Any]:
    return {
        "effect": stop.effect.name,
        "last_month": str(stop.last_month or ""),
        **explained([stop.finding]),
    }


def law_of(given: Given) -> Law:
    law = load_law()
    parameters = dict(law.parameters)
    for name, value in given.get("law", {}).items():
        held = parameters[name]
        template: Value = held.values[0]
        parameters[name] = replace(held, values=(replace(template, value=value),))
    return Law(parameters)


def area_of(given: Given) -> str:
    return str(given.get("where", "440100"))


def base_of(day: date, given: Given) -> Base:
    return benefit_base(law_of(given), day, area_of(given), given.get("known", FAR))


def fen(given: Given, key: str) -> Fen:
    return Fen.of_yuan(given.get(key, "0"))


def survivor_of(row: Given) -> Survivor:
    return Survivor(
        survivor_id=row.get("id", "survivor"),
        relation=Relation[row["relation"].upper()],
        birth_date=row.get("born"),
        male=row.get("male", False),
        totally_disabled=row.get("disabled", False),
        alone=row.get("alone", False),
    )


def facts_of(day: date, given: Given) -> Facts:
    conclusions = tuple(
        Conclusion(
            appraisal=f"appraisals/{index}",
            level=Level[row.get("level", "FIRST")],
            grade=row["grade"],
            care=CareDependence[row.get("care", "none").upper()],
            conclude_date=row["on"],
        )
        for index, row in enumerate(given.get("conclusions", []))
    )
    held = Case(
        claim="claims/c1",
        state=CaseState[given.get("state", "CONFIRMED")],
        pooling_area=area_of(given),
        industry=2,
        accident_date=day,
        determine_date=given.get("determined", day + timedelta(days=19)),
        death_date=given.get("death"),
        survivors=tuple(survivor_of(row) for row in given.get("survivors", [])),
    )
    stopped = {
        (BenefitKind[row["kind"]], row["who"]): Month.parse(row["last_month"])
        for row in given.get("stops", [])
    }
    pensions_paid = tuple(
        (Month.parse(row["since"]), Fen.of_yuan(row["yuan"])) for row in given.get("pensions", [])
    )
    return Facts(held, conclusions, stopped, pensions_paid)


def plus_weekdays(day: date, count: int) -> date:
    """Working days without holidays; the calendar of holidays has tests of its own."""
    while count:
        day += timedelta(days=1)
        count -= day.isoweekday() < 6
    return day
