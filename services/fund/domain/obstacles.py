"""Obstacles to proposing a month, one sentence each, in English and Chinese."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from services.kernel.periods import Month


@dataclass(frozen=True)
class Obstacle:
    """One sentence that says what is missing and what to do, in both languages."""

    text: str
    text_zh: str


@dataclass(frozen=True)
class CloseReadiness:
    """What a proposal depends on besides the figures of the month.

    `earlier_open` are earlier months with postings that are not closed. `premiums_assessed` is also
    true if a later month is assessed: assessments run in order, so this month had none. `gaps` are
    the producers with missing events.
    """

    earlier_open: Sequence[Month]
    dead_letter_count: int
    gaps: Sequence[str]
    premiums_assessed: bool


def obstacles(month: Month, today: date, readiness: CloseReadiness) -> list[Obstacle]:
    """Why the month cannot be proposed today; empty if it can."""
    reasons = []
    if today <= month.last_day:
        after = month.plus(1).first_day
        reasons.append(
            Obstacle(
                f"{month} has not ended; propose it from {after} on.",
                f"{month} 尚未结束, 请于 {after} 起提交。",
            )
        )
    if readiness.earlier_open:
        first = min(readiness.earlier_open)
        reasons.append(
            Obstacle(
                f"{first} has figures and is not closed; close it first.",
                f"{first} 有账目且未结账, 请先结账。",
            )
        )
    if readiness.dead_letter_count:
        reasons.append(
            Obstacle(
                f"{readiness.dead_letter_count} events could not be posted; "
                "an administrator has to retry the dead letters first.",
                f"有 {readiness.dead_letter_count} 条事件未能入账, 请管理员先处理死信。",
            )
        )
    reasons += [
        Obstacle(
            f"Events of {producer} are missing; wait until they have been sent again.",
            f"{producer} 的事件有缺失, 请等待补发。",
        )
        for producer in readiness.gaps
    ]
    if not readiness.premiums_assessed:
        reasons.append(
            Obstacle(
                f"The premiums of {month} are not assessed; assess them first.",
                f"{month} 保费尚未核定, 请先核定。",
            )
        )
    return reasons
