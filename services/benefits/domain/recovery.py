"""Money back: set-off against later benefits, fines, and advances for a platform in arrears."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_FLOOR, Decimal

from services.benefits.domain import law as rules
from services.benefits.domain.law import Law, calculated, percent
from services.kernel.law import Finding
from services.kernel.money import ZERO, Fen


@dataclass(frozen=True)
class SetOff:
    """One payment, split into what is withheld for a recovery and what is paid out."""

    withheld: Fen
    paid: Fen


def set_off(payments: Sequence[Fen], owed: Fen, cap: Decimal) -> list[SetOff]:
    """Set a recovery off against payments in their order.

    At most the share `cap` of each, cut to whole fen so that nobody gets less than their part.
    """
    left = owed
    made = []
    for payment in payments:
        most = Fen(int((payment.count * cap).to_integral_value(ROUND_FLOOR)))
        withheld = min(left, most)
        left -= withheld
        made.append(SetOff(withheld, payment - withheld))
    return made


def set_off_finding(law: Law, day: date, where: str, payment: Fen, owed: Fen) -> Finding:
    """How much of one payment is withheld. 社会保险经办条例 art. 46; the cap is a parameter."""
    cap = law.on("set_off_share", day, where)
    split = set_off([payment], owed, cap.decimal)[0]
    return calculated(
        rules.RECOVERY,
        f"Of this payment {split.withheld.yuan} yuan are set off, at most {percent(cap.decimal)}; "
        f"{split.paid.yuan} yuan are paid.",
        f"本次支付抵扣 {split.withheld.yuan} 元 (不超过 {percent(cap.decimal)}), "
        f"实付 {split.paid.yuan} 元。",
        f"min({owed}, {payment} x {cap.value}) = {split.withheld}",
        inputs={"payment": payment, "to_recover": owed},
        outputs={"withheld": split.withheld, "paid": split.paid},
        values=(cap,),
    )


def fraud_fine(law: Law, day: date, where: str, obtained: Fen) -> tuple[Fen, Fen, Finding]:
    """The least and the most fine for benefits obtained by fraud, beside their return."""
    times = law.on("fraud_fine_times", day, where)
    least = obtained.times(times.at("least"))
    most = obtained.times(times.at("most"))
    finding = calculated(
        rules.FRAUD,
        f"Fraud: {obtained.yuan} yuan are returned and a fine of {least.yuan} to {most.yuan} yuan "
        "is due.",
        f"骗取待遇 {obtained.yuan} 元应退回, 并处 {least.yuan} 元至 {most.yuan} 元罚款。",
        f"{obtained} x {times.at('least')} = {least}; {obtained} x {times.at('most')} = {most}",
        inputs={"obtained": obtained},
        outputs={"least": least, "most": most},
        values=(times,),
    )
    return least, most, finding


@dataclass(frozen=True)
class Advance:
    """The days of an advance payment (先行支付) while a platform owes premiums."""

    urge_by: date
    platform_pays_by: date
    fund_pays_from: date
    platform_repays_by: date
    finding: Finding


def advance(
    law: Law, asked: date, where: str, paid: date | None, plus_workdays: Callable[[date, int], date]
) -> Advance:
    """When the agency urges, the platform pays, the fund steps in, and the platform repays.

    `plus_workdays(day, n)` is the n-th working day after a day. The repayment counts calendar days
    from the fund's payment, or from the first day it may pay. 社会保险法 art. 41.
    """
    days = law.on("advance_payment_days", asked, where)
    urge_by = plus_workdays(asked, int(days.at("urge")))
    platform_pays_by = plus_workdays(urge_by, int(days.at("platform_pays")))
    fund_from = platform_pays_by + timedelta(days=1)
    repay_by = (paid or fund_from) + timedelta(days=int(days.at("platform_repays")))
    return Advance(
        urge_by,
        platform_pays_by,
        fund_from,
        repay_by,
        calculated(
            rules.ADVANCE,
            f"The platform is urged by {urge_by} to pay by {platform_pays_by}; after that the fund "
            f"pays in advance and the platform repays by {repay_by}.",
            f"{urge_by} 前催告平台企业, 限其于 {platform_pays_by} 前支付; 逾期由基金先行支付, "
            f"平台企业应于 {repay_by} 前偿还。",
            f"{asked} + {days.at('urge')} wd + {days.at('platform_pays')} wd",
            inputs={"asked_date": asked, "paid_date": paid},
            outputs={"fund_pays_from": fund_from, "repay_by": repay_by},
            values=(days,),
        ),
    )


def recourse(advanced: Fen, repaid: Fen) -> Fen:
    """What the platform still owes of an advance."""
    return max(ZERO, advanced - repaid)
