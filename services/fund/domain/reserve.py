"""Reserve, order of cover, loan and repayment over the years (储备金, 基金间借款).

A loan covers a yearly deficit only and bears no interest. It is repaid in the next year before the
reserve is refilled; what is still owed at the end of that year is overdue, raises an alarm and bars
a new loan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from services.fund.domain.problems import LoanOverdue
from services.kernel.law import Finding, Outcome, ParameterVersion, Provision, Tag, facts
from services.kernel.lawbook import Law
from services.kernel.money import ZERO, Fen

MONTHS_PER_YEAR = 12
RESERVE_PROVISION = Provision("工伤保险条例", "第十三条", Tag.COMMON)
LOAN_PROVISION = Provision("基金间借款", "年度缺口借款, 次年归还", Tag.SEED)
HAND_UP_PROVISION = Provision("调剂金", "年度上解", Tag.ASSUMED)
ORDER_PROVISION = Provision("基金支付缺口", "补足顺序", Tag.ASSUMED)


@dataclass(frozen=True)
class YearRules:
    """Shares of the year's premiums, and months of the lender's own spending."""

    contribution: Fraction
    ceiling: Fraction
    loan_ceiling: Fraction
    lender_months: int
    hand_up: Fraction
    versions: tuple[ParameterVersion, ...] = ()


def year_rules(law: Law, day: date, province: str) -> YearRules:
    """The rules of reserve and loan in force on a day."""
    reserve = law.on("reserve", day, province)
    guard = law.on("loan_guard", day, province)
    hand_up = law.on("hand_up_share", day, province)
    return YearRules(
        contribution=Fraction(reserve.at("contribution")),
        ceiling=Fraction(reserve.at("ceiling")),
        loan_ceiling=Fraction(guard.at("ceiling")),
        lender_months=int(guard.at("lender_months")),
        hand_up=Fraction(hand_up.decimal),
        versions=(reserve.version, guard.version, hand_up.version),
    )


@dataclass(frozen=True)
class Lender:
    """The work-injury insurance fund as a lender: its balance and its spending in a year."""

    balance: Fen
    yearly_spending: Fen


@dataclass(frozen=True)
class Year:
    """A province's year before it is closed. `owed` is the loan of the year before.

    Without a `lender` its guard is not applied; a person has to confirm that it can lend.
    """

    opening: Fen
    income: Fen
    spending: Fen
    reserve: Fen
    premium: Fen
    owed: Fen = ZERO
    lender: Lender | None = None


@dataclass(frozen=True)
class YearEnd:
    """The result of closing a year. `uncovered` is left to the provincial government."""

    shortfall: Fen
    reserve_used: Fen
    loan: Fen
    uncovered: Fen
    repaid: Fen
    overdue: Fen
    to_reserve: Fen
    reserve: Fen
    closing: Fen
    alarm: bool
    findings: tuple[Finding, ...]


def close_year(year: Year, rules: YearRules) -> YearEnd:
    """Cover a shortfall from reserve, then loan; or repay, then refill the reserve.

    A deficit uses the balance of earlier years first. Repayment comes out of the surplus of the
    year; opening balances stay with the areas that made them. No new loan is granted while an
    earlier loan is overdue: what the reserve does not cover then stays uncovered.
    """
    surplus = year.income - year.spending
    left = year.opening + surplus
    if left < ZERO:
        return _deficit(year, rules, -left)
    available = Fen(max(0, min(surplus.count, left.count)))
    repaid = min(year.owed, available)
    overdue = year.owed - repaid
    to_reserve = (
        ZERO
        if overdue
        else min(available - repaid, reserve_room(year.premium, year.reserve, rules))
    )
    findings = [_repayment(year, repaid, overdue, rules)] if year.owed else []
    findings.append(_refill(year, to_reserve, rules))
    return YearEnd(
        shortfall=ZERO,
        reserve_used=ZERO,
        loan=ZERO,
        uncovered=ZERO,
        repaid=repaid,
        overdue=overdue,
        to_reserve=to_reserve,
        reserve=year.reserve + to_reserve,
        closing=left - repaid - to_reserve,
        alarm=bool(overdue),
        findings=tuple(findings),
    )


def reserve_room(premium: Fen, reserve: Fen, rules: YearRules) -> Fen:
    """The most a year adds to the reserve: its contribution, limited by the ceiling."""
    target = premium.times(rules.contribution)
    ceiling = premium.times(rules.ceiling)
    return max(ZERO, min(target, ceiling - reserve))


def loan_limit(premium: Fen, lender: Lender | None, rules: YearRules) -> Fen:
    """The most that may be borrowed: a share of the year's premiums, and what the lender can spare.

    The lender retains `lender_months` months of its spending.
    """
    limit = premium.times(rules.loan_ceiling)
    if lender is None:
        return limit
    kept = lender.yearly_spending.times(Fraction(rules.lender_months, MONTHS_PER_YEAR))
    return max(ZERO, min(limit, lender.balance - kept))


def require_no_debt(owed: Fen) -> None:
    """Raise LoanOverdue while an earlier loan is owed: a loan cannot be rolled over."""
    if owed:
        raise LoanOverdue(overdue=owed.yuan)


@dataclass(frozen=True)
class HandUp:
    """What an area hands up to the province in the first quarter, with its finding."""

    amount: Fen
    finding: Finding


def hand_up(pooling_area: str, last_years_premium: Fen, rules: YearRules) -> HandUp:
    """A share of last year's premiums."""
    amount = last_years_premium.times(rules.hand_up)
    share = f"{rules.hand_up.numerator}/{rules.hand_up.denominator}"
    finding = Finding(
        provision=HAND_UP_PROVISION,
        outcome=Outcome.CALCULATED,
        text=f"{pooling_area} hands up {amount.yuan} yuan of last year's premiums.",
        text_zh=f"{pooling_area} 按上年保费上解 {amount.yuan} 元。",
        inputs=facts(pooling_area=pooling_area, last_years_premium_fen=last_years_premium.count),
        outputs=facts(amount_fen=amount.count),
        parameters=rules.versions[2:],
        arithmetic=f"{last_years_premium.count} fen x {share} = {amount.count} fen",
    )
    return HandUp(amount, finding)


def cover(shortfall: Fen, sources: Sequence[tuple[str, Fen]]) -> list[tuple[str, Fen]]:
    """What each source contributes to a shortfall, in the order of the sources.

    The order is: prefecture balance, prefecture reserve, monthly equalisation, provincial reserve,
    loan; the provincial government covers the rest.
    """
    parts = []
    open_part = shortfall
    for name, available in sources:
        part = max(ZERO, min(open_part, available))
        parts.append((name, part))
        open_part -= part
    return [*parts, ("provincial_government", open_part)]


def explain_cover(shortfall: Fen, parts: Sequence[tuple[str, Fen]]) -> Finding:
    """The part of each source, in their order."""
    used = [(name, amount) for name, amount in parts if amount]
    steps = ", ".join(f"{name} {amount.yuan}" for name, amount in used)
    return Finding(
        provision=ORDER_PROVISION,
        outcome=Outcome.CALCULATED,
        text=f"A shortfall of {shortfall.yuan} yuan is covered by {steps or 'nothing'}.",
        text_zh=f"缺口 {shortfall.yuan} 元依次由下列来源补足: {steps or '无'}。",
        inputs=facts(shortfall_fen=shortfall.count),
        outputs=tuple((f"{name}_fen", str(amount.count)) for name, amount in parts),
        arithmetic=" + ".join(str(amount.count) for _, amount in used) + f" = {shortfall.count}",
    )


def _deficit(year: Year, rules: YearRules, shortfall: Fen) -> YearEnd:
    limit = ZERO if year.owed else loan_limit(year.premium, year.lender, rules)
    parts = dict(cover(shortfall, [("reserve", year.reserve), ("loan", limit)]))
    used, loan, uncovered = parts["reserve"], parts["loan"], parts["provincial_government"]
    findings = (
        Finding(
            provision=RESERVE_PROVISION,
            outcome=Outcome.CALCULATED,
            text=f"The year is short of {shortfall.yuan} yuan; the reserve gives {used.yuan} yuan.",
            text_zh=f"年度缺口 {shortfall.yuan} 元, 动用储备金 {used.yuan} 元。",
            inputs=facts(
                opening_fen=year.opening.count,
                income_fen=year.income.count,
                spending_fen=year.spending.count,
                reserve_fen=year.reserve.count,
            ),
            outputs=facts(shortfall_fen=shortfall.count, reserve_used_fen=used.count),
            parameters=rules.versions[:1],
            arithmetic=(
                f"{year.opening.count} + {year.income.count} - {year.spending.count} = "
                f"{-shortfall.count} fen"
            ),
        ),
        Finding(
            provision=LOAN_PROVISION,
            outcome=Outcome.NOT_MET if uncovered else Outcome.CALCULATED,
            text=(
                f"{loan.yuan} yuan are borrowed without interest, to be repaid next year; "
                f"{uncovered.yuan} yuan are left to the provincial government."
            ),
            text_zh=(
                f"无息借款 {loan.yuan} 元, 次年归还; 其余 {uncovered.yuan} 元由省级政府补足。"
            ),
            inputs=facts(
                after_reserve_fen=(shortfall - used).count,
                limit_fen=limit.count,
                owed_fen=year.owed.count,
            ),
            outputs=facts(loan_fen=loan.count, uncovered_fen=uncovered.count),
            parameters=rules.versions[1:2],
            arithmetic=f"min({(shortfall - used).count}, {limit.count}) = {loan.count} fen",
        ),
    )
    return YearEnd(
        shortfall=shortfall,
        reserve_used=used,
        loan=loan,
        uncovered=uncovered,
        repaid=ZERO,
        overdue=year.owed,
        to_reserve=ZERO,
        reserve=year.reserve - used,
        closing=ZERO,
        alarm=bool(year.owed or uncovered),
        findings=findings,
    )


def _repayment(year: Year, repaid: Fen, overdue: Fen, rules: YearRules) -> Finding:
    return Finding(
        provision=LOAN_PROVISION,
        outcome=Outcome.NOT_MET if overdue else Outcome.MET,
        text=f"{repaid.yuan} yuan of the loan are repaid; {overdue.yuan} yuan are overdue.",
        text_zh=f"归还借款 {repaid.yuan} 元, 逾期 {overdue.yuan} 元。",
        inputs=facts(owed_fen=year.owed.count, surplus_fen=(year.income - year.spending).count),
        outputs=facts(repaid_fen=repaid.count, overdue_fen=overdue.count),
        parameters=rules.versions[1:2],
        arithmetic=f"{year.owed.count} - {repaid.count} = {overdue.count} fen",
    )


def _refill(year: Year, to_reserve: Fen, rules: YearRules) -> Finding:
    room = reserve_room(year.premium, year.reserve, rules)
    return Finding(
        provision=RESERVE_PROVISION,
        outcome=Outcome.CALCULATED,
        text=f"{to_reserve.yuan} yuan go to the reserve; it may take {room.yuan} yuan this year.",
        text_zh=f"提取储备金 {to_reserve.yuan} 元, 本年可提 {room.yuan} 元。",
        inputs=facts(premium_fen=year.premium.count, reserve_fen=year.reserve.count),
        outputs=facts(
            to_reserve_fen=to_reserve.count, reserve_fen=(year.reserve + to_reserve).count
        ),
        parameters=rules.versions[:1],
        arithmetic=f"{year.reserve.count} + {to_reserve.count} fen",
    )
