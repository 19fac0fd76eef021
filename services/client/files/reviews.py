"""A review of a file before it is sent: what is in it, and what looks wrong although it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from services.client.files.cells import whole
from services.client.files.mapping import INDUSTRIES, STATES, FileMapping
from services.client.files.order_files import read_rows
from services.client.files.remarks import Remark
from services.client.files.summary import FileSummary

SHANGHAI_US = 8 * 3_600_000_000
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
# People order least in these hours of the night.
QUIET_FROM, QUIET_HOURS = 2, 5
# Fewer orders say nothing about hours.
ORDERS_LEAST = 200
# The quietest hours have at most this share of their part of a day; else there is no night.
QUIET_SHARE_MAX = 0.35
SHIFT_LEAST = 4
_NAMES = {"industry": {number: name for name, number in INDUSTRIES.items()}} | {
    "state": {number: name for name, number in STATES.items()}
}
# Digits that a spreadsheet keeps of a number, and how many longer numbers make a pattern.
_KEPT_DIGITS = r"^[1-9]\d{14}0+$"
_LONG_DIGITS = r"^\d{16,}$"
_LONG_LEAST = 5
# Order numbers of a platform that are kept to be looked up.
EXAMPLES = 20


@dataclass
class FileReview:
    """What a file would create, and what looks wrong."""

    summary: FileSummary = field(default_factory=FileSummary)
    # Orders by platform, industry and state.
    orders: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    areas: Counter[int] = field(default_factory=Counter)
    first_day: date | None = None
    last_day: date | None = None
    # Orders accepted in each hour of the day in China.
    hours: list[int] = field(default_factory=lambda: [0] * 24)
    at_midnight_count: int = 0
    future_count: int = 0
    backward_count: int = 0
    long_number_count: int = 0
    cut_number_count: int = 0
    # Order numbers by platform, a few.
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def order_count(self) -> int:
        """The orders that would be sent."""
        return sum(self.orders.values())

    def add(self, piece: pa.Table, now: datetime) -> None:
        """Take in a piece of the file."""
        self.summary.add(piece)
        sound = piece.filter(pc.is_null(piece["fault"])).combine_chunks()
        if not sound.num_rows:
            return
        self._count(sound)
        begun = sound["accept_time"].combine_chunks().view(pa.int64())
        ended = sound["end_time"].combine_chunks().view(pa.int64())
        now_us = whole(int(now.timestamp() * 1_000_000))
        self.future_count += _true_count(pc.greater(begun, now_us))
        self.backward_count += _true_count(pc.less(ended, begun))
        clock = pc.add(begun, whole(SHANGHAI_US))
        in_day = pc.subtract(clock, pc.multiply(pc.divide(clock, whole(DAY_US)), whole(DAY_US)))
        self.at_midnight_count += _true_count(pc.equal(in_day, whole(0)))
        for row in pc.value_counts(pc.divide(in_day, whole(HOUR_US))).to_pylist():
            self.hours[row["values"]] += row["counts"]
        self._add_days(clock)

    def _count(self, sound: pa.Table) -> None:
        groups = sound.group_by(["platform", "industry", "state"]).aggregate([([], "count_all")])
        for row in groups.to_pylist():
            names = (_NAMES["industry"][row["industry"]], _NAMES["state"][row["state"]])
            self.orders[row["platform"], *names] += row["count_all"]
        for row in pc.value_counts(sound["place_of_acceptance"]).to_pylist():
            self.areas[row["values"]] += row["counts"]
        numbers = sound["order_no"].combine_chunks()
        self.long_number_count += _true_count(pc.match_substring_regex(numbers, _LONG_DIGITS))
        self.cut_number_count += _true_count(pc.match_substring_regex(numbers, _KEPT_DIGITS))
        for platform in pc.unique(sound["platform"]).to_pylist():
            known = self.examples.setdefault(platform, [])
            if len(known) < EXAMPLES:
                own = sound.filter(pc.equal(sound["platform"], platform))["order_no"]
                known += own.slice(0, EXAMPLES - len(known)).to_pylist()

    def _add_days(self, clock: Any) -> None:
        low, high = (value.as_py() for value in pc.min_max(clock).values())
        first, last = (date.fromordinal(719_163 + value // DAY_US) for value in (low, high))
        self.first_day = min(self.first_day or first, first)
        self.last_day = max(self.last_day or last, last)

    def suspicions(self) -> list[Remark]:
        """Sentences on what looks wrong."""
        remarks = []
        shift = shifted_hours(self.hours)
        if shift:
            remarks.append(shift_remark(self.hours, shift))
        if self.order_count >= ORDERS_LEAST and self.at_midnight_count * 2 > self.order_count:
            remarks.append(
                Remark(
                    f"{self.at_midnight_count:,} orders begin at midnight: the file may have days "
                    "instead of times.",
                    f"{self.at_midnight_count:,} 个订单的接单时间为零点: 文件可能没有时刻。",
                )
            )
        if self.future_count:
            remarks.append(
                Remark(
                    f"{self.future_count:,} orders begin in the future and will be refused: check "
                    "the year, the zone and the form of the times.",
                    f"{self.future_count:,} 个订单的接单时间晚于现在, 将被拒收: "
                    "请核对年份、时区和时间格式。",
                )
            )
        if self.backward_count:
            remarks.append(
                Remark(
                    f"{self.backward_count:,} orders end before they begin and will be refused: "
                    "check which column is which.",
                    f"{self.backward_count:,} 个订单的结束时间早于接单时间, 将被拒收: "
                    "请核对各列对应关系。",
                )
            )
        if self.long_number_count >= _LONG_LEAST and (
            self.cut_number_count == self.long_number_count
        ):
            remarks.append(
                Remark(
                    "All long order numbers end in zeros after 15 digits: a spreadsheet cut them "
                    "off; export the file from its source as text.",
                    "所有较长的订单号在第 15 位之后均为零, 已被电子表格截断: "
                    "请从来源系统以文本格式重新导出。",
                )
            )
        return remarks


def review_file(path: Path, mapping: FileMapping, now: datetime) -> FileReview:
    """Read a whole file, a piece at a time, and review it. Raises OrderFileUnreadable."""
    review = FileReview()
    for piece in read_rows(path, mapping):
        review.add(piece, now)
    summary = review.summary
    summary.parts = dict(sorted(summary.parts.items()))
    return review


def shifted_hours(hours: list[int]) -> int:
    """By how many hours the times seem to be shifted; 0 if they do not, or if nothing says so.

    The quietest hours of the day are compared with those of the night in China: 8 means that the
    times seem to be UTC, read as if they were of China.
    """
    total = sum(hours)
    if total < ORDERS_LEAST:
        return 0
    windows = [
        sum(hours[(start + step) % 24] for step in range(QUIET_HOURS)) for start in range(24)
    ]
    quietest = min(range(24), key=lambda start: (windows[start], (start - QUIET_FROM) % 24))
    if windows[quietest] > QUIET_SHARE_MAX * total * QUIET_HOURS / 24:
        return 0
    # Of hours that are all equally quiet, those nearest to the night count.
    least = [start for start in range(24) if windows[start] == windows[quietest]]
    shifts = [(QUIET_FROM - start + 12) % 24 - 12 for start in least]
    shift = min(shifts, key=abs)
    return shift if abs(shift) >= SHIFT_LEAST else 0


def shift_remark(hours: list[int], shift: int) -> Remark:
    """What a shift of hours looks like, and what to try."""
    start = (QUIET_FROM - shift) % 24
    end = (start + QUIET_HOURS) % 24
    quiet = sum(hours[(start + step) % 24] for step in range(QUIET_HOURS))
    if shift * HOUR_US == SHANGHAI_US:
        hint, hint_zh = 'zone = "UTC"', '`zone = "UTC"`'
    else:
        way, way_zh = ("earlier", "早") if shift > 0 else ("later", "晚")
        hint = f"a zone where the clock shows {abs(shift)} hours {way}"
        hint_zh = f"比中国时间{way_zh} {abs(shift)} 小时的时区"
    return Remark(
        f"Only {quiet:,} of {sum(hours):,} orders begin between {start:02d}:00 and {end:02d}:00 in "
        f"China, and elsewhere the night is quiet: the times look shifted by {shift:+d} hours; "
        f"check zone in the mapping, for example {hint}.",
        f"{sum(hours):,} 个订单中只有 {quiet:,} 个的接单时间在中国时间 {start:02d}:00 至 "
        f"{end:02d}:00 之间, 而通常夜间订单最少: 时间似乎偏移了 {shift:+d} 小时; "
        f"请核对映射文件中的时区, 例如 {hint_zh}。",
    )


def areas_by_count(areas: Mapping[int, int]) -> list[tuple[str, int]]:
    """Places by how many orders they have; the unknown place has no code."""
    return [
        (f"{code:06d}" if code else "", count)
        for code, count in sorted(areas.items(), key=lambda item: -item[1])
    ]


def _true_count(mask: Any) -> int:
    return int(pc.sum(mask).as_py() or 0)
