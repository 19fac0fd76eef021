"""The payments of a month's run: specification of the SQL in `store/payment_runs.py`.

The service runs the SQL; `due` and `withhold` run in tests, which hold the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from services.benefits.domain.award import Award
from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.problems import MonthNotBegun
from services.benefits.domain.recovery import set_off
from services.kernel.money import ZERO, Fen
from services.kernel.periods import Month
from services.kernel.problems import require_within


@dataclass(frozen=True)
class Suspension:
    """Months not paid, from the first up to but not including `resume`; open without it."""

    first_month: Month
    resume: Month | None = None

    def __contains__(self, month: Month) -> bool:
        return self.first_month <= month and (self.resume is None or month < self.resume)


@dataclass(frozen=True)
class Payment:
    """A payment instruction (支付指令): fen paid out, and fen withheld for a recovery."""

    award: str
    month: Month
    amount: Fen
    withheld: Fen = ZERO


@dataclass(frozen=True)
class Part:
    """The total instructed for one pooling area, industry and kind of benefit."""

    pooling_area: str
    industry: int
    kind: BenefitKind
    payment_count: int
    amount: Fen


def require_begun(month: Month, day: date, scheme_start: date) -> None:
    """Refuse a month that has not begun, and one from before the scheme."""
    if month < Month.of(scheme_start):
        require_within("month", month, Month.of(scheme_start), Month.of(day))
    current = Month.of(day)
    if month > current:
        raise MonthNotBegun(field="month", month=month, current=current)


def due(
    awards: Iterable[Award],
    suspensions: Mapping[str, Sequence[Suspension]],
    instructed: AbstractSet[tuple[str, Month]],
    run_month: Month,
) -> list[Payment]:
    """All payments due up to a month and not instructed yet, by award and month.

    Each month is paid at the rate in force for that month. Suspended months and months with a
    zero amount bring no payment. The state plays no part: an award ends with its last month.
    """
    payments = []
    for award in awards:
        last = min(award.last_month or run_month, run_month)
        for month in award.first_month.until(last.plus(1)):
            if (award.id, month) in instructed:
                continue
            if any(month in each for each in suspensions.get(award.id, ())):
                continue
            amount = award.amount_in(month)
            if amount:
                payments.append(Payment(award.id, month, amount))
    return sorted(payments, key=lambda one: (one.award, one.month))


def withhold(payments: Sequence[Payment], owed: Fen, cap: Decimal) -> list[Payment]:
    """The payments of one person after set-off, oldest month first."""
    splits = set_off([one.amount for one in payments], owed, cap)
    return [
        Payment(one.award, one.month, split.paid, split.withheld)
        for one, split in zip(payments, splits, strict=True)
    ]
