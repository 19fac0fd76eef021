"""Premium lines (保费行): what the tallies of a bill month cost at the rates in force.

Specification of the SQL in `store/assessment.py`. The service runs the SQL; `amount` and
`premium_lines` run in tests, which hold the two together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum

from services.kernel.law import Finding, Outcome, facts
from services.kernel.money import FEN_PER_YUAN, Fen, round_half_up
from services.kernel.periods import Month
from services.premiums.domain.law import PREMIUM
from services.premiums.domain.rates import Rate
from services.premiums.domain.tallies import LineKey, Tally


class LineKind(Enum):
    """The reason for a line: orders, an estimate, or the reversal of an estimate."""

    ORDERS = 1
    ESTIMATE = 2
    REVERSAL = 3


@dataclass(frozen=True)
class Line:
    """A premium line. Its premium is rounded once, here."""

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
    """The due date of a bill, and earlier ones for lines that the platform had underdeclared."""

    bill: date
    underdeclared: frozenset[LineKey] = frozenset()
    # The due date of each service month.
    own: dict[Month, date] | None = None

    def of(self, key: LineKey) -> date:
        """The due date of a line."""
        if self.own and key in self.underdeclared:
            return min(self.bill, self.own.get(key.month, self.bill))
        return self.bill


def amount(order_count: int, base: Decimal, band: Decimal, markup: Decimal = Decimal(0)) -> Fen:
    """Orders x base (yuan per order) x band x (1 + markup), rounded half up to the fen."""
    return Fen(round_half_up(order_count * base * band * (1 + markup) * FEN_PER_YUAN))


def premium_lines(tallies: Iterable[Tally], rates: Sequence[Rate], due: DueDates) -> list[Line]:
    """The lines of these tallies, one per key and rate, in order of both.

    Tallies of one key that cancel out make no line. Each service date must have a rate.
    """
    rates_of: dict[LineKey, list[Rate]] = defaultdict(list)
    for rate in rates:
        rates_of[rate.key].append(rate)
    counts: dict[tuple[LineKey, tuple[Decimal, ...]], int] = defaultdict(int)
    findings: dict[tuple[LineKey, tuple[Decimal, ...]], tuple[Finding, ...]] = {}
    for tally in tallies:
        (rate,) = (rate for rate in rates_of[tally.key] if tally.service_date in rate.days)
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


def explain_line(line: Line, bill_month: Month) -> tuple[Finding, ...]:
    """The findings of a line: base, band, markup, then the sum with its arithmetic."""
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
            PREMIUM.on(line.key.month.first_day),
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
