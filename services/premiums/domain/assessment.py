"""Assessment (缴费核定): which month may be assessed, when it is due, and what silence costs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from services.kernel.law import Finding, Outcome, facts
from services.kernel.lawbook import Law
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.workdays import WorkCalendar
from services.premiums.domain.law import DUE_DATE, UNDECLARED
from services.premiums.domain.problems import (
    EarlierMonthNotAssessed,
    MonthAssessed,
    MonthStillOpen,
)


@dataclass(frozen=True)
class Assessment:
    """An assessed month, over all platforms."""

    month: Month
    bill_count: int
    line_count: int
    order_count: int
    premium: Fen
    due: date
    # Days of a platform on which its totals and the recorded orders still differ.
    gap_day_count: int


def due_date(month: Month, law: Law, calendar: WorkCalendar) -> date:
    """The last day to declare and pay a month: the 15th of the next, or the next working day."""
    first = month.plus(1).first_day
    day_of_month = law.count("declaration_day", first)
    return calendar.next_working(first + timedelta(days=day_of_month - 1))


def explain_due_date(month: Month, law: Law, calendar: WorkCalendar) -> Finding:
    """The due date as a finding."""
    due = due_date(month, law, calendar)
    sure = "" if not calendar.is_provisional(due) else " (holidays of that year are not known yet)"
    sure_zh = "" if not sure else " (该年度放假安排尚未公布)"
    return Finding(
        DUE_DATE,
        Outcome.CALCULATED,
        f"The premium of {month} is due on {due}{sure}.",
        f"{month} 保费缴费期限为 {due}{sure_zh}。",
        inputs=facts(month=month),
        outputs=facts(due_date=due),
        parameters=(law.on("declaration_day", month.plus(1).first_day).version,),
    )


def require_month_ended(month: Month, today: date) -> None:
    """Raise MonthStillOpen on any day before the first of the next month."""
    first_day = month.plus(1).first_day
    if today < first_day:
        raise MonthStillOpen(field="month", month=month, first_day=first_day)


def require_assessable(
    month: Month, today: date, latest: Month | None, earliest_open: Month | None
) -> None:
    """Raise MonthStillOpen, MonthAssessed or EarlierMonthNotAssessed.

    `latest` is the newest assessed month, `earliest_open` the first bill month with orders that
    are not assessed. Months are assessed in order: a month before an assessed one is closed too,
    and its orders are billed with the next month.
    """
    require_month_ended(month, today)
    if latest is not None and month <= latest:
        raise MonthAssessed(field="month", month=month, next_month=latest.plus(1))
    if earliest_open is not None and earliest_open < month:
        raise EarlierMonthNotAssessed(field="month", month=month, earlier=earliest_open)


def bill_month(service_month: Month, latest: Month | None) -> Month:
    """The bill of a tally: that of its own month, or the next one if its month is assessed."""
    if latest is not None and service_month <= latest:
        return latest.plus(1)
    return service_month


def estimate_premium(last_month: Fen, month: Month, law: Law) -> tuple[Fen, Finding]:
    """The bill of a platform that did not declare: 110 % of the month before, trued up later."""
    share = law.on("undeclared_share", month.plus(1).first_day)
    premium = last_month.times(share.decimal)
    return premium, Finding(
        UNDECLARED,
        Outcome.CALCULATED,
        f"Nothing was declared for {month}: {premium.yuan} yuan are billed until it is.",
        f"{month} 未申报, 暂按上月的 {share.decimal} 倍核定 {premium.yuan} 元, 申报后清算。",
        inputs=facts(last_month=last_month),
        outputs=facts(premium=premium),
        parameters=(share.version,),
        arithmetic=f"{last_month.yuan} x {share.decimal} = {premium.yuan}",
    )
