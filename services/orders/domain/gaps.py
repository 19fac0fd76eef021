"""Completeness: the totals a platform declares for a day against the stored orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum

from services.kernel.periods import civil_day
from services.kernel.problems import Malformed
from services.orderlog.entries import moment
from services.orders.domain.problems import (
    TotalsAreaUnknown,
    TotalsDayOutside,
    TotalsIndustryUnknown,
)
from services.orders.domain.row_rules import INDUSTRIES, Rules

# (pooling area, industry)
Line = tuple[int, int]


class GapKind(IntEnum):
    """Kinds of difference, as numbered in the proto."""

    MISSING = 1
    SURPLUS = 2
    UNDECLARED = 3
    SILENCE = 4
    LATE_ARRIVALS = 5


@dataclass(frozen=True)
class Gap:
    """A difference on one day, for one pooling area and industry (0 and 0: the whole day)."""

    pooling_area: int
    industry: int
    declared_count: int
    held_count: int
    late_count: int
    kind: GapKind


@dataclass(frozen=True)
class HeldOrders:
    """The stored orders for a line of a day, and how many of them arrived late.

    Late means more than a day after the day itself, or after its totals were declared.
    """

    order_count: int
    late_count: int


SILENCE = Gap(0, 0, 0, 0, 0, GapKind.SILENCE)


def differences(
    declared: Mapping[Line, int] | None, orders: Mapping[Line, HeldOrders]
) -> list[Gap]:
    """The differences of a day that is over; `declared` is None if the day was not declared."""
    if declared is not None:
        return compare(declared, orders)
    return [
        Gap(*line, 0, own.order_count, own.late_count, GapKind.UNDECLARED)
        for line, own in sorted(orders.items())
        if own.order_count
    ] or [SILENCE]


def compare(declared: Mapping[Line, int], orders: Mapping[Line, HeldOrders]) -> list[Gap]:
    """The differences of a day that was declared."""
    gaps = []
    for line in sorted({*declared, *orders}):
        declared_count, own = declared.get(line, 0), orders.get(line, HeldOrders(0, 0))
        if declared_count > own.order_count:
            kind = GapKind.MISSING
        elif declared_count < own.order_count:
            kind = GapKind.SURPLUS
        elif own.order_count and own.late_count:
            kind = GapKind.LATE_ARRIVALS
        else:
            continue
        gaps.append(Gap(*line, declared_count, own.order_count, own.late_count, kind))
    return gaps


def require_sum(order_count: int, lines: Mapping[Line, int]) -> None:
    """Refuse totals whose lines do not add up to them."""
    if order_count < 0 or any(count < 0 for count in lines.values()):
        raise Malformed.of(
            "order_count", "BELOW_ZERO", "write a count of 0 or more", "请填写 0 或更大的数"
        )
    if sum(lines.values()) != order_count:
        raise Malformed.of(
            "tallies",
            "WRONG_SUM",
            "the tallies add up to {sum}, not to {count}; correct one",
            "明细合计为 {sum}, 与 {count} 不符; 请更正",
            sum=sum(lines.values()),
            count=order_count,
        )


def require_known(day: date, lines: Mapping[Line, int], rules: Rules) -> None:
    """Refuse totals of a day, an area or an industry that no order can have.

    Raises TotalsDayOutside, TotalsAreaUnknown or TotalsIndustryUnknown.
    """
    first, last = (civil_day(moment(us)) for us in (min(rules.area_starts_us), rules.now_us))
    if not first <= day <= last:
        raise TotalsDayOutside(field="service_date", day=day, first=first, last=last)
    for index, (area, industry) in enumerate(lines):
        if area not in rules.pooling_areas:
            choices = tuple(f"{known:06d}" for known in sorted(rules.pooling_areas))
            field = f"tallies[{index}].pooling_area"
            raise TotalsAreaUnknown(field=field, pooling_area=f"{area:06d}", choices=choices)
        if industry not in INDUSTRIES:
            raise TotalsIndustryUnknown(field=f"tallies[{index}].industry", industry=industry)
