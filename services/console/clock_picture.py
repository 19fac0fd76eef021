"""The clock of a claim as a picture: the step's days, its pauses, its due date, today."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

WIDTH = 900
_PAUSE = re.compile(r"after (\d{4}-\d\d-\d\d) up to (\d{4}-\d\d-\d\d|further notice)")


@dataclass(frozen=True)
class ClockPicture:
    """Stretches of days from the start to the end, with two marks."""

    start: str
    due: str
    due_x: float
    today_x: float
    # Place, width and colour of each stretch.
    stretches: Sequence[tuple[float, float, str]]


def clock_picture(finding: Any, today: date) -> ClockPicture | None:
    """The picture of a time limit; nothing if its facts do not name its days."""
    values = {fact.name: fact.value for fact in (*finding.inputs, *finding.outputs)}
    start, due = _day(values.get("start_date", "")), _day(values.get("due_date", ""))
    if start is None or due is None:
        return None
    last = max(due, today, start + timedelta(days=1))
    span = (last - start).days

    def place(day: date) -> float:
        return round(min(max(0, (day - start).days), span) / span * WIDTH, 1)

    stretches = [(0.0, place(min(due, last)), "blue")]
    if today > due:
        stretches.append((place(due), round(place(today) - place(due), 1), "red"))
    for begin, end in _PAUSE.findall(values.get("not_counted", "")):
        first, until = _day(begin), _day(end) or last
        if first is not None:
            stretches.append((place(first), round(place(until) - place(first), 1), "grey"))
    return ClockPicture(start.isoformat(), due.isoformat(), place(due), place(today), stretches)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
