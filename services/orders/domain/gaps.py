"""Completeness: what a platform declares for a day against what is held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum

from services.kernel.periods import civil_day
from services.kernel.problems import Kind, Malformed, Problem
from services.orderlog.entries import moment
from services.orders.domain.checks import INDUSTRIES, Rules

# (pooling area, industry)
Line = tuple[int, int]


class TotalsDayOutside(Problem):
    """Totals are of a day of the scheme that has begun."""

    kind, reason = Kind.MALFORMED, "TOTALS_DAY_OUTSIDE"
    message = "No totals can be declared for {day}; declare a day from {first} to {last}."
    message_zh = "不能申报 {day} 的订单总数; 可申报 {first} 至 {last} 的日期。"


class TotalsAreaUnknown(Problem):
    """Totals are of pooling areas of the province served."""

    kind, reason = Kind.MALFORMED, "TOTALS_AREA_UNKNOWN"
    message = "{pooling_area} is no pooling area of this province; declare by these: {choices}."
    message_zh = "{pooling_area} 不是本省统筹地区; 可申报: {choices}。"


class TotalsIndustryUnknown(Problem):
    """Totals are of the scheme's industries."""

    kind, reason = Kind.MALFORMED, "TOTALS_INDUSTRY_UNKNOWN"
    message = (
        "Industry {industry} is none of the scheme's; declare ride-hailing (1), instant delivery "
        "(2) or same-city freight (3)."
    )
    message_zh = "行业 {industry} 不在保障范围内; 可申报: 出行(1)、即时配送(2)、同城货运(3)。"


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
class Held:
    """What is held for a line of a day, and how many of these came late.

    Late is what came more than a day after the day itself, or after its totals had been declared.
    """

    order_count: int
    late_count: int


SILENCE = Gap(0, 0, 0, 0, 0, GapKind.SILENCE)


def differences(declared: Mapping[Line, int] | None, held: Mapping[Line, Held]) -> list[Gap]:
    """What is to be said of a day that is over; `declared` is None if nobody declared it."""
    if declared is not None:
        return compare(declared, held)
    return [
        Gap(*line, 0, have.order_count, have.late_count, GapKind.UNDECLARED)
        for line, have in sorted(held.items())
        if have.order_count
    ] or [SILENCE]


def compare(declared: Mapping[Line, int], held: Mapping[Line, Held]) -> list[Gap]:
    """The differences of a day that was declared."""
    found = []
    for line in sorted({*declared, *held}):
        told, have = declared.get(line, 0), held.get(line, Held(0, 0))
        if told > have.order_count:
            kind = GapKind.MISSING
        elif told < have.order_count:
            kind = GapKind.SURPLUS
        elif have.order_count and have.late_count:
            kind = GapKind.LATE_ARRIVALS
        else:
            continue
        found.append(Gap(*line, told, have.order_count, have.late_count, kind))
    return found


def require_sum(order_count: int, lines: Mapping[Line, int]) -> None:
    """Refuse totals whose lines do not add up."""
    if order_count < 0 or any(count < 0 for count in lines.values()):
        raise Malformed.of("order_count", "write a count of 0 or more")
    if sum(lines.values()) != order_count:
        what = f"the tallies add up to {sum(lines.values())}, not to {order_count}; correct one"
        raise Malformed.of("tallies", what)


def require_known(day: date, lines: Mapping[Line, int], rules: Rules) -> None:
    """Refuse totals of a day, an area or an industry that no order can have.

    Raises TotalsDayOutside, TotalsAreaUnknown or TotalsIndustryUnknown.
    """
    first, last = (civil_day(moment(us)) for us in (rules.scheme_start_us, rules.now_us))
    if not first <= day <= last:
        raise TotalsDayOutside(field="service_date", day=day, first=first, last=last)
    for index, (area, industry) in enumerate(lines):
        if area not in rules.pooling_areas:
            choices = ", ".join(map(str, sorted(rules.pooling_areas)))
            field = f"tallies[{index}].pooling_area"
            raise TotalsAreaUnknown(field=field, pooling_area=f"{area:06d}", choices=choices)
        if industry not in INDUSTRIES:
            raise TotalsIndustryUnknown(field=f"tallies[{index}].industry", industry=industry)
