"""Benefits on death: funeral grant and death grant, and which of them a death gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from services.benefits.domain import law as rules
from services.benefits.domain.benefit_base import Base
from services.benefits.domain.case import CauseOfDeath
from services.benefits.domain.disability import ALLOWANCE_GRADES
from services.benefits.domain.figures import (
    DISPOSABLE_INCOME,
    AwaitedFigure,
    awaited,
    is_of_earlier_year,
)
from services.benefits.domain.findings import ExplainedAmount, calculation, condition
from services.kernel.law import Finding, Outcome, Provision
from services.kernel.lawbook import Law
from services.kernel.money import ZERO, Fen
from services.kernel.parameters import NATIONAL, Value
from services.kernel.periods import Month


@dataclass(frozen=True)
class DeathRights:
    """Which benefits a death gives."""

    funeral: bool
    grant: bool
    pension: bool
    finding: Finding


def rights_on_death(
    law: Law, death: date, where: str, grade: int | None, cause: CauseOfDeath | None
) -> DeathRights:
    """What a death of the injured worker gives.

    `grade` is the grade concluded before the death, None if the worker died in treatment: then all
    three, unless the death has another cause. With grades 1 to 4 funeral grant and pensions,
    whatever the cause. With a lighter grade it depends on the cause, which a person has to say.
    人社厅函〔2025〕79号 art. 39, 工伤保险条例 art. 39; the last part is a parameter.
    """
    if grade in ALLOWANCE_GRADES:
        return _rights(
            "funeral_and_pension",
            f"The worker died after grade {grade} was concluded: funeral grant and survivors' "
            "pensions are due, whatever the cause.",
            f"伤者在 {grade} 级鉴定结论之后死亡, 不论死因, 应支付丧葬补助金和供养亲属抚恤金。",
            inputs={"death_date": death, "grade": grade, "cause": cause},
        )
    if cause is CauseOfDeath.OTHER:
        return _rights(
            "nothing",
            "The worker died from another cause than the injury: nothing is due.",
            "伤者非因工伤死亡, 不支付死亡待遇。",
            inputs={"death_date": death, "grade": grade, "cause": cause},
        )
    if grade is None:
        return _rights(
            "all",
            "The worker died from the injury before an appraisal was concluded: funeral grant, "
            "death grant and survivors' pensions are due.",
            "伤者在鉴定结论作出前因伤死亡, 应支付丧葬补助金、一次性死亡补助金和供养亲属抚恤金。",
            inputs={"death_date": death, "cause": cause},
        )
    if cause is None:
        return _rights(
            "nothing",
            f"The worker died after grade {grade} was concluded; nothing is due before a person "
            "has said whether the injury was the cause.",
            f"伤者在 {grade} 级鉴定结论之后死亡; 死因是否为该工伤尚待认定, 暂不支付死亡待遇。",
            inputs={"death_date": death, "grade": grade, "cause": "not said"},
            outcome=Outcome.UNCLEAR,
        )
    rule = law.on("later_death_of_injury", death, where)
    due, due_zh = {
        "all": ("funeral grant, death grant and survivors' pensions are", "全部死亡待遇"),
        "funeral_and_pension": (
            "funeral grant and survivors' pensions are",
            "丧葬补助金和供养亲属抚恤金",
        ),
        "nothing": ("nothing is", "无死亡待遇"),
    }[rule.value]
    return _rights(
        rule.value,
        f"The worker died from the injury after grade {grade} was concluded: {due} due.",
        f"伤者在 {grade} 级鉴定结论之后因该工伤死亡, 应支付: {due_zh}。",
        inputs={"death_date": death, "grade": grade, "cause": cause},
        provision=rules.DEATH_OF_LIGHT_GRADE,
        values=(rule,),
    )


def _rights(
    due: str,
    text: str,
    text_zh: str,
    *,
    inputs: Mapping[str, object],
    outcome: Outcome | None = None,
    provision: Provision = rules.LATER_DEATH,
    values: Sequence[Value] = (),
) -> DeathRights:
    """The rights by the values of `later_death_of_injury`: all, funeral_and_pension, nothing."""
    by_default = Outcome.NOT_MET if due == "nothing" else Outcome.MET
    return DeathRights(
        funeral=due != "nothing",
        grant=due == "all",
        pension=due != "nothing",
        finding=condition(
            provision, outcome or by_default, text, text_zh, inputs=inputs, values=values
        ),
    )


def funeral_grant(
    law: Law, base: Base, death: date, where: str, *, accident: date | None = None
) -> ExplainedAmount:
    """Funeral grant (丧葬补助金), in fen, once: months of B. 人社厅函〔2025〕79号 art. 39(1).

    The day of the accident chooses the provision, if the death came later.
    """
    months = law.on("funeral_grant_months", accident or death, where)
    amount = base.benefit_base.times(months.decimal)
    return ExplainedAmount(
        amount,
        (
            base.finding,
            calculation(
                rules.FUNERAL.on(accident or death),
                f"The funeral grant is {months.value} months of the benefit base: "
                f"{amount.yuan} yuan.",
                f"丧葬补助金为 {months.value} 个月待遇计发基数: {amount.yuan} 元。",
                f"{base.benefit_base} x {months.value} = {amount}",
                inputs={"death_date": death, "benefit_base": base.benefit_base},
                outputs={"amount": amount},
                values=(months,),
            ),
        ),
    )


@dataclass(frozen=True)
class DeathGrant:
    """The death grant; it waits for the income of the year before while that is not published."""

    amount: Fen
    awaits: tuple[AwaitedFigure, ...]
    findings: tuple[Finding, ...]


def death_grant(law: Law, death: date, where: str, known: date, *, accident: date) -> DeathGrant:
    """Death grant (一次性死亡补助金), in fen, once.

    Years times the national urban disposable income of the year before the injury, or before the
    death where the province counts so. 人社厅函〔2025〕79号 art. 39(3), 实施《社会保险法》若干规定
    art. 11.
    """
    anchor = law.on("death_grant_anchor", death, where)
    of_death = anchor.value == "death"
    day = death if of_death else accident
    income = law.on("disposable_income", day, where, known)
    years = law.on("death_grant_years", accident, where)
    amount = income.fen.times(years.decimal)
    provisional = is_of_earlier_year(income, day)
    lag = "; that of the year before is not published, so this is provisional"
    of, of_zh = ("death", "死亡") if of_death else ("injury", "工伤发生")
    return DeathGrant(
        amount,
        awaited(DISPOSABLE_INCOME, NATIONAL, day, income),
        (
            condition(
                rules.DEATH_ANCHOR,
                Outcome.CALCULATED,
                f"The income of the year before the {of} on {day} counts.",
                f"按{of_zh} ({day}) 上一年度的收入计算。",
                inputs={"accident_date": accident, "death_date": death},
                outputs={"anchor_date": day},
                values=(anchor,),
            ),
            calculation(
                rules.DEATH.on(accident),
                f"The death grant is {years.value} times the national urban disposable income of "
                f"{income.fen.yuan} yuan{lag if provisional else ''}: {amount.yuan} yuan.",
                f"一次性死亡补助金为全国城镇居民人均可支配收入 {income.fen.yuan} 元的 "
                f"{years.value} 倍{'(暂按已公布数据)' if provisional else ''}: {amount.yuan} 元。",
                f"{income.fen} x {years.value} = {amount}",
                inputs={"anchor_date": day, "known_on": known},
                outputs={"amount": amount, "provisional": provisional},
                values=(income, years),
            ),
        ),
    )


@dataclass(frozen=True)
class MissingRights:
    """What the family of a missing worker gets before a court declares the death."""

    grant: DeathGrant
    pension_first_month: Month
    advance: Fen
    finding: Finding


def rights_when_missing(
    law: Law, accident: date, where: str, grant: DeathGrant, *, hardship: bool
) -> MissingRights:
    """Missing after an accident: pensions from the fourth month, in hardship an advance.

    工伤保险条例 art. 41. What is advanced is taken off the grant when the death is declared, and
    recovered if the worker returns.
    """
    rule = law.on("missing_person", accident, where)
    first = Month.of(accident).plus(int(rule.at("pension_from_month")) - 1)
    share: Decimal = rule.at("advance_share")
    advance = grant.amount.times(share) if hardship else ZERO
    return MissingRights(
        grant,
        first,
        advance,
        calculation(
            rules.MISSING,
            f"The worker is missing since {accident}: survivors' pensions from {first}; "
            f"{advance.yuan} yuan of the death grant in advance.",
            f"自 {accident} 起下落不明: 自 {first} 起支付供养亲属抚恤金, "
            f"预支一次性死亡补助金 {advance.yuan} 元。",
            f"{grant.amount} x {share if hardship else 0} = {advance}",
            inputs={"accident_date": accident, "hardship": hardship, "death_grant": grant.amount},
            outputs={"pension_first_month": first, "advance": advance},
            values=(rule,),
        ),
    )
