"""The base of all cash benefits: a share of the area's average wage, not the worker's earnings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from services.benefits.domain import law as rules
from services.benefits.domain.figures import (
    ALL_EMPLOYEE_WAGE,
    AVERAGE_WAGE,
    AwaitedFigure,
    awaited,
    figure_on,
    is_of_earlier_year,
    said_of,
)
from services.benefits.domain.findings import calculation, percent
from services.kernel.law import Finding
from services.kernel.lawbook import Law
from services.kernel.money import Fen
from services.kernel.parameters import Value
from services.kernel.periods import MONTHS_PER_YEAR

ALL_EMPLOYEES = "ALL_EMPLOYEES"


@dataclass(frozen=True)
class Base:
    """Average wage W and benefit base B of one area and year, fen per month.

    It awaits the area's own wage of the year before the event while that is not published.
    """

    average_wage: Fen
    benefit_base: Fen
    awaits: tuple[AwaitedFigure, ...]
    finding: Finding
    values: tuple[Value, ...]


def benefit_base(
    law: Law, day: date, where: str, known: date, *, accident: date | None = None
) -> Base:
    """W and B for an event on `day` (accident, or death) in a pooling area, as known on a day.

    W is the monthly wage, B = share x W, each rounded once to the fen. `accident` is the day that
    chooses the rule, if it is not the event's.
    """
    ruled_by = accident or day
    kind = law.on("benefit_base_wage", ruled_by, where)
    name = ALL_EMPLOYEE_WAGE if kind.value == ALL_EMPLOYEES else AVERAGE_WAGE
    wage = figure_on(law, name, day, where, known)
    monthly, arithmetic = _monthly(wage)
    share = law.on("benefit_base_share", ruled_by, where)
    base = monthly.times(share.decimal)
    is_late = is_of_earlier_year(wage, day)
    provisional = is_late or wage.stands_in
    lag, lag_zh = said_of(wage)
    if is_late and not wage.stands_in:
        lag = f"; the wage for events of {day.year} is not published, so this is provisional"
        lag_zh = f"; {day.year} 年适用的平均工资尚未公布, 暂按已公布数据计发"
    finding = calculation(
        rules.BASE.on(ruled_by),
        f"The benefit base is {percent(share.decimal)} of the average wage of "
        f"{monthly.yuan} yuan a month: {base.yuan} yuan{lag}.",
        f"待遇计发基数为月平均工资 {monthly.yuan} 元的 {percent(share.decimal)}, "
        f"即 {base.yuan} 元{lag_zh}。",
        f"{arithmetic}; {monthly} x {share.value} = {base}",
        inputs={"event_date": day, "pooling_area": where, "known_on": known, "wage": kind.value},
        outputs={"average_wage": monthly, "benefit_base": base, "provisional": provisional},
        values=(wage, share, kind),
    )
    return Base(monthly, base, awaited(name, where, day, wage), finding, (wage, share, kind))


def _monthly(wage: Value) -> tuple[Fen, str]:
    """The amount a month; that of private-sector employees is published for a year."""
    if wage.parameter == ALL_EMPLOYEE_WAGE:
        return wage.fen, str(wage.fen)
    monthly = wage.fen.times(Fraction(1, MONTHS_PER_YEAR))
    return monthly, f"{wage.fen} / {MONTHS_PER_YEAR} = {monthly}"
