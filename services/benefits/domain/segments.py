"""Monthly amounts over time: each holds from its month until the next one begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal

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


def pause(
    segments: tuple[Segment, ...], since: Month, until: Month | None, reason: str
) -> tuple[Segment, ...]:
    """The segments without the months from `since` up to but not including `until`."""
    start = max(since, segments[0].since)
    if until is not None and until <= start:
        return segments
    changed = [segment for segment in segments if segment.since < start]
    changed.append(Segment(start, ZERO, reason))
    if until is not None:
        before = next(segment for segment in reversed(segments) if segment.since <= until)
        changed.append(replace(before, since=until))
        changed += [segment for segment in segments if segment.since > until]
    return merge(changed)


def less(
    segments: tuple[Segment, ...], owed: Fen, since: Month, cap: Decimal, reason: str
) -> tuple[Segment, ...]:
    """The segments with a sum taken off from a month on, at most the share `cap` of each month."""
    changed = [segment for segment in segments if segment.since < since]
    ends = [*(segment.since for segment in segments[1:]), None]
    for segment, end in zip(segments, ends, strict=True):
        if end is not None and end <= since:
            continue
        month = max(segment.since, since)
        most = Fen(int((segment.amount.count * cap).to_integral_value(ROUND_FLOOR)))
        while owed and most and (end is None or month < end):
            # All whole months at once, then the one with the rest.
            count = max(1, owed.count // most.count)
            if end is not None:
                count = min(count, month.count_until(end))
            taken = min(owed, most)
            changed.append(Segment(month, segment.amount - taken, f"{segment.reason}, {reason}"))
            owed -= Fen(taken.count * count)
            month = month.plus(count)
        if end is None or month < end:
            changed.append(replace(segment, since=month))
    return merge(changed)
