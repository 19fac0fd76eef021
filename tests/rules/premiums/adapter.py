"""Turns a case's facts into calls of the rules of premiums, and their results into plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias

from services.kernel.law import Finding
from services.kernel.lawbook import Law
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.scheme import Industry
from services.premiums.domain import (
    advance_payment,
    assessment,
    declarations,
    experience,
    fines,
    receipts,
    terms,
)
from services.premiums.domain.bills import Allotment, AreaPremium, Bill, BillState, Due
from services.premiums.domain.declarations import Difference
from services.premiums.domain.experience import Experience
from services.premiums.domain.law import law
from services.premiums.domain.lines import DueDates, explain_line, premium_lines
from services.premiums.domain.prepayment import prepayment as prepayment_rule
from services.premiums.domain.rates import rates
from services.premiums.domain.standing import standing
from services.premiums.domain.tallies import Tally
from services.premiums.domain.terms import Term, TermKind
from services.runtime.base.holidays import work_calendar

PLATFORM = "91110108MA01ABCD2H"
AREA = "440100"

Facts: TypeAlias = dict[str, Any]


def premium(day: date, facts: Facts) -> dict[str, Any]:
    """A line: `industry`, `orders`, perhaps `pooling_area`, `base`, `band`, `base_since`, `set`."""
    area = facts.get("pooling_area", AREA)
    industry = Industry[facts["industry"].upper()]
    own = []
    if "base" in facts:
        since = facts.get("base_since", day)
        own.append(Term(PLATFORM, TermKind.BASE, since, Decimal(facts["base"]), industry))
    if "band" in facts:
        since = facts.get("band_since", day)
        own.append(Term(PLATFORM, TermKind.BAND, since, Decimal(facts["band"])))
    tally = Tally(PLATFORM, area, industry.value, day, facts["orders"])
    in_force = rates([tally.key], own, _law(facts))
    lines = premium_lines([tally], in_force, DueDates(day))
    findings = [finding for line in lines for finding in explain_line(line, tally.key.month)]
    return {
        "premium_yuan": _yuan(lines[0].premium) if lines else "0.00",
        "base": str(lines[0].base) if lines else "",
        "month": str(lines[0].key.month) if lines else "",
        "provisions": _provisions(findings),
    }


def month(_day: date, facts: Facts) -> dict[str, Any]:
    """A month's lines of one industry: `tallies` (day, orders), `bands` (since, band)."""
    industry = Industry[facts["industry"].upper()]
    own = [
        Term(PLATFORM, TermKind.BAND, row["since"], Decimal(row["band"]), seq=seq)
        for seq, row in enumerate(facts.get("bands", []))
    ]
    tallies = [
        Tally(PLATFORM, AREA, industry.value, row["day"], row["orders"]) for row in facts["tallies"]
    ]
    in_force = rates({tally.key for tally in tallies}, own, law(AREA))
    lines = premium_lines(tallies, in_force, DueDates(_day))
    findings = [finding for line in lines for finding in explain_line(line, line.key.month)]
    return {
        "lines": [
            f"{line.key.month} {line.order_count} x {line.band} = {_yuan(line.premium)}"
            for line in lines
        ],
        "provisions": _provisions(findings),
    }


def assigned_base(day: date, facts: Facts) -> dict[str, Any]:
    """Whether a base can be assigned: `industry`, `base`, perhaps `pooling_area`."""
    industry, rules = Industry[facts["industry"].upper()], _law(facts)
    terms.require_lawful_base(industry, Decimal(facts["base"]), day, rules)
    return {"choices": [str(base) for base in terms.base_choices(industry, day, rules)]}


def assigned_band(day: date, facts: Facts) -> dict[str, Any]:
    """Whether a band can be assigned: `band`."""
    terms.require_lawful_band(Decimal(facts["band"]), day, _law(facts))
    return {"band": facts["band"]}


def term_since(day: date, facts: Facts) -> dict[str, Any]:
    """Whether a term can begin on the day: `assessed`, the newest assessed month."""
    terms.require_month_not_assessed(day, _month(facts.get("assessed")))
    return {"since": day}


def due_date(_day: date, facts: Facts) -> dict[str, Any]:
    """The due date of `month`."""
    due_month, rules = Month.parse(facts["month"]), _law(facts)
    finding = assessment.explain_due_date(due_month, rules, work_calendar())
    return {
        "due_date": assessment.due_date(due_month, rules, work_calendar()),
        "provisional": "not known yet" in finding.text,
        "provisions": _provisions([finding]),
    }


def may_assess(day: date, facts: Facts) -> dict[str, Any]:
    """Whether `month` may be assessed: `assessed` (newest), `waiting` (first with orders)."""
    assessment.require_assessable(
        Month.parse(facts["month"]),
        day,
        _month(facts.get("assessed")),
        _month(facts.get("waiting")),
    )
    return {"assessed": facts["month"]}


def bill_month(_day: date, facts: Facts) -> dict[str, Any]:
    """The bill that orders of `service_month` fall in after `assessed`."""
    service_month = Month.parse(facts["service_month"])
    return {"bill_month": str(assessment.bill_month(service_month, _month(facts.get("assessed"))))}


def surcharge(day: date, facts: Facts) -> dict[str, Any]:
    """The standing at the end of the day: `premium_yuan`, `due`, `paid` (day, yuan)."""
    owed = standing(_bill(facts), day, _law(facts))
    return {
        "surcharge_yuan": _yuan(owed.surcharge),
        "arrears_yuan": _yuan(owed.arrears),
        "days_late": owed.days_late,
        "fine_yuan": _range(owed.findings[1:]),
        "provisions": _provisions(owed.findings),
    }


def receipt(day: date, facts: Facts) -> dict[str, Any]:
    """How `amount_yuan` received on the day is allotted to a bill as in `surcharge`."""
    bill, rules = _bill(facts), _law(facts)
    allotted = receipts.receive_premium(bill, Fen.of_yuan(facts["amount_yuan"]), day, rules)
    return {
        "premium_yuan": _yuan(allotted.premium),
        "surcharge_yuan": _yuan(allotted.surcharge),
        "credit_yuan": _yuan(allotted.credit),
        "state": receipts.after_receipt(bill, allotted, rules).state.name,
        "parts_yuan": [_yuan(part.premium) for part in allotted.parts],
        "provisions": _provisions(allotted.findings),
    }


def band(_day: date, facts: Facts) -> dict[str, Any]:
    """A band re-fixed for `year`: `before`, `premium_yuan`, `benefit_yuan`, `months`, `orders`."""
    past = Experience(
        PLATFORM,
        Fen.of_yuan(facts["premium_yuan"]),
        Fen.of_yuan(facts["benefit_yuan"]),
        facts.get("months", 12),
        facts.get("orders", 5_000_000),
        facts.get("lift", False),
    )
    fixed, finding = experience.refix_band(
        Decimal(facts["before"]), past, facts.get("year", 2027), _law(facts)
    )
    return {
        "band": f"{fixed:.2f}",
        "outcome": finding.outcome.value,
        "provisions": _provisions([finding]),
    }


def window(_day: date, facts: Facts) -> dict[str, Any]:
    """The months that the bands of `year` are fixed from, if `assessed` reaches them."""
    rules = _law(facts)
    experience.require_window_assessed(facts["year"], _month(facts.get("assessed")), rules)
    first, last = experience.window(facts["year"], rules)
    return {"first": str(first), "last": str(last)}


def estimate(_day: date, facts: Facts) -> dict[str, Any]:
    """The bill of a silent `month` after `last_month_yuan`."""
    last = Fen.of_yuan(facts["last_month_yuan"])
    whole, finding = assessment.estimate_premium(last, Month.parse(facts["month"]), _law(facts))
    return {"premium_yuan": _yuan(whole), "provisions": _provisions([finding])}


def declaration(day: date, facts: Facts) -> dict[str, Any]:
    """Orders `declared` and `held`, which is recorded, in one area and industry."""
    cell = (AREA, Industry.RIDE_HAILING.value)
    counts = declarations.declared_counts([(*cell, facts["declared"])])
    differences = declarations.compare(counts, {cell: facts["held"]} if facts["held"] else {})
    findings = [declarations.explain_difference(row, day) for row in differences]
    return {
        "difference": _difference(differences),
        "provisions": _provisions(findings),
    }


def prepayment(day: date, facts: Facts) -> dict[str, Any]:
    """What is paid ahead: `last_bill_yuan`, `has_history`, `in_arrears`."""
    ahead, finding = prepayment_rule(
        Fen.of_yuan(facts["last_bill_yuan"]),
        day,
        _law(facts),
        has_history=facts["has_history"],
        in_arrears=facts["in_arrears"],
    )
    return {"prepayment_yuan": _yuan(ahead), "provisions": _provisions([finding])}


def enquiry_fine(day: date, facts: Facts) -> dict[str, Any]:
    """The range of the fine for refusing an enquiry."""
    finding = fines.enquiry_fine(day, _law(facts))
    return {
        "fine_yuan": _range([finding]),
        "outcome": finding.outcome.value,
        "provisions": _provisions([finding]),
    }


def bearer(day: date, facts: Facts) -> dict[str, Any]:
    """Who bears a cost of the day: `arrears_yuan`, `surcharge_yuan`."""
    who, finding = advance_payment.cost_bearer(
        Fen.of_yuan(facts["arrears_yuan"]), Fen.of_yuan(facts["surcharge_yuan"]), day
    )
    return {"bearer": who.name, "provisions": _provisions([finding])}


def advance(day: date, facts: Facts) -> dict[str, Any]:
    """The days of an advance payment requested on the day, perhaps `paid` by the fund."""
    days, finding = advance_payment.advance_payment(
        day, facts.get("paid"), _law(facts), work_calendar()
    )
    return {
        "urge": days.urge,
        "payment": days.payment,
        "advance_from": days.advance_from,
        "repayment": days.repayment,
        "provisions": _provisions([finding]),
    }


RULES: dict[str, Callable[[date, Facts], dict[str, Any]]] = {
    rule.__name__: rule
    for rule in (
        premium,
        month,
        assigned_base,
        assigned_band,
        term_since,
        due_date,
        may_assess,
        bill_month,
        surcharge,
        receipt,
        band,
        window,
        estimate,
        declaration,
        prepayment,
        enquiry_fine,
        bearer,
        advance,
    )
}


def _bill(facts: Facts) -> Bill:
    due = facts.get("due", date(2025, 8, 15))
    whole = Fen.of_yuan(facts["premium_yuan"])
    late = Fen.of_yuan(facts.get("underdeclared_yuan", "0"))
    dues = [Due(due, whole)]
    if late:
        dues.append(Due(facts["underdeclared_due"], late))
    areas = [Fen.of_yuan(yuan) for yuan in facts.get("areas_yuan", [])] or [whole + late]
    return Bill(
        PLATFORM,
        Month.of(due).plus(-1),
        due,
        BillState.ASSESSED,
        1,
        tuple(dues),
        tuple(AreaPremium(f"44{n:02}00", fen) for n, fen in enumerate(areas, 1)),
        tuple(Allotment(row["day"], Fen.of_yuan(row["yuan"])) for row in facts.get("paid", [])),
    )


def _law(facts: Facts) -> Law:
    """The law of the pooling area; `set` has values that a province might set instead."""
    in_force = law(facts.get("pooling_area", AREA))
    own = {
        name: replace(
            in_force.parameters[name],
            values=tuple(replace(row, value=value) for row in in_force.parameters[name].values),
        )
        for name, value in facts.get("set", {}).items()
    }
    return replace(in_force, parameters={**in_force.parameters, **own})


def _month(text: str | None) -> Month | None:
    return None if text is None else Month.parse(text)


def _yuan(amount: Fen) -> str:
    return amount.yuan.replace(",", "")


def _provisions(findings: Iterable[Finding]) -> list[str]:
    return [str(finding.provision) for finding in findings]


def _range(findings: Sequence[Finding]) -> list[str]:
    outputs = dict(findings[0].outputs) if findings else {}
    bounds = ("least", "most") if outputs else ()
    return [_yuan(Fen(int(outputs[name].removesuffix(" fen")))) for name in bounds]


def _difference(differences: Sequence[Difference]) -> str:
    if not differences:
        return "none"
    return "under" if differences[0].is_underdeclared else "over"
