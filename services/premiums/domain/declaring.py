"""Declarations beside the orders held (多退少补), prepayment, and fines for refusing an enquiry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from services.kernel.law import Finding, Outcome, facts
from services.kernel.money import ZERO, Fen
from services.kernel.problems import Malformed
from services.premiums.domain.law import ENQUIRY_FINE, PREPAYMENT, TRUE_UP, Law

Cell = tuple[str, int]  # pooling area, industry


@dataclass(frozen=True)
class Difference:
    """One pooling area and industry in which declared and held orders differ."""

    pooling_area: str
    industry: int
    declared_count: int
    held_count: int

    @property
    def is_underdeclared(self) -> bool:
        """Whether more orders are held than were declared."""
        return self.declared_count < self.held_count


def declared(rows: Iterable[tuple[str, int, int]]) -> dict[Cell, int]:
    """Rows (pooling area, industry, count) of a declaration; refuses a cell that stands twice."""
    found: dict[Cell, int] = {}
    for index, (area, industry, count) in enumerate(rows):
        if (area, industry) in found:
            what = "this pooling area and industry stand in an earlier row; add them up"
            raise Malformed.of(f"rows[{index}]", what)
        if count < 0:
            raise Malformed.of(f"rows[{index}].order_count", "write 0 or more orders")
        found[area, industry] = count
    return found


def compare(declared: Mapping[Cell, int], held: Mapping[Cell, int]) -> list[Difference]:
    """Where declared and held orders differ, by pooling area and industry."""
    return [
        Difference(area, industry, declared.get((area, industry), 0), held.get((area, industry), 0))
        for area, industry in sorted({*declared, *held})
        if declared.get((area, industry), 0) != held.get((area, industry), 0)
    ]


def explain(difference: Difference, due: date) -> Finding:
    """What follows from a difference: bills follow the orders held, never the declaration."""
    if difference.is_underdeclared:
        text = (
            f"Fewer orders are declared than are held; those that were held late are billed with a "
            f"surcharge from {due} on."
        )
        text_zh = f"申报少于订单记录; 迟到订单补缴, 滞纳金自 {due} 次日起算。"
    else:
        text = (
            "More orders are declared than are held; what was paid too much is set off against the "
            "next bill."
        )
        text_zh = "申报多于订单记录; 多缴部分抵缴下期保费。"
    return Finding(
        TRUE_UP,
        Outcome.MET,
        text,
        text_zh,
        inputs=facts(
            pooling_area=difference.pooling_area,
            industry=difference.industry,
            declared=difference.declared_count,
            held=difference.held_count,
        ),
    )


def prepayment(
    last_bill: Fen, day: date, law: Law, *, has_history: bool, in_arrears: bool
) -> tuple[Fen, Finding]:
    """What a platform without history or in arrears pays ahead; off unless a province sets it."""
    share = law.on("prepayment_share", day)
    applies = in_arrears or not has_history
    found = last_bill.times(share.decimal) if applies else ZERO
    return found, Finding(
        PREPAYMENT,
        Outcome.CALCULATED if found else Outcome.NOT_MET,
        f"The platform pays {found.yuan} yuan ahead." if found else "Nothing is paid ahead.",
        f"预缴 {found.yuan} 元。" if found else "无须预缴。",
        inputs=facts(last_bill=last_bill, has_history=has_history, in_arrears=in_arrears),
        outputs=facts(prepayment=found),
        parameters=(share.version,),
        arithmetic=f"{last_bill.yuan} x {share.decimal} = {found.yuan}" if found else "",
    )


def enquiry_fine(day: date, law: Law) -> tuple[Fen, Fen]:
    """The least and the most that refusing an enquiry (拒不协助调查) costs; a person fixes it."""
    yuan = law.on("enquiry_fine", day)
    return Fen.of_yuan(str(yuan.at("least"))), Fen.of_yuan(str(yuan.at("most")))


def explain_enquiry_fine(day: date, law: Law) -> Finding:
    """The range of the fine as a finding."""
    least, most = enquiry_fine(day, law)
    return Finding(
        ENQUIRY_FINE,
        Outcome.UNCLEAR,
        f"Refusing an enquiry can be fined {least.yuan} to {most.yuan} yuan.",
        f"拒不协助调查的, 可处 {least.yuan} 至 {most.yuan} 元罚款。",
        outputs=facts(least=least, most=most),
        parameters=(law.on("enquiry_fine", day).version,),
    )
