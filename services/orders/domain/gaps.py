"""Completeness: what a platform declares for a day against what is held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from services.kernel.problems import Malformed

# (pooling area, industry)
Line = tuple[int, int]


class GapKind(IntEnum):
    """Kinds of difference, as numbered in the proto."""

    MISSING = 1
    SURPLUS = 2
    UNDECLARED = 3
    SILENCE = 4


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
    """What is held for a line of a day, and how many of these came late."""

    order_count: int
    late_count: int


def compare(declared: Mapping[Line, int], held: Mapping[Line, Held]) -> list[Gap]:
    """The differences of a day that was declared."""
    found = []
    for line in sorted({*declared, *held}):
        told, have = declared.get(line, 0), held.get(line, Held(0, 0))
        if told != have.order_count:
            kind = GapKind.MISSING if told > have.order_count else GapKind.SURPLUS
            found.append(Gap(*line, told, have.order_count, have.late_count, kind))
    return found


def undeclared(held: Mapping[Line, Held]) -> list[Gap]:
    """The differences of a day that nobody declared."""
    return [
        Gap(*line, 0, have.order_count, have.late_count, GapKind.UNDECLARED)
        for line, have in sorted(held.items())
        if have.order_count
    ]


def require_sum(order_count: int, lines: Mapping[Line, int]) -> None:
    """Refuse totals whose lines do not add up."""
    if order_count < 0 or any(count < 0 for count in lines.values()):
        raise Malformed.of("order_count", "write a count of 0 or more")
    if sum(lines.values()) != order_count:
        what = f"the tallies add up to {sum(lines.values())}, not to {order_count}; correct one"
        raise Malformed.of("tallies", what)
