"""Fines: the range that the law allows; a person fixes the amount."""

from __future__ import annotations

from datetime import date

from services.kernel.law import Finding, Outcome, facts
from services.kernel.lawbook import Law
from services.kernel.money import Fen
from services.premiums.domain.law import ARREARS_FINE, ENQUIRY_FINE


def arrears_fine(arrears: Fen, day: date, law: Law) -> Finding:
    """The range of the fine on arrears that stay unpaid after notice (欠缴罚款)."""
    times = law.on("arrears_fine", day)
    least, most = arrears.times(times.at("least")), arrears.times(times.at("most"))
    return Finding(
        ARREARS_FINE,
        Outcome.UNCLEAR,
        f"If it stays unpaid after notice, a fine of {least.yuan} to {most.yuan} yuan is possible.",
        f"经催告仍未缴纳的, 可处 {least.yuan} 至 {most.yuan} 元罚款。",
        inputs=facts(arrears=arrears),
        outputs=facts(least=least, most=most),
        parameters=(times.version,),
    )


def enquiry_fine(day: date, law: Law) -> Finding:
    """The range of the fine for refusing an enquiry (拒不协助调查)."""
    yuan = law.on("enquiry_fine", day)
    least, most = Fen.of_yuan(str(yuan.at("least"))), Fen.of_yuan(str(yuan.at("most")))
    return Finding(
        ENQUIRY_FINE,
        Outcome.UNCLEAR,
        f"Refusing an enquiry can be fined {least.yuan} to {most.yuan} yuan.",
        f"拒不协助调查的, 可处 {least.yuan} 至 {most.yuan} 元罚款。",
        outputs=facts(least=least, most=most),
        parameters=(yuan.version,),
    )
