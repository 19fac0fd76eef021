"""Standing: what a platform owes for a bill on a day, in premium and in surcharge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from services.kernel.law import Finding, Outcome, facts
from services.kernel.lawbook import Law
from services.kernel.money import Fen, total
from services.premiums.domain.bills import Bill
from services.premiums.domain.fines import arrears_fine
from services.premiums.domain.law import SURCHARGE
from services.premiums.domain.surcharge import accrued_surcharge, overdue


@dataclass(frozen=True)
class Standing:
    """What a platform owes for a bill on a day."""

    day: date
    assessed: Fen
    received: Fen
    arrears: Fen  # premium overdue
    surcharge: Fen  # accrued up to the day, less what was paid of it
    days_late: int
    findings: tuple[Finding, ...] = ()


def standing(bill: Bill, day: date, law: Law) -> Standing:
    """What a platform owes for a bill at the end of a day."""
    rate = law.on("surcharge_rate", bill.due)
    allotments = bill.up_to(day)
    received = total(allotment.premium for allotment in allotments)
    accrued, arithmetic = accrued_surcharge(bill.dues, allotments, day, rate.decimal)
    late = overdue(bill.dues, received, day)
    arrears = total(part.premium for part in late)
    owed = accrued - total(allotment.surcharge for allotment in allotments)
    days_late = max(((day - part.due).days for part in late), default=0)
    findings = [
        Finding(
            SURCHARGE,
            Outcome.CALCULATED if accrued else Outcome.NOT_MET,
            f"By {day} the surcharge is {accrued.yuan} yuan on {arrears.yuan} yuan of arrears."
            if accrued
            else f"By {day} nothing was paid late, so there is no surcharge.",
            f"截至 {day} 滞纳金 {accrued.yuan} 元, 欠费 {arrears.yuan} 元。"
            if accrued
            else f"截至 {day} 无逾期, 不加收滞纳金。",
            inputs=facts(due_date=bill.due, assessed=bill.premium, received=received, day=day),
            outputs=facts(arrears=arrears, surcharge=accrued),
            parameters=(rate.version,),
            arithmetic=arithmetic,
        )
    ]
    if arrears:
        findings.append(arrears_fine(arrears, day, law))
    return Standing(day, bill.premium, received, arrears, owed, days_late, tuple(findings))
