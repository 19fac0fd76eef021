"""Who bears a cost while premiums are owed, and the days of an advance payment (先行支付)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum

from services.kernel.law import Finding, Outcome, facts
from services.kernel.lawbook import Law
from services.kernel.money import Fen
from services.kernel.workdays import WorkCalendar
from services.premiums.domain.law import ADVANCE_PAYMENT, COST_BEARER


class Bearer(Enum):
    """Who bears a cost."""

    FUND = 1
    PLATFORM = 2


@dataclass(frozen=True)
class AdvancePayment:
    """The days that follow from a worker's request for an advance payment."""

    urge: date  # the agency urges the platform by this day
    payment: date  # the platform pays by this day
    advance_from: date  # the fund pays from this day on
    repayment: date | None  # the platform repays by this day; None until the fund has paid


def cost_bearer(arrears: Fen, surcharge: Fen, day: date) -> tuple[Bearer, Finding]:
    """Who bears costs that arise on a day: the fund, unless premium or surcharge is overdue."""
    owes = arrears.count > 0 or surcharge.count > 0
    bearer = Bearer.PLATFORM if owes else Bearer.FUND
    return bearer, Finding(
        COST_BEARER,
        Outcome.MET if owes else Outcome.NOT_MET,
        f"On {day} the platform owes {arrears.yuan} yuan of premium and {surcharge.yuan} of "
        "surcharge, so it bears the cost itself; the fund bears what arises once both are paid."
        if owes
        else f"On {day} nothing is overdue, so the fund bears the cost.",
        f"{day} 平台欠费 {arrears.yuan} 元、滞纳金 {surcharge.yuan} 元, 费用由平台支付; "
        "补缴后新发生的费用由基金支付。"
        if owes
        else f"{day} 无欠费, 费用由基金支付。",
        inputs=facts(arrears=arrears, surcharge=surcharge, day=day),
        outputs=facts(bearer=bearer),
    )


def advance_payment(
    request_date: date, advance_date: date | None, law: Law, calendar: WorkCalendar
) -> tuple[AdvancePayment, Finding]:
    """The days that follow from a worker's request, and from the advance once it is paid.

    The agency urges within 3 working days, the platform pays within 5 more, then the fund pays;
    the platform repays within 10 days of `advance_date`, the day on which the fund paid.
    """
    days = law.on("advance_payment_days", request_date)
    urge = calendar.plus(request_date, int(days.at("urge")))
    payment = calendar.plus(urge, int(days.at("pay")))
    repayment = (
        None if advance_date is None else advance_date + timedelta(days=int(days.at("repay")))
    )
    text = (
        f"The agency urges the platform by {urge}; if it has not paid by {payment}, the fund pays "
        "in advance"
    )
    text_zh = f"经办机构于 {urge} 前催告; 平台逾 {payment} 未支付的, 由基金先行支付"
    if repayment:
        text += f", and the platform repays by {repayment}"
        text_zh += f"; 平台须于 {repayment} 前偿还"
    return AdvancePayment(urge, payment, payment + timedelta(days=1), repayment), Finding(
        ADVANCE_PAYMENT,
        Outcome.CALCULATED,
        text + ".",
        text_zh + "。",
        inputs=facts(request_date=request_date, advance_date=advance_date or ""),
        outputs=facts(urge=urge, payment=payment, repayment=repayment or ""),
        parameters=(days.version,),
    )
