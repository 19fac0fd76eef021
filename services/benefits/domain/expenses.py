"""Bills and days that are reimbursed: treatment, rehabilitation, devices, meals, travel, living."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction

from services.benefits.domain import law as rules
from services.benefits.domain.benefit_base import Base
from services.benefits.domain.bills import Bill
from services.benefits.domain.findings import ExplainedAmount, calculation, percent
from services.benefits.domain.kinds import EXPENSES, BenefitKind
from services.benefits.domain.problems import BeforeAccident, NotAnExpense, NotOnList
from services.benefits.domain.stays import Days
from services.kernel.law import Finding
from services.kernel.lawbook import Law
from services.kernel.money import ZERO, Fen
from services.kernel.periods import MONTHS_PER_YEAR, Month
from services.kernel.problems import FieldMissing, OutOfRange, require_within

# The treatment allowance is a month's base over thirty days, whatever the month.
DAYS_OF_MONTH = 30
DAYS_MAX = 3_660


@dataclass(frozen=True)
class Expense:
    """A bill as submitted. `allowed_cost` is the cost inside the catalogues, in fen."""

    kind: BenefitKind
    day: date
    allowed_cost: Fen = ZERO
    day_count: int = 0
    paid_by_third_party: Fen = ZERO
    device: str = ""
    bill: Bill = field(default_factory=Bill)

    @property
    def days(self) -> Days:
        """The days that it covers: that of the bill, or those of the stay."""
        return Days(self.day, self.day + timedelta(days=max(0, self.day_count - 1)))


def require_days_possible(law: Law, expense: Expense, where: str, today: date) -> None:
    """Refuse days from before the scheme, and days that have not come yet."""
    _require_day_count(expense)
    require_within("expense_date", expense.day, law.day("scheme_start", today, where), today)
    require_within("day_count", expense.days.last, expense.day, today)


def reimbursement(law: Law, expense: Expense, accident: date, where: str) -> ExplainedAmount:
    """What the fund pays of a bill, in fen; raises a Problem for one that cannot be right."""
    if expense.kind not in EXPENSES:
        choices = tuple(sorted(EXPENSES, key=lambda kind: kind.value))
        raise NotAnExpense(field="kind", kind=expense.kind, choices=choices)
    if expense.day < accident:
        raise BeforeAccident(field="expense_date", expense_date=expense.day, accident_date=accident)
    _require_day_count(expense)
    return _RULES[expense.kind](law, expense, where)


def _medical(law: Law, expense: Expense, where: str) -> ExplainedAmount:
    """100 % of the allowed cost, less what a third party has paid for the same treatment."""
    _require_cost(expense)
    share = law.on("medical_benefit_share", expense.day, where)
    amount = expense.allowed_cost.times(share.decimal)
    finding = calculation(
        rules.TREATMENT,
        f"The fund pays {percent(share.decimal)} of the cost inside the catalogues: "
        f"{amount.yuan} yuan.",
        f"目录内费用由基金支付 {percent(share.decimal)}: {amount.yuan} 元。",
        f"{expense.allowed_cost} x {share.value} = {amount}",
        inputs={"expense_date": expense.day, "allowed_cost": expense.allowed_cost},
        outputs={"amount": amount},
        values=(share,),
    )
    return _less_third_party(law, expense, where, amount, (finding,))


def _device(law: Law, expense: Expense, where: str) -> ExplainedAmount:
    """Up to the list price of the device; without a device's name the cost as approved."""
    _require_cost(expense)
    prices = law.on("assistive_device_price", expense.day, where)
    if expense.device and expense.device not in prices.value:
        known = tuple(sorted(prices.value))
        raise NotOnList(field="device", device=expense.device, day=expense.day, known=known)
    limit = prices.at(expense.device) if expense.device else None
    top = Fen.of_yuan(str(limit)) if limit is not None else expense.allowed_cost
    amount = min(expense.allowed_cost, top)
    finding = calculation(
        rules.DEVICES,
        f"The fund pays a device up to its list price of {top.yuan} yuan: {amount.yuan} yuan.",
        f"辅助器具在目录限价 {top.yuan} 元以内支付: {amount.yuan} 元。",
        f"min({expense.allowed_cost}, {top}) = {amount}",
        inputs={"expense_date": expense.day, "device": expense.device or "as approved"},
        outputs={"amount": amount},
        values=(prices,) if expense.device else (),
    )
    return _less_third_party(law, expense, where, amount, (finding,))


def _meals(law: Law, expense: Expense, where: str) -> ExplainedAmount:
    """The day rate for each calendar day in hospital."""
    days = _require_days(expense)
    rate = law.on("hospital_meals_rate", expense.day, where)
    amount = rate.fen.times(days)
    return ExplainedAmount(
        amount,
        (
            calculation(
                rules.TREATMENT,
                f"{days} days in hospital at {rate.fen.yuan} yuan: {amount.yuan} yuan.",
                f"住院 {days} 天, 每天伙食补助 {rate.fen.yuan} 元: {amount.yuan} 元。",
                f"{rate.fen} x {days} = {amount}",
                inputs={"first_day": expense.day, "days": days},
                outputs={"amount": amount},
                values=(rate,),
            ),
        ),
    )


def _travel(law: Law, expense: Expense, where: str) -> ExplainedAmount:
    """A trip outside the area: tickets as billed, or lodging up to the cap for the days away.

    Tickets are submitted without days and lodging with days, each as a separate bill.
    """
    _require_cost(expense)
    cap = law.on("travel_lodging_cap", expense.day, where)
    if not expense.day_count:
        amount, arithmetic = expense.allowed_cost, f"{expense.allowed_cost}"
    else:
        limit = cap.fen.times(expense.day_count)
        amount = min(expense.allowed_cost, limit)
        arithmetic = f"min({expense.allowed_cost}, {cap.fen} x {expense.day_count}) = {amount}"
    return ExplainedAmount(
        amount,
        (
            calculation(
                rules.TREATMENT,
                f"Travel for treatment outside the area: {amount.yuan} yuan; lodging up to "
                f"{cap.fen.yuan} yuan a day.",
                f"统筹地区以外就医交通食宿费 {amount.yuan} 元, 住宿每天不超过 {cap.fen.yuan} 元。",
                arithmetic,
                inputs={"first_day": expense.day, "days": expense.day_count},
                outputs={"amount": amount},
                values=(cap,),
            ),
        ),
    )


def renewal_day(law: Law, device: str, fitted: date, where: str) -> tuple[date, Finding]:
    """The day from which the fund pays for a new device: after the service life of the old one."""
    lives = law.on("assistive_device_life", fitted, where)
    if device not in lives.value:
        known = tuple(sorted(lives.value))
        raise NotOnList(field="device", device=device, day=fitted, known=known)
    years = int(lives.at(device))
    day = _months_after(fitted, years * MONTHS_PER_YEAR)
    return day, calculation(
        rules.DEVICES,
        f"{device} fitted on {fitted} serves {years} years and may be renewed from {day}.",
        f"{device} 于 {fitted} 配置, 使用年限 {years} 年, 自 {day} 起可更换。",
        f"{fitted} + {years} years = {day}",
        inputs={"device": device, "fitted_date": fitted},
        outputs={"renewal_date": day},
        values=(lives,),
    )


def treatment_allowance(
    law: Law, base: Base, accident: date, end: date, where: str
) -> ExplainedAmount:
    """Treatment allowance (生活补助费), in fen: B / 30 for each day after the accident.

    Days count to the conclusion, at most the treatment period. Zero where the province has
    switched the allowance off.
    """
    switch = law.on("treatment_allowance", accident, where)
    if switch.value != "on":
        return ExplainedAmount(ZERO, ())
    period = law.on("treatment_period_months", accident, where)
    longest = (_months_after(accident, int(period.value)) - accident).days
    days = max(0, min((end - accident).days, longest))
    rate = base.benefit_base.times(Fraction(1, DAYS_OF_MONTH))
    amount = rate.times(days)
    return ExplainedAmount(
        amount,
        (
            base.finding,
            calculation(
                rules.TREATMENT_ALLOWANCE,
                f"{days} days of treatment at {rate.yuan} yuan: {amount.yuan} yuan.",
                f"治疗 {days} 天, 每天生活补助 {rate.yuan} 元: {amount.yuan} 元。",
                f"{base.benefit_base} / {DAYS_OF_MONTH} = {rate}; {rate} x {days} = {amount}",
                inputs={"accident_date": accident, "end_date": end, "days_at_most": longest},
                outputs={"amount": amount},
                values=(switch, period),
            ),
        ),
    )


def _less_third_party(
    law: Law,
    expense: Expense,
    where: str,
    amount: Fen,
    findings: tuple[Finding, ...],
) -> ExplainedAmount:
    """Take off what a third party has paid; treatment is paid once only."""
    if not expense.paid_by_third_party:
        return ExplainedAmount(amount, findings)
    rule = law.on("third_party_deduction", expense.day, where)
    taken = expense.paid_by_third_party if rule.value["treatment"] == "on" else ZERO
    left = max(ZERO, amount - taken)
    return ExplainedAmount(
        left,
        (
            *findings,
            calculation(
                rules.THIRD_PARTY,
                f"A third party has paid {expense.paid_by_third_party.yuan} yuan for the same "
                f"treatment; {left.yuan} yuan are left for the fund.",
                f"第三人已支付 {expense.paid_by_third_party.yuan} 元, "
                f"基金支付余额 {left.yuan} 元。",
                f"max(0, {amount} - {taken}) = {left}",
                inputs={"amount": amount, "paid_by_third_party": expense.paid_by_third_party},
                outputs={"amount": left},
                values=(rule,),
            ),
        ),
    )


def _months_after(day: date, months: int) -> date:
    """The same day `months` later, or the last day of that month."""
    month = Month.of(day).plus(months)
    return month.first_day.replace(day=min(day.day, month.last_day.day))


def _require_day_count(expense: Expense) -> None:
    if not 0 <= expense.day_count <= DAYS_MAX:
        raise OutOfRange.of("day_count", expense.day_count, 0, DAYS_MAX)


def _require_cost(expense: Expense) -> None:
    if not expense.allowed_cost:
        raise FieldMissing.of("allowed_cost_fen")


def _require_days(expense: Expense) -> int:
    if not expense.day_count:
        raise FieldMissing.of("day_count")
    return expense.day_count


_RULES: Mapping[BenefitKind, Callable[[Law, Expense, str], ExplainedAmount]] = {
    BenefitKind.MEDICAL_BENEFIT: _medical,
    BenefitKind.REHABILITATION: _medical,
    BenefitKind.ASSISTIVE_DEVICE: _device,
    BenefitKind.HOSPITAL_MEALS: _meals,
    BenefitKind.TRAVEL: _travel,
}
