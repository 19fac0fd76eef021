"""What the law gives one person of one kind of benefit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from services.benefits.domain.figures import AwaitedFigure
from services.benefits.domain.kinds import PERIODIC, BenefitKind
from services.benefits.domain.segments import Segment, merge
from services.kernel.law import Finding
from services.kernel.money import ZERO, Fen
from services.kernel.periods import Month


@dataclass(frozen=True)
class Entitlement:
    """An entitlement on the facts known and the law published so far.

    A benefit paid once has one segment, and its last month is its first.
    """

    kind: BenefitKind
    beneficiary: str
    segments: tuple[Segment, ...]
    last_month: Month | None
    event_date: date
    findings: tuple[Finding, ...]
    # The figures that it waits for: another one stands in until each is published.
    awaits: tuple[AwaitedFigure, ...] = ()

    @property
    def first_month(self) -> Month:
        """The first month paid."""
        return self.segments[0].since

    @property
    def amount(self) -> Fen:
        """The sum, or the first sum per month."""
        return self.segments[0].amount


def in_month_paid(entitlement: Entitlement, paid: Iterable[Month]) -> Entitlement:
    """A benefit paid once stays in the month in which it was paid, wherever the plan puts it."""
    month = min(paid, default=None)
    if month is None or entitlement.kind in PERIODIC:
        return entitlement
    (segment,) = entitlement.segments
    return replace(entitlement, segments=(replace(segment, since=month),), last_month=month)


def without_months(entitlement: Entitlement, covered: set[Month]) -> Entitlement:
    """The entitlement without the months that a merged award has paid."""
    if not covered:
        return entitlement
    segments, last = entitlement.segments, entitlement.last_month
    months = {segment.since for segment in segments}
    months |= {month for each in covered for month in (each, each.plus(1))}
    return replace(
        entitlement,
        segments=merge(
            Segment(month, ZERO, "paid under a merged award")
            if month in covered
            else replace(_in_force(segments, month), since=month)
            for month in months
            if month >= entitlement.first_month and (last is None or month <= last)
        ),
    )


def _in_force(segments: Sequence[Segment], month: Month) -> Segment:
    return next(segment for segment in reversed(segments) if segment.since <= month)
