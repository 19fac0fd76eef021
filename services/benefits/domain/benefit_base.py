"""The base of all cash benefits: a share of the area's average wage, not the worker's earnings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from services.benefits.domain import law as rules
from services.benefits.domain.findings import calculation, percent
from services.kernel.law import Finding
from services.kernel.lawbook import Law
from services.kernel.money import Fen
from services.kernel.parameters import Value
from services.kernel.periods import MONTHS_PER_YEAR


@dataclass(frozen=True)
class Base:
    """Average wage W and benefit base B of one area and year, fen per month.

    Provisional while the wage of the year before the event is not published.
    """

    average_wage: Fen
    benefit_base: Fen
    provisional: bool
    finding: Finding
    values: tuple[Value, ...]


def benefit_base(law: Law, day: date, where: str, known: date) -> Base:
    """W and B for an event on `day` (accident, or death) in a pooling area, as known on a day.

    W = yearly wage / 12, B = share x W, each rounded once to the fen.
    """
    wage = law.on("average_wage", day, where, known)
    share = law.on("benefit_base_share", day, where)
    monthly = wage.fen.times(Fraction(1, MONTHS_PER_YEAR))
    base = monthly.times(share.decimal)
    provisional = is_provisional(wage, day)
    lag, lag_zh = "", ""
    if provisional:
        lag = f"; the wage for events of {day.year} is not published, so this is provisional"
        lag_zh = f"; {day.year} 年适用的平均工资尚未公布, 暂按已公布数据计发"
    finding = calculation(
        rules.BASE,
        f"The benefit base is {percent(share.decimal)} of the area's average wage of "
        f"{monthly.yuan} yuan a month: {base.yuan} yuan{lag}.",
        f"待遇计发基数为统筹地区月平均工资 {monthly.yuan} 元的 {percent(share.decimal)}, "
        f"即 {base.yuan} 元{lag_zh}。",
        f"{wage.fen} / {MONTHS_PER_YEAR} = {monthly}; {monthly} x {share.value} = {base}",
        inputs={"event_date": day, "pooling_area": where, "known_on": known},
        outputs={"average_wage": monthly, "benefit_base": base, "provisional": provisional},
        values=(wage, share),
    )
    return Base(monthly, base, provisional, finding, (wage, share))


def is_provisional(value: Value, day: date) -> bool:
    """Whether the value that belongs to the year of an event is still to be published."""
    return value.since.year < day.year
