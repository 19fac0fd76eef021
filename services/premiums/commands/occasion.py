"""When and where a command is done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from services.kernel.periods import Month, civil_day
from services.kernel.workdays import WorkCalendar
from services.premiums.domain import assessing
from services.premiums.domain.law import Law, law


@dataclass(frozen=True)
class Occasion:
    """The moment and the province of a command, with its working days."""

    now: datetime
    province: str
    calendar: WorkCalendar

    @property
    def today(self) -> date:
        """The civil day in Asia/Shanghai."""
        return civil_day(self.now)

    @property
    def law(self) -> Law:
        """The law of the province as published by today."""
        return law(self.province, self.today)

    def due_date(self, month: Month) -> date:
        """The last day to declare and pay a month."""
        return assessing.due_date(month, self.law, self.calendar)
