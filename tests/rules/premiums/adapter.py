"""Turns a case's facts into calls of the rules of premiums, and their results into plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from services.kernel.law import Finding
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.premiums.domain import (
    advancing,
    assessing,
    declaring,
    experience,
    paying,
    terms,
)
from services.premiums.domain.assessing import DueDates, Tally
from services.premiums.domain.declaring import Difference
from services.premiums.domain.experience import Experience
from services.premiums.domain.law import Law, law
from services.premiums.domain.paying import Area, Bill, BillState, Due, Paid
from services.premiums.domain.terms import Industry, Term, TermKind
from services.runtime.base.holidays import work_calendar

PLATFORM = "91110108MA01ABCD2H"
AREA = "440100"

Given = dict[str, Any]


def premium(day: date, given: Given) -> dict[str, Any]:
    """A line: `industry`, `orders`, perhaps `pooling_area`, `base`, `band`, `base_since`, `set`."""
    area = given.get("pooling_area", AREA)
    industry = Industry[given["industry"].upper()]
    own = []
    if "base" in given:
        since = given.get("base_since", day)
        own.append(Term(PLATFORM, TermKind.BASE, since, Decimal(given["base"]), industry))
    if "band" in given:
        since = given.get("band_since", day)
        own.append(Term(PLATFORM, TermKind.BAND, since, Decimal(given["band"])))
    tally = Tally(PLATFORM, area, industry.value, day, given["orders"])
    in_force = terms.rates([tally.key], own, _law(given))
    lines = assessing.premium([tally], in_force, DueDates(day))
    found = [finding for line in lines for finding in assessing.explain(line, tally.key.month)]
    return {
        "premium_yuan": _yuan(lines[0].premium) if lines else "0.00",
        "base": str(lines[0].base) if lines else "",
        "month": str(lines[0].key.month) if lines else "",
        "provisions": _provisions(found),
    }


def month(_day: date, given: Given) -> dict[str, Any]:
    """A month's lines of one industry: `tallies` (day, orders), `bands` (since, band)."""
    industry = Industry[given["industry"].upper()]
    own = [
        Term(PLATFORM, TermKind.BAND, row["since"], Decimal(row["band"]), seq=seq)
        for seq, row in enumerate(given.get("bands", []))
    ]
    tallies = [
        Tally(PLATFORM, AREA, industry.value, row["day"], row["orders"]) for row in given["tallies"]
    ]
    in_force = terms.rates({tally.key for tally in tallies}, own, law(AREA))
    lines = assessing.premium(tallies, in_force, DueDates(_day))
    found = [finding for line in lines for finding in assessing.explain(line, line.key.month)]
    return {
        "lines": [
            f"{line.key.month} {line.order_count} x {line.band} = {_yuan(line.premium)}"
            for line in lines
        ],
        "provisions": _provisions(found),
    }


def assigned_base(day: date, given: Given) -> dict[str, Any]:
    """Whether a base can be assigned: `industry`, `base`, perhaps `pooling_area`."""
    industry, rules = Industry[given["industry"].upper()], _law(given)
    terms.check_base(industry, Decimal(given["base"]), day, rules)
    return {"choices": [str(base) for base in terms.base_choices(industry, day, rules)]}


def assigned_band(day: date, given: Given) -> dict[str, Any]:
    """Whether a band can be assigned: `band`."""
    terms.check_band(Decimal(given["band"]), day, _law(given))
    return {"band": given["band"]}


def term_since(day: date, given: Given) -> dict[str, Any]:
    """Whether a term can begin on the day: `assessed`, the newest assessed month."""
    terms.check_since(day, _month(given.get("assessed")))
    return {"since": day}


def due_date(_day: date, given: Given) -> dict[str, Any]:
    """The due date of `month`."""
    wanted, rules = Month.parse(given["month"]), _law(given)
    found = assessing.explain_due_date(wanted, rules, work_calendar())
    return {
        "due_date": assessing.due_date(wanted, rules, work_calendar()),
        "provisional": "not known yet" in found.text,
        "provisions": _provisions([found]),
    }


def may_assess(day: date, given: Given) -> dict[str, Any]:
    """Whether `month` may be assessed: `assessed` (newest), `waiting` (first with orders)."""
    assessing.check_may_assess(
        Month.parse(given["month"]),
        day,
        _month(given.get("assessed")),
        _month(given.get("waiting")),
    )
    return {"assessed": given["month"]}


def bill_month(_day: date, given: Given) -> dict[str, Any]:
    """The bill that orders of `service_month` fall in after `assessed`."""
    found = assessing.bill_month(Month.parse(given["service_month"]), _month(given.get("assessed")))
    return {"bill_month": str(found)}


def surcharge(day: date, given: Given) -> dict[str, Any]:
    """The standing at the end of the day: `premium_yuan`, `due`, `paid` (day, yuan)."""
    standing = paying.standing(_bill(given), day, _law(given))
    return {
        "surcharge_yuan": _yuan(standing.surcharge),
        "arrears_yuan": _yuan(standing.arrears),
        "days_late": standing.days_late,
        "fine_yuan": _range(standing.findings[1:]),
        "provisions": _provisions(standing.findings),
    }


def receipt(day: date, given: Given) -> dict[str, Any]:
    """How `amount_yuan` received on the day is allotted to a bill as in `surcharge`."""
    bill, rules = _bill(given), _law(given)
    got = paying.receive(bill, Fen.of_yuan(given["amount_yuan"]), day, rules, "B-1")
    return {
        "premium_yuan": _yuan(got.premium),
        "surcharge_yuan": _yuan(got.surcharge),
        "credit_yuan": _yuan(got.credit),
        "state": paying.after_receipt(bill, got, rules).state.name,
        "parts_yuan": [_yuan(part.premium) for part in got.parts],
        "provisions": _provisions(got.findings),
    }


def band(_day: date, given: Given) -> dict[str, Any]:
    """A band re-fixed for `year`: `before`, `premium_yuan`, `benefit_yuan`, `months`, `orders`."""
    past = Experience(
        PLATFORM,
        Fen.of_yuan(given["premium_yuan"]),
        Fen.of_yuan(given["benefit_yuan"]),
        given.get("months", 12),
        given.get("orders", 5_000_000),
        given.get("lift", False),
    )
    found, finding = experience.refix(
        Decimal(given["before"]), past, given.get("year", 2027), _law(given)
    )
    return {
        "band": f"{found:.2f}",
        "outcome": finding.outcome.value,
        "provisions": _provisions([finding]),
    }


def window(_day: date, given: Given) -> dict[str, Any]:
    """The months that the bands of `year` are fixed from, if `assessed` reaches them."""
    rules = _law(given)
    experience.check_window(given["year"], _month(given.get("assessed")), rules)
    first, last = experience.window(given["year"], rules)
    return {"first": str(first), "last": str(last)}


def estimate(_day: date, given: Given) -> dict[str, Any]:
    """The bill of a silent `month` after `last_month_yuan`."""
    last = Fen.of_yuan(given["last_month_yuan"])
    found, finding = assessing.estimate(last, Month.parse(given["month"]), _law(given))
    return {"premium_yuan": _yuan(found), "provisions": _provisions([finding])}


def declaration(day: date, given: Given) -> dict[str, Any]:
    """Orders `declared` and `held` in one area and industry."""
    cell = (AREA, Industry.RIDE_HAILING.value)
    counts = declaring.declared([(*cell, given["declared"])])
    differences = declaring.compare(counts, {cell: given["held"]} if given["held"] else {})
    findings = [declaring.explain(one, day) for one in differences]
    return {
        "difference": _difference(differences),
        "provisions": _provisions(findings),
    }


def prepayment(day: date, given: Given) -> dict[str, Any]:
    """What is paid ahead: `last_bill_yuan`, `has_history`, `in_arrears`."""
    found, finding = declaring.prepayment(
        Fen.of_yuan(given["last_bill_yuan"]),
        day,
        _law(given),
        has_history=given["has_history"],
        in_arrears=given["in_arrears"],
    )
    return {"prepayment_yuan": _yuan(found), "provisions": _provisions([finding])}


def enquiry_fine(day: date, given: Given) -> dict[str, Any]:
    """The range of the fine for refusing an enquiry."""
    finding = declaring.explain_enquiry_fine(day, _law(given))
    return {
        "fine_yuan": _range([finding]),
        "outcome": finding.outcome.value,
        "provisions": _provisions([finding]),
    }


def bearer(day: date, given: Given) -> dict[str, Any]:
    """Who bears a cost of the day: `arrears_yuan`, `surcharge_yuan`."""
    found, finding = advancing.bearer(
        Fen.of_yuan(given["arrears_yuan"]), Fen.of_yuan(given["surcharge_yuan"]), day
    )
    return {"bearer": found.name, "provisions": _provisions([finding])}


def advance(day: date, given: Given) -> dict[str, Any]:
    """The days of an advance payment asked for on the day, perhaps `paid` by the fund."""
    dates, finding = advancing.advance_dates(day, given.get("paid"), _law(given), work_calendar())
    return {
        "urge": dates.urge,
        "payment": dates.payment,
        "advance_from": dates.advance_from,
        "repayment": dates.repayment,
        "provisions": _provisions([finding]),
    }


RULES: dict[str, Callable[[date, Given], dict[str, Any]]] = {
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


def _bill(given: Given) -> Bill:
    due = given.get("due", date(2025, 8, 15))
    whole = Fen.of_yuan(given["premium_yuan"])
    late = Fen.of_yuan(given.get("underdeclared_yuan", "0"))
    dues = [Due(due, whole)]
    if late:
        dues.append(Due(given["underdeclared_due"], late))
    areas = [Fen.of_yuan(yuan) for yuan in given.get("areas_yuan", [])] or [whole + late]
    return Bill(
        PLATFORM,
        Month.of(due).plus(-1),
        due,
        BillState.ASSESSED,
        1,
        tuple(dues),
        tuple(Area(f"44{n:02}00", fen) for n, fen in enumerate(areas, 1)),
        tuple(Paid(row["day"], Fen.of_yuan(row["yuan"])) for row in given.get("paid", [])),
    )


def _law(given: Given) -> Law:
    """The law of the pooling area; `set` has values that a province might set instead."""
    found = law(given.get("pooling_area", AREA))
    own = {
        name: replace(
            found.parameters[name],
            values=tuple(replace(held, value=value) for held in found.parameters[name].values),
        )
        for name, value in given.get("set", {}).items()
    }
    return replace(found, parameters={**found.parameters, **own})


def _month(text: str | None) -> Month | None:
    return None if text is None else Month.parse(text)


def _yuan(amount: Fen) -> str:
    return amount.yuan.replace(",", "")


def _provisions(findings: Iterable[Finding]) -> list[str]:
    return [str(finding.provision) for finding in findings]


def _range(findings: Sequence[Finding]) -> list[str]:
    found = dict(findings[0].outputs) if findings else {}
    return [
        _yuan(Fen(int(found[name].removesuffix(" fen")))) for name in ("least", "most") if found
    ]


def _difference(differences: Sequence[Difference]) -> str:
    if not differences:
        return "none"
    return "under" if differences[0].is_underdeclared else "over"
