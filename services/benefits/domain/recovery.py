"""Money that has to come back: set-off against later benefits, and fines for fraud."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_FLOOR, Decimal

from services.benefits.domain import law as rules
from services.benefits.domain.findings import calculation, percent
from services.kernel.law import Finding
from services.kernel.lawbook import Law
from services.kernel.money import Fen


@dataclass(frozen=True)
class Recovery:
    """Money paid that was not due, to be given back or set off (追回), in fen.

    A negative amount releases what is no longer owed. `award` is the id of the award under which
    the money was paid, `claim` is `claims/{id}`.
    """

    id: str
    award: str
    claim: str
    beneficiary: str
    amount: Fen
    reason: str
    findings: tuple[Finding, ...]
    create_time: datetime | None = None


@dataclass(frozen=True)
class SetOff:
    """One payment, split into what is withheld for a recovery and what is paid out."""

    withheld: Fen
    paid: Fen


def set_off(payments: Sequence[Fen], owed: Fen, cap: Decimal) -> list[SetOff]:
    """Set a recovery off against payments in their order.

    At most the share `cap` of each, cut to whole fen so that no person gets less than the rest.
    """
    left = owed
    splits = []
    for payment in payments:
        most = Fen(int((payment.count * cap).to_integral_value(ROUND_FLOOR)))
        withheld = min(left, most)
        left -= withheld
        splits.append(SetOff(withheld, payment - withheld))
    return splits


def set_off_finding(
    law: Law, day: date, where: str, payment: Fen, owed: Fen, *, accident: date
) -> Finding:
    """How much of one payment is withheld on a day; the cap is a parameter.

    社会保险经办条例 art. 46, for accidents from December 2023.
    """
    cap = law.on("set_off_share", day, where)
    split = set_off([payment], owed, cap.decimal)[0]
    return calculation(
        rules.RECOVERY.on(accident),
        f"Of this payment {split.withheld.yuan} yuan are set off, at most {percent(cap.decimal)}; "
        f"{split.paid.yuan} yuan are paid.",
        f"本次支付抵扣 {split.withheld.yuan} 元 (不超过 {percent(cap.decimal)}), "
        f"实付 {split.paid.yuan} 元。",
        f"min({owed}, {payment} x {cap.value}) = {split.withheld}",
        inputs={"payment": payment, "to_recover": owed},
        outputs={"withheld": split.withheld, "paid": split.paid},
        values=(cap,),
    )


def fraud_fine(
    law: Law, day: date, where: str, obtained: Fen, *, accident: date
) -> tuple[Fen, Fen, Finding]:
    """The least and the most fine for benefits obtained by fraud, besides their return, in fen.

    社会保险法 art. 88; 社会保险经办条例 art. 55 for accidents from December 2023.
    """
    times = law.on("fraud_fine_times", day, where)
    least = obtained.times(times.at("least"))
    most = obtained.times(times.at("most"))
    finding = calculation(
        rules.FRAUD.on(accident),
        f"Fraud: {obtained.yuan} yuan are returned and a fine of {least.yuan} to {most.yuan} yuan "
        "is due.",
        f"骗取待遇 {obtained.yuan} 元应退回, 并处 {least.yuan} 元至 {most.yuan} 元罚款。",
        f"{obtained} x {times.at('least')} = {least}; {obtained} x {times.at('most')} = {most}",
        inputs={"obtained": obtained},
        outputs={"least": least, "most": most},
        values=(times,),
    )
    return least, most, finding
