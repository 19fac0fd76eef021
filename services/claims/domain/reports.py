"""Accident reports (一键报案)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.kernel.lawbook import Law
from services.kernel.names import name
from services.kernel.periods import civil_day


@dataclass(frozen=True)
class AccidentReport:
    """The first report of an accident; `platforms` are the credit codes that may see it."""

    id: str
    worker: int
    accident_time: datetime
    # The division code of the place of injury.
    place_of_injury: str
    platforms: tuple[str, ...]
    reported_late: bool
    create_time: datetime

    @property
    def name(self) -> str:
        """`accidentReports/{id}`."""
        return name("accidentReports", self.id)


def is_reported_late(accident: datetime, reported: datetime, where: str, law: Law) -> bool:
    """Whether the first report came after the time of grace; it never bars a claim."""
    hours = law.count("accident_report_grace_hours", civil_day(accident), where)
    return reported - accident > timedelta(hours=hours)
