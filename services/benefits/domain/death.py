"""Benefits on death: funeral grant and death grant, and which of them a death gives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from services.benefits.domain import law as rules
from services.benefits.domain.benefit_base import Base, is_provisional
from services.benefits.domain.disability import ALLOWANCE_GRADES
from services.benefits.domain.findings import ExplainedAmount, calculation, condition
from services.kernel.law import Finding, Outcome
from services.kernel.lawbook import Law
from services.kernel.money import ZERO, Fen
from services.kernel.periods import Month


@dataclass(frozen=True)
class DeathRights:
    """Which benefits a death gives."""

    funeral: bool
    grant: bool
    pension: bool
    finding: Finding


def rights_on_death(death: date, grade: int | None) -> DeathRights:
    """What a death of the injured worker gives.

    `grade` is the grade concluded before the death, None if the worker died in treatment: then all
    three. With grades 1 to 4 funeral grant and pensions; with a lighter grade nothing, because the
    death is from another cause. 人社厅函〔2025〕79号 art. 39, 工伤保险条例 art. 39.
    """
    if grade is None:
        return DeathRights(
            funeral=True,
            grant=True,
            pension=True,
            finding=condition(
                rules.LATER_DEATH,
                Outcome.MET,
                "The worker died from the injury before an appraisal was concluded: funeral grant, "
                "death grant and survivors' pensions are due.",
                "伤者在鉴定结论作出前因伤死亡, "
                "应支付丧葬补助金、一次性死亡补助金和供养亲属抚恤金。",
                inputs={"death_date": death},
            ),
        )
    severe = grade in ALLOWANCE_GRADES
    return DeathRights(
        funeral=severe,
        grant=False,
        pension=severe,
        finding=condition(
            rules.LATER_DEATH,
            Outcome.MET if severe else Outcome.NOT_MET,
            f"The worker died after grade {grade} was concluded: "
            + ("funeral grant and survivors' pensions are due." if severe else "nothing is due."),
            f"伤者在 {grade} 级鉴定结论之后死亡, "
            + ("应支付丧葬补助金和供养亲属抚恤金。" if severe else "不支付死亡待遇。"),
            inputs={"death_date": death, "grade": grade},
        ),
    )


def funeral_grant(law: Law, base: Base, death: date, where: str) -> ExplainedAmount:
    """Funeral grant (丧葬补助金), in fen, once: months of B. 人社厅函〔2025〕79号 art. 39(1)."""
    months = law.on("funeral_grant_months", death, where)
    amount = base.benefit_base.times(months.decimal)
    return ExplainedAmount(
        amount,
        (
            base.finding,
            calculation(
                rules.FUNERAL,
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
    """The death grant; provisional while the income of the year before is not published."""

    amount: Fen
    provisional: bool
    findings: tuple[Finding, ...]


def death_grant(law: Law, death: date, where: str, known: date) -> DeathGrant:
    """Death grant (一次性死亡补助金), in fen, once.

    Years times the national urban disposable income of the year before the death.
    人社厅函〔2025〕79号 art. 39(3).
    """
    income = law.on("disposable_income", death, where, known)
    years = law.on("death_grant_years", death, where)
    amount = income.fen.times(years.decimal)
    provisional = is_provisional(income, death)
    lag = "; that of the year before is not published, so this is provisional"
    return DeathGrant(
        amount,
        provisional,
        (
            calculation(
                rules.DEATH,
                f"The death grant is {years.value} times the national urban disposable income of "
                f"{income.fen.yuan} yuan{lag if provisional else ''}: {amount.yuan} yuan.",
                f"一次性死亡补助金为全国城镇居民人均可支配收入 {income.fen.yuan} 元的 "
                f"{years.value} 倍{'(暂按已公布数据)' if provisional else ''}: {amount.yuan} 元。",
                f"{income.fen} x {years.value} = {amount}",
                inputs={"death_date": death, "known_on": known},
                outputs={"amount": amount, "provisional": provisional},
                values=(income, years),
            ),
        ),
    )


@dataclass(frozen=True)
class MissingRights:
    """What the family of a missing worker gets before a court declares the death."""

    pension_first_month: Month
    advance: Fen
    finding: Finding


def rights_when_missing(
    law: Law, accident: date, where: str, grant: Fen, *, hardship: bool
) -> MissingRights:
    """Missing after an accident: pensions from the fourth month, in hardship an advance.

    工伤保险条例 art. 41. What is advanced is taken off the grant when the death is declared, and
    recovered if the worker returns.
    """
    rule = law.on("missing_person", accident, where)
    first = Month.of(accident).plus(int(rule.at("pension_from_month")) - 1)
    share: Decimal = rule.at("advance_share")
    advance = grant.times(share) if hardship else ZERO
    return MissingRights(
        first,
        advance,
        calculation(
            rules.MISSING,
            f"The worker is missing since {accident}: survivors' pensions from {first}; "
            f"{advance.yuan} yuan of the death grant in advance.",
            f"自 {accident} 起下落不明: 自 {first} 起支付供养亲属抚恤金, "
            f"预支一次性死亡补助金 {advance.yuan} 元。",
            f"{grant} x {share if hardship else 0} = {advance}",
            inputs={"accident_date": accident, "hardship": hardship, "death_grant": grant},
            outputs={"pension_first_month": first, "advance": advance},
            values=(rule,),
        ),
    )
