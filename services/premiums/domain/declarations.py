"""Declarations (缴费申报) compared with the recorded orders (多退少补)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeAlias

from services.kernel.law import Finding, Outcome, facts
from services.kernel.periods import Month
from services.kernel.problems import GivenTwice, Malformed
from services.premiums.domain.law import TRUE_UP

Cell: TypeAlias = tuple[str, int]  # pooling area, industry


@dataclass(frozen=True)
class Difference:
    """One pooling area and industry in which declared and recorded orders differ."""

    pooling_area: str
    industry: int
    declared_count: int
    recorded_count: int

    @property
    def is_underdeclared(self) -> bool:
        """Whether fewer orders were declared than are recorded."""
        return self.declared_count < self.recorded_count


@dataclass(frozen=True)
class DeclarationResult:
    """A platform's declaration of a month and its differences from the recorded orders."""

    platform: str
    month: Month
    revision: int
    differences: Sequence[Difference]
    due: date
    create_time: datetime


def declared_counts(rows: Iterable[tuple[str, int, int]]) -> dict[Cell, int]:
    """The counts in rows (pooling area, industry, count) of a declaration.

    Raises Malformed for a negative count and for a pooling area and industry in two rows.
    """
    counts: dict[Cell, int] = {}
    for index, (area, industry, count) in enumerate(rows):
        if (area, industry) in counts:
            raise GivenTwice.of(f"rows[{index}]")
        if count < 0:
            raise Malformed.of(
                f"rows[{index}].order_count",
                "BELOW_ZERO",
                "write a count of 0 or more",
                "请填写 0 或更大的数",
            )
        counts[area, industry] = count
    return counts


def compare(declared: Mapping[Cell, int], recorded: Mapping[Cell, int]) -> list[Difference]:
    """Where declared and recorded orders differ, by pooling area and industry."""
    return [
        Difference(*cell, declared.get(cell, 0), recorded.get(cell, 0))
        for cell in sorted({*declared, *recorded})
        if declared.get(cell, 0) != recorded.get(cell, 0)
    ]


def explain_difference(difference: Difference, due: date) -> Finding:
    """What follows from a difference: bills follow the recorded orders, not the declaration."""
    if difference.is_underdeclared:
        text = (
            "Fewer orders are declared than are recorded; late records are billed with a surcharge "
            f"from {due} on."
        )
        text_zh = f"申报少于订单记录; 迟到订单补缴, 滞纳金自 {due} 次日起算。"
    else:
        text = (
            "More orders are declared than are recorded; the overpaid amount is set off against "
            "the next bill."
        )
        text_zh = "申报多于订单记录; 多缴部分抵缴下期保费。"
    return Finding(
        TRUE_UP,
        Outcome.MET,
        text,
        text_zh,
        inputs=facts(
            pooling_area=difference.pooling_area,
            industry=difference.industry,
            declared=difference.declared_count,
            recorded=difference.recorded_count,
        ),
    )
