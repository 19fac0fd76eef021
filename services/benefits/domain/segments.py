"""Monthly amounts over time: each holds from its month until the next one begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.kernel.money import ZERO, Fen
from services.kernel.periods import Month


@dataclass(frozen=True)
class Segment:
    """A monthly amount from a month on, with the reason for the change."""

    since: Month
    amount: Fen
    reason: str


def amount_in(segments: tuple[Segment, ...], last_month: Month | None, month: Month) -> Fen:
    """The amount in force in a month; zero before the first segment and after the last month."""
    if last_month is not None and month > last_month:
        return ZERO
    begun = [segment for segment in segments if segment.since <= month]
    return begun[-1].amount if begun else ZERO


def clip(segments: tuple[Segment, ...], last_month: Month | None) -> tuple[Segment, ...]:
    """The segments that begin by a last month."""
    return tuple(
        segment for segment in segments if last_month is None or segment.since <= last_month
    )


def merge(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """The segments in order, without those that change nothing; of one month the last counts."""
    merged: list[Segment] = []
    for segment in sorted(segments, key=lambda each: each.since):
        if merged and merged[-1].since == segment.since:
            merged.pop()
        if merged and merged[-1].amount == segment.amount:
            continue
        merged.append(segment)
    return tuple(merged)
