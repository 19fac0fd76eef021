"""Days in hospital: each day of a person is granted once, whatever the number of stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from services.benefits.domain import law as rules
from services.benefits.domain.findings import calculation
from services.benefits.domain.problems import StayGranted
from services.kernel.law import Finding

_DAY = timedelta(days=1)


@dataclass(frozen=True, order=True)
class Days:
    """Days in a row, both ends included."""

    first: date
    last: date

    @property
    def count(self) -> int:
        """How many days."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True)
class GrantedStay:
    """Days in hospital that were granted; `award` is `awards/{id}`."""

    days: Days
    award: str


def days_left(
    stay: Days, granted: Sequence[GrantedStay]
) -> tuple[tuple[Days, ...], tuple[Finding, ...]]:
    """The days of a stay that are not granted yet, and the finding that leaves out the others.

    Raises StayGranted if no day is left.
    """
    overlapping = sorted(
        (one for one in granted if one.days.first <= stay.last and stay.first <= one.days.last),
        key=lambda one: one.days,
    )
    if not overlapping:
        return (stay,), ()
    left, next_day = [], stay.first
    for one in overlapping:
        if next_day < one.days.first:
            left.append(Days(next_day, one.days.first - _DAY))
        next_day = max(next_day, one.days.last + _DAY)
    if next_day <= stay.last:
        left.append(Days(next_day, stay.last))
    names = ", ".join(sorted({one.award for one in overlapping}))
    if not left:
        raise StayGranted(field="expense_date", first=stay.first, last=stay.last, name=names)
    count = sum(days.count for days in left)
    before = stay.count - count
    finding = calculation(
        rules.TREATMENT,
        f"Of the {stay.count} days in hospital from {stay.first} to {stay.last}, {before} were "
        f"already granted with {names}; {count} are left.",
        f"{stay.first} 至 {stay.last} 住院 {stay.count} 天, 其中 {before} 天已随 {names} 核定; "
        f"余 {count} 天。",
        f"{stay.count} - {before} = {count}",
        inputs={"first_day": stay.first, "last_day": stay.last, "granted_with": names},
        outputs={"days": count},
    )
    return tuple(left), (finding,)
