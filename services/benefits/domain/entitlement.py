"""What the law gives one person of one kind of benefit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from services.benefits.domain.figures import AwaitedFigure
from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.segments import Segment
from services.kernel.law import Finding
from services.kernel.money import Fen
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
