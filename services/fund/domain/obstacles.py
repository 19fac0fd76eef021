"""What stands in the way of proposing a month, one sentence each, in English and Chinese."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from services.kernel.periods import Month


@dataclass(frozen=True)
class Obstacle:
    """One sentence that says what is missing and what to do."""

    text: str
    text_zh: str


@dataclass(frozen=True)
class Readiness:
    """What is known about a month besides its figures.

    `premiums_assessed` also if a later month was: assessments run in order, so this one had none.
    `gaps` are producers of which events are missing.
    """

    earlier_open: Sequence[Month]
    dead_letter_count: int
    gaps: Sequence[str]
    premiums_assessed: bool


def obstacles(month: Month, today: date, ready: Readiness) -> list[Obstacle]:
    """Why the month cannot be proposed today; empty if it can."""
    found = []
    if today <= month.last_day:
        after = month.plus(1).first_day
        found.append(
            Obstacle(
                f"{month} has not ended; propose it from {after} on.",
                f"{month} 尚未结束, 请于 {after} 起提交。",
            )
        )
    if ready.earlier_open:
        first = min(ready.earlier_open)
        found.append(
            Obstacle(
                f"{first} has figures and is not closed; close it first.",
                f"{first} 有账目且未结账, 请先结账。",
            )
        )
    if ready.dead_letter_count:
        found.append(
            Obstacle(
                f"{ready.dead_letter_count} events could not be posted; "
                "an administrator has to retry the dead letters first.",
                f"有 {ready.dead_letter_count} 条事件未能入账, 请管理员先处理死信。",
            )
        )
    found += [
        Obstacle(
            f"Events of {producer} are missing; wait until they have been sent again.",
            f"{producer} 的事件有缺失, 请等待补发。",
        )
        for producer in ready.gaps
    ]
    if not ready.premiums_assessed:
        found.append(
            Obstacle(
                f"The premiums of {month} are not assessed; assess them first.",
                f"{month} 保费尚未核定, 请先核定。",
            )
        )
    return found
