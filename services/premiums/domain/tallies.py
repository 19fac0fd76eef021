"""Signed tallies of orders, the premium lines they fall in and the bills that charge them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from services.kernel.periods import Month


@dataclass(frozen=True, order=True)
class LineKey:
    """A premium line (保费行) without its rate; `month` is the month of the service dates."""

    platform: str
    pooling_area: str
    industry: int
    month: Month

    @property
    def where(self) -> str:
        """The platform in its pooling area, as parameters know it: `{credit code}@{division}`."""
        return f"{self.platform}@{self.pooling_area}"


@dataclass(frozen=True)
class Tally:
    """The signed change of one batch to the orders that count on a service date."""

    platform: str
    pooling_area: str
    industry: int
    service_date: date
    order_count: int

    @property
    def key(self) -> LineKey:
        """The line that the tally falls in."""
        month = Month.of(self.service_date)
        return LineKey(self.platform, self.pooling_area, self.industry, month)


@dataclass(frozen=True)
class Accrual:
    """A tally with the month whose bill charges it (应计)."""

    tally: Tally
    bill_month: Month
