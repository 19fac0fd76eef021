"""Values of the cases as values of the domain, and the reverse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from services.benefits.domain import stops
from services.benefits.domain.benefit_base import Base, benefit_base
from services.benefits.domain.case import (
    Applicant,
    AppraisalEnd,
    Case,
    CaseState,
    CauseOfDeath,
    Conclusion,
    EndCause,
    Facts,
)
from services.benefits.domain.entitlement import Entitlement
from services.benefits.domain.findings import ExplainedAmount
from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.law import LAW
from services.benefits.domain.life import LifeEvent, LifeState, life_of, with_life
from services.kernel.law import Finding
from services.kernel.lawbook import Law
from services.kernel.money import Fen
from services.kernel.parameters import Value
from services.kernel.periods import Month
from services.kernel.scheme import AppraisalLevel, CareDependence, NearerKin, Relation, Survivor

FAR = date(2200, 1, 1)
CaseFacts = dict[str, Any]


def yuan(amount: Fen) -> str:
    return f"{Decimal(amount.count) / 100:.2f}"


def line(entitlement: Entitlement) -> str:
    """`2779.04 from 2025-09, 2989.04 from 2026-01, open`."""
    parts = [f"{yuan(segment.amount)} from {segment.since}" for segment in entitlement.segments]
    end = f"to {entitlement.last_month}" if entitlement.last_month else "open"
    return ", ".join([*parts, end])


def explained(findings: Sequence[Finding]) -> dict[str, Any]:
    """The provisions applied; nothing if none was, because the rule does not reach the facts."""
    for finding in findings:
        assert finding.text
        assert finding.text_zh
    return {"provisions": [str(finding.provision) for finding in findings]} if findings else {}


def computed(result: ExplainedAmount) -> dict[str, Any]:
    return {"amount_yuan": yuan(result.amount), **explained(result.findings)}


def stopped(stop: stops.Stop) -> dict[str, Any]:
    return {
        "effect": stop.effect.name,
        "last_month": str(stop.last_month or ""),
        **explained([stop.finding]),
    }


def law_of(facts: CaseFacts) -> Law:
    parameters = dict(LAW.parameters)
    for name, value in facts.get("law", {}).items():
        parameter = parameters[name]
        template: Value = parameter.values[0]
        parameters[name] = replace(parameter, values=(replace(template, value=value),))
    return Law(parameters)


def area_of(facts: CaseFacts) -> str:
    return str(facts.get("where", "440100"))


def base_of(day: date, facts: CaseFacts) -> Base:
    return benefit_base(law_of(facts), day, area_of(facts), facts.get("known", FAR))


def fen(facts: CaseFacts, key: str) -> Fen:
    return Fen.of_yuan(facts.get(key, "0"))


def survivor_of(row: CaseFacts) -> Survivor:
    return Survivor(
        survivor_id=row.get("id", "survivor"),
        relation=Relation[row["relation"].upper()],
        birth_date=row.get("born"),
        male=row.get("male", False),
        totally_disabled=row.get("disabled", False),
        alone=row.get("alone", False),
        supported={"yes": True, "no": False, "not said": None}[row.get("supported", "yes")],
        support_document=b"" if row.get("document") == "none" else bytes(32),
        nearer_kin=NearerKin[row["nearer_kin"].upper()] if "nearer_kin" in row else None,
    )


def facts_of(day: date, facts: CaseFacts) -> Facts:
    conclusions = tuple(
        Conclusion(
            appraisal=f"appraisals/{index}",
            level=AppraisalLevel[row.get("level", "FIRST")],
            grade=row["grade"],
            care=CareDependence[row.get("care", "none").upper()],
            conclude_date=row["on"],
        )
        for index, row in enumerate(facts.get("conclusions", []))
    )
    determined = Case(
        claim="claims/c1",
        state=CaseState[facts.get("state", "CONFIRMED")],
        pooling_area=area_of(facts),
        industry=2,
        accident_date=day,
        determine_date=facts.get("determined", day + timedelta(days=19)),
        death_date=facts.get("death"),
        survivors=tuple(survivor_of(row) for row in facts.get("survivors", [])),
    )
    stopped = {
        (BenefitKind[row["kind"]], row["who"]): Month.parse(row["last_month"])
        for row in facts.get("stops", [])
    }
    pensions_paid = tuple(
        (Month.parse(row["since"]), Fen.of_yuan(row["yuan"])) for row in facts.get("pensions", [])
    )
    ends = tuple(
        AppraisalEnd(
            f"appraisals/e{index}", EndCause[row["cause"]], Applicant[row["applicant"]], row["on"]
        )
        for index, row in enumerate(facts.get("ended", []))
    )
    whole = Facts(determined, conclusions, stopped, pensions_paid, ends=ends)
    return with_life(whole, life_of(map(life_event_of, facts.get("life", []))), {"claims/c1"})


def life_event_of(row: CaseFacts) -> LifeEvent:
    return LifeEvent(
        id="e",
        claim=row.get("claim", "claims/c1"),
        worker="",
        state=LifeState[row["state"]],
        day=row.get("day"),
        cause=CauseOfDeath[row["cause"]] if "cause" in row else None,
        hardship=row.get("hardship", False),
        survivors=tuple(survivor_of(one) for one in row.get("survivors", [])),
        document_hash=bytes(32),
        reason="",
        record_date=row["recorded"],
    )
