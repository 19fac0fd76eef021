"""Benefits that follow from a disability grade and from dependence on care."""

from __future__ import annotations

from datetime import date

from services.benefits.domain import law as rules
from services.benefits.domain.benefit_base import Base
from services.benefits.domain.figures import MINIMUM_WAGE, awaited, said_of
from services.benefits.domain.findings import ExplainedAmount, calculation, percent
from services.kernel.law import Finding
from services.kernel.lawbook import Law
from services.kernel.money import ZERO, Fen
from services.kernel.parameters import Value
from services.kernel.periods import Month
from services.kernel.scheme import CareDependence

ALLOWANCE_GRADES = range(1, 5)
SETTLEMENT_GRADES = range(5, 7)
MINOR_GRADES = range(7, 11)


def disability_grant(
    law: Law, base: Base, grade: int, accident: date, where: str
) -> ExplainedAmount:
    """Disability grant (一次性伤残补助金), in fen, paid once: B times the months of the grade.

    人社厅函〔2025〕79号 art. 38(2); grade 0 gives nothing.
    """
    if not grade:
        return ExplainedAmount(ZERO, (_no_grade(accident),))
    months = law.on("disability_grant_months", accident, where)
    count = months.at(f"grade_{grade}")
    amount = base.benefit_base.times(count)
    return ExplainedAmount(
        amount,
        (
            base.finding,
            calculation(
                rules.GRANT.on(accident),
                f"Grade {grade} gives {count} months of the benefit base, once: "
                f"{amount.yuan} yuan.",
                f"{grade} 级伤残, 一次性伤残补助金为 {count} 个月待遇计发基数: {amount.yuan} 元。",
                f"{base.benefit_base} x {count} = {amount}",
                inputs={"grade": grade, "benefit_base": base.benefit_base},
                outputs={"amount": amount},
                values=(months,),
            ),
        ),
    )


def disability_allowance(
    law: Law,
    base: Base,
    grade: int,
    accident: date,
    *,
    where: str,
    month: Month,
    added: Fen = ZERO,
    known: date | None = None,
) -> ExplainedAmount:
    """Disability allowance (伤残津贴) for one month, in fen: grades 1 to 4, a share of B.

    `added` is what indexation has added by that month. The fund tops the sum up to the local
    minimum wage where the province has the floor switched on. 人社厅函〔2025〕79号 art. 38(3).
    """
    if grade not in ALLOWANCE_GRADES:
        return ExplainedAmount(ZERO, ())
    shares = law.on("disability_allowance_share", accident, where)
    share = shares.at(f"grade_{grade}")
    granted = base.benefit_base.times(share)
    plain = granted + added
    findings = [
        base.finding,
        calculation(
            rules.ALLOWANCE.on(accident),
            f"Grade {grade} gives {percent(share)} of the benefit base every month: "
            f"{granted.yuan} yuan.",
            f"{grade} 级伤残, 伤残津贴每月为待遇计发基数的 {percent(share)}: {granted.yuan} 元。",
            f"{base.benefit_base} x {share} = {granted}",
            inputs={"grade": grade, "benefit_base": base.benefit_base},
            outputs={"amount": granted},
            values=(shares,),
        ),
    ]
    if not law.is_on("disability_allowance_floor", month.first_day, where):
        return ExplainedAmount(plain, tuple(findings))
    floor = law.on(MINIMUM_WAGE, month.first_day, where, known)
    top_up = max(ZERO, floor.fen - plain)
    if top_up or floor.stands_in:
        findings.append(_floor_finding(floor, plain, top_up, month))
    awaits = awaited(MINIMUM_WAGE, where, month.first_day, floor)
    return ExplainedAmount(plain + top_up, tuple(findings), awaits)


def _floor_finding(floor: Value, plain: Fen, top_up: Fen, month: Month) -> Finding:
    """What the minimum wage adds, and that another one stands in, also where it adds nothing."""
    lag, lag_zh = said_of(floor)
    if not top_up:
        return calculation(
            rules.ALLOWANCE_FLOOR,
            f"The allowance is not below the minimum wage of {floor.fen.yuan} yuan{lag}.",
            f"伤残津贴不低于最低工资标准 {floor.fen.yuan} 元{lag_zh}。",
            f"{plain} >= {floor.fen}",
            inputs={"allowance": plain, "minimum_wage": floor.fen},
            outputs={"top_up": top_up},
            values=(floor,),
        )
    return calculation(
        rules.ALLOWANCE_FLOOR,
        f"The allowance is below the minimum wage of {floor.fen.yuan} yuan{lag}; the fund adds "
        f"{top_up.yuan} yuan.",
        f"伤残津贴低于当地最低工资标准 {floor.fen.yuan} 元{lag_zh}, "
        f"由基金补足差额 {top_up.yuan} 元。",
        f"{floor.fen} - {plain} = {top_up}",
        inputs={"month": month, "allowance": plain, "minimum_wage": floor.fen},
        outputs={"top_up": top_up, "amount": plain + top_up},
        values=(floor,),
    )


def after_pension(
    law: Law, allowance: Fen, pension: Fen | None, month: Month, where: str
) -> ExplainedAmount:
    """What is left of the allowance once a basic pension is paid: the difference, if any."""
    switch = law.on("retirement_offset", month.first_day, where)
    if pension is None or switch.value != "on":
        return ExplainedAmount(allowance, ())
    left = max(ZERO, allowance - pension)
    return ExplainedAmount(
        left,
        (
            calculation(
                rules.RETIREMENT,
                f"With a basic pension of {pension.yuan} yuan the allowance ends; the fund pays "
                f"the difference of {left.yuan} yuan.",
                f"享受基本养老金 {pension.yuan} 元后停发伤残津贴, 由基金补足差额 {left.yuan} 元。",
                f"max(0, {allowance} - {pension}) = {left}",
                inputs={"month": month, "allowance": allowance, "pension": pension},
                outputs={"amount": left},
                values=(switch,),
            ),
        ),
    )


def disability_settlement(
    law: Law, base: Base, grade: int, accident: date, where: str
) -> ExplainedAmount:
    """The further one-off sum, in fen: grades 5 and 6 (art. 38(4)), and 7 to 10 where so set.

    The national text names none for grades 7 to 10, so their parameter is 0.
    """
    if grade not in SETTLEMENT_GRADES and grade not in MINOR_GRADES:
        return ExplainedAmount(ZERO, ())
    months = law.on("disability_settlement_months", accident, where)
    count = months.at(f"grade_{grade}")
    if not count:
        return ExplainedAmount(ZERO, ())
    amount = base.benefit_base.times(count)
    return ExplainedAmount(
        amount,
        (
            base.finding,
            calculation(
                rules.SETTLEMENT.on(accident),
                f"Grade {grade} gives a further {count} months of the benefit base, once, in place "
                f"of a monthly allowance: {amount.yuan} yuan.",
                f"{grade} 级伤残, 另按 {count} 个月待遇计发基数一次性支付: {amount.yuan} 元。",
                f"{base.benefit_base} x {count} = {amount}",
                inputs={"grade": grade, "benefit_base": base.benefit_base},
                outputs={"amount": amount},
                values=(months,),
            ),
        ),
    )


def settlement_after_review(
    law: Law, settlement: ExplainedAmount, allowance_paid: Fen, day: date, where: str
) -> ExplainedAmount:
    """The settlement when a review lowers grade 1-4 to 5 or 6.

    The two stand for each other: by default the allowance already paid is offset against the sum,
    not below zero; a province may pay the sum in full or not at all (parameter
    `review_settlement`). `allowance_after_review` is the same rule in the other direction.
    """
    rule = law.on("review_settlement", day, where)
    taken = {"full": ZERO, "offset": allowance_paid, "none": settlement.amount}[rule.value]
    amount = max(ZERO, settlement.amount - taken)
    return ExplainedAmount(
        amount,
        (
            *settlement.findings,
            calculation(
                rules.REVIEW,
                f"After the review {amount.yuan} yuan of the one-off sum are paid; "
                f"{allowance_paid.yuan} yuan had been paid as monthly allowance.",
                f"复查鉴定后, 一次性待遇支付 {amount.yuan} 元; "
                f"此前已按月支付伤残津贴 {allowance_paid.yuan} 元。",
                f"max(0, {settlement.amount} - {taken}) = {amount}",
                inputs={"settlement": settlement.amount, "allowance_paid": allowance_paid},
                outputs={"amount": amount},
                values=(rule,),
            ),
        ),
    )


def care_allowance(
    law: Law, base: Base, care: CareDependence, accident: date, where: str
) -> ExplainedAmount:
    """Care allowance (生活护理费) per month, in fen: a share of W, or of B where so set.

    工伤保险条例 art. 34; the base is not in the text seen, so it is a switch.
    """
    if care is CareDependence.NONE:
        return ExplainedAmount(ZERO, ())
    shares = law.on("care_allowance_share", accident, where)
    switch = law.on("care_allowance_base", accident, where)
    share = shares.at(care.name.lower())
    of_wage = switch.value == "average_wage"
    start = base.average_wage if of_wage else base.benefit_base
    amount = start.times(share)
    named, named_zh = (
        ("average wage", "月平均工资") if of_wage else ("benefit base", "待遇计发基数")
    )
    word_zh = {"PARTIAL": "部分", "MAJOR": "大部分", "FULL": "完全"}[care.name]
    return ExplainedAmount(
        amount,
        (
            base.finding,
            calculation(
                rules.CARE,
                f"{care.name.capitalize()} dependence on care gives {percent(share)} of the "
                f"{named} every month: {amount.yuan} yuan.",
                f"生活{word_zh}不能自理, 生活护理费每月为{named_zh}的 {percent(share)}: "
                f"{amount.yuan} 元。",
                f"{start} x {share} = {amount}",
                inputs={"care_dependence": care, named.replace(" ", "_"): start},
                outputs={"amount": amount},
                values=(shares, switch),
            ),
        ),
    )


def _no_grade(accident: date) -> Finding:
    return calculation(
        rules.GRANT.on(accident),
        "The injury reaches no grade, so no disability grant is due.",
        "伤情未达到伤残等级, 不支付一次性伤残补助金。",
        "0 months = 0 fen",
        inputs={"grade": 0, "accident_date": accident},
        outputs={"amount": ZERO},
    )
