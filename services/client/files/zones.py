"""Time zones over whole columns: from the clock's time in a zone to UTC.

The rules of a zone come from the standard library (zoneinfo), so they do not depend on what a
column library finds on the machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from services.client.files.cells import whole

# What a mapping may say of an hour that the clocks show twice, or leave out.
Twice = Literal["refuse", "earlier", "later"]
Never = Literal["refuse", "forward", "back"]

YEARS = range(1970, 2101)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_SECOND_US = 1_000_000
_DAY_SECONDS = 86_400


class Change(NamedTuple):
    """The clocks of a zone change at a moment; all in microseconds, the offsets to UTC."""

    moment: int
    before: int
    after: int


@dataclass(frozen=True)
class InUtc:
    """Moments in UTC as microseconds, and where the clock's time is there twice or never."""

    moments: Any
    twice: Any = None
    never: Any = None


def zone_of(name: str) -> tzinfo:
    """The zone with this name, or `+08:00`. Raises ValueError."""
    if offset := _OFFSET.fullmatch(name):
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(name) from error


def to_utc(clock: Any, name: str, twice: Twice, never: Never) -> InUtc:
    """The clock's times in a zone (microseconds as if in UTC) as moments in UTC."""
    first, last = (value.as_py() for value in pc.min_max(clock).values())
    if first is None:
        return InUtc(clock)
    changes = list(_changes_between(name, first, last))
    if not changes:
        return InUtc(pc.subtract(clock, whole(_offset_at(name, first))))
    offset = pa.repeat(whole(changes[0].before), len(clock))
    twice_mask, never_mask = None, None
    for change in changes:
        low = change.moment + min(change.before, change.after)
        high = change.moment + max(change.before, change.after)
        between = pc.and_(pc.greater_equal(clock, whole(low)), pc.less(clock, whole(high)))
        is_forward = change.after > change.before
        is_old = never != "back" if is_forward else twice != "later"
        is_after = pc.greater_equal(clock, whole(high if is_old else low))
        offset = pc.if_else(is_after, whole(change.after), offset)
        if is_forward and never == "refuse":
            never_mask = between if never_mask is None else pc.or_(never_mask, between)
        if not is_forward and twice == "refuse":
            twice_mask = between if twice_mask is None else pc.or_(twice_mask, between)
    return InUtc(pc.subtract(clock, offset), twice_mask, never_mask)


def _changes_between(name: str, first: int, last: int) -> Iterator[Change]:
    """The changes that matter to clock times from `first` to `last`."""
    margin = 2 * _DAY_SECONDS * _SECOND_US
    for year in range(_year(first - margin), _year(last + margin) + 1):
        for change in _changes_in(name, year):
            if first - margin <= change.moment <= last + margin:
                yield change


def _year(microseconds: int) -> int:
    """The year of a moment; those far from the present count as the first or the last."""
    second = min(max(microseconds // _SECOND_US, 0), 4_102_444_800)
    return min(max(datetime.fromtimestamp(second, UTC).year, YEARS.start), YEARS.stop - 1)


def _offset_at(name: str, microseconds: int) -> int:
    second = min(max(microseconds // _SECOND_US, 0), 4_102_444_800)
    return _offset(zone_of(name), second)


@lru_cache(maxsize=512)
def _changes_in(name: str, year: int) -> tuple[Change, ...]:
    """The changes of a zone in a year, found day by day and then to the second."""
    zone = zone_of(name)
    start = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    end = int(datetime(year + 1, 1, 1, tzinfo=UTC).timestamp())
    changes = []
    for day in range(start, end, _DAY_SECONDS):
        low, high = day, day + _DAY_SECONDS
        before, after = _offset(zone, low), _offset(zone, high)
        if before == after:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
        changes.append(Change(high * _SECOND_US, before, after))
    return tuple(changes)


def _offset(zone: tzinfo, second: int) -> int:
    """The offset to UTC at a moment, in microseconds."""
    offset = datetime.fromtimestamp(second, zone).utcoffset()
    assert offset is not None
    return round(offset.total_seconds()) * _SECOND_US
