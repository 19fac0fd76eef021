"""Prepayment (预缴): a rule that is off unless a province sets its share."""

from __future__ import annotations

from datetime import date

from services.kernel.law import Finding, Outcome, facts
from services.kernel.lawbook import Law
from services.kernel.money import ZERO, Fen
from services.premiums.domain.law import PREPAYMENT


def prepayment(
    last_bill: Fen, day: date, law: Law, *, has_history: bool, in_arrears: bool
) -> tuple[Fen, Finding]:
    """What a platform without history or in arrears pays ahead, in fen."""
    share = law.on("prepayment_share", day)
    applies = in_arrears or not has_history
    ahead = last_bill.times(share.decimal) if applies else ZERO
    return ahead, Finding(
        PREPAYMENT,
        Outcome.CALCULATED if ahead else Outcome.NOT_MET,
        f"The platform pays {ahead.yuan} yuan ahead." if ahead else "Nothing is paid ahead.",
        f"预缴 {ahead.yuan} 元。" if ahead else "无须预缴。",
        inputs=facts(last_bill=last_bill, has_history=has_history, in_arrears=in_arrears),
        outputs=facts(prepayment=ahead),
        parameters=(share.version,),
        arithmetic=f"{last_bill.yuan} x {share.decimal} = {ahead.yuan}" if ahead else "",
    )
