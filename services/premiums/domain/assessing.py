"""Assessment (缴费核定): which month may be assessed, and what a month's tallies cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum

from services.kernel.law import Finding, Outcome, facts
from services.kernel.money import FEN_PER_YUAN, Fen, round_half_up
from services.kernel.periods import Month
from services.kernel.workdays import WorkCalendar
from services.premiums.domain.law import DUE_DATE, PREMIUM, UNDECLARED, Law
from services.premiums.domain.problems import (
    EarlierMonthNotAssessed,
    MonthAssessed,
    MonthStillOpen,
)
from services.premiums.domain.terms import LineKey, Rate


class LineKind(Enum):
    """What a line stands on."""

    ORDERS = 1
    ESTIMATE = 2
    REVERSAL = 3


@dataclass(frozen=True)
class Tally:
    """What a batch adds to (or takes from) the orders that count on a service date."""

    platform: str
    pooling_area: str
    industry: int
    service_date: date
    order_count: int

    @property
    def key(self) -> LineKey:
        """The line it falls in."""
        month = Month.of(self.service_date)
        return LineKey(self.platform, self.pooling_area, self.industry, month)


@dataclass(frozen=True)
class Line:
    """A premium line (保费行): rounded once, here."""

    key: LineKey
    order_count: int
    base: Decimal  # yuan per order; 0 for an estimate
    band: Decimal
    markup: Decimal
    premium: Fen
    due: date
    kind: LineKind = LineKind.ORDERS
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class DueDates:
    """The due date of a bill, and of the lines that the platform had declared too low."""

    bill: date
    underdeclared: frozenset[LineKey] = frozenset()
    own: dict[Month, date] | None = None

    def of(self, key: LineKey) -> date:
        """From when a line counts as overdue."""
        if self.own and key in self.underdeclared:
            return min(self.bill, self.own.get(key.month, self.bill))
        return self.bill


def amount(order_count: int, base: Decimal, band: Decimal, markup: Decimal = Decimal(0)) -> Fen:
    """Orders x base (yuan per order) x band x (1 + markup), rounded half up to the fen."""
    return Fen(round_half_up(order_count * base * band * (1 + markup) * FEN_PER_YUAN))


def premium(tallies: Iterable[Tally], rates: Sequence[Rate], due: DueDates) -> list[Line]:
    """The lines that tallies make at these rates, one per key and rate, in order of both.

    Tallies of one key that cancel out make no line. Each service date must have a rate.
    """
    rates_of: dict[LineKey, list[Rate]] = defaultdict(list)
    for rate in rates:
        rates_of[rate.key].append(rate)
    counts: dict[tuple[LineKey, tuple[Decimal, ...]], int] = defaultdict(int)
    findings: dict[tuple[LineKey, tuple[Decimal, ...]], tuple[Finding, ...]] = {}
    for tally in tallies:
        (rate,) = (one for one in rates_of[tally.key] if tally.service_date in one.days)
        counts[tally.key, rate.factors] += tally.order_count
    for rate in rates:
        findings.setdefault((rate.key, rate.factors), rate.findings)
    return [
        Line(
            key=key,
            order_count=count,
            base=base,
            band=band,
            markup=markup,
            premium=amount(count, base, band, markup),
            due=due.of(key),
            findings=findings[key, (base, band, markup)],
        )
        for (key, (base, band, markup)), count in sorted(counts.items())
        if count
    ]


def explain(line: Line, bill_month: Month) -> tuple[Finding, ...]:
    """What the line stands on: base, band, markup, then the sum as a person can check it."""
    if line.kind is not LineKind.ORDERS:
        return line.findings
    exact = line.order_count * line.base * line.band * (1 + line.markup)
    markup = f" x {1 + line.markup}" if line.markup else ""
    late = line.key.month != bill_month
    text = f"{line.order_count} orders of {line.key.month} cost {line.premium.yuan} yuan"
    text_zh = f"{line.key.month} 订单 {line.order_count} 单, 保费 {line.premium.yuan} 元"
    if late:
        text += f"; they came after {line.key.month} was assessed and are billed with {bill_month}"
        text_zh += f"; 于 {line.key.month} 核定后到达, 随 {bill_month} 一并核定"
    return (
        *line.findings,
        Finding(
            PREMIUM,
            Outcome.CALCULATED,
            text + ".",
            text_zh + "。",
            inputs=facts(
                order_count=line.order_count, base_yuan=line.base, band=line.band, late=late
            ),
            outputs=facts(premium=line.premium),
            arithmetic=(
                f"{line.order_count} x {line.base} x {line.band}{markup} = {exact.normalize():f}"
                f" yuan, rounded half up to {line.premium.yuan}"
            ),
        ),
    )


def due_date(month: Month, law: Law, calendar: WorkCalendar) -> date:
    """The last day to declare and pay a month: the 15th of the next, or the next working day."""
    first = month.plus(1).first_day
    day_of_month = int(law.decimal("declaration_day", first))
    return calendar.next_working(first + timedelta(days=day_of_month - 1))


def explain_due_date(month: Month, law: Law, calendar: WorkCalendar) -> Finding:
    """The due date with what it stands on."""
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


def check_month_ended(month: Month, today: date) -> None:
    """Raise MonthStillOpen on any day before the first of the next month."""
    first_day = month.plus(1).first_day
    if today < first_day:
        raise MonthStillOpen(field="month", month=month, first_day=first_day)


def check_may_assess(
    month: Month, today: date, latest: Month | None, earliest_open: Month | None
) -> None:
    """Raise unless a month may be assessed today.

    `latest` is the newest assessed month, `earliest_open` the first bill month that has orders
    which nobody assessed. Months are assessed in order: one that lies before an assessed one is
    closed too, and its orders go with the next.
    """
    check_month_ended(month, today)
    if latest is not None and month <= latest:
        raise MonthAssessed(field="month", month=month, next_month=latest.plus(1))
    if earliest_open is not None and earliest_open < month:
        raise EarlierMonthNotAssessed(field="month", month=month, earlier=earliest_open)


def bill_month(service_month: Month, latest: Month | None) -> Month:
    """The bill that a tally falls in: its own month's, or the next one if that is assessed."""
    if latest is not None and service_month <= latest:
        return latest.plus(1)
    return service_month


def estimate(last_month: Fen, month: Month, law: Law) -> tuple[Fen, Finding]:
    """The bill of a platform that did not declare: 110 % of the month before, settled later."""
    share = law.on("undeclared_share", month.plus(1).first_day)
    found = last_month.times(share.decimal)
    return found, Finding(
        UNDECLARED,
        Outcome.CALCULATED,
        f"Nothing was declared for {month}: {found.yuan} yuan are billed until it is.",
        f"{month} 未申报, 暂按上月的 {share.decimal} 倍核定 {found.yuan} 元, 申报后清算。",
        inputs=facts(last_month=last_month),
        outputs=facts(premium=found),
        parameters=(share.version,),
        arithmetic=f"{last_month.yuan} x {share.decimal} = {found.yuan}",
    )
