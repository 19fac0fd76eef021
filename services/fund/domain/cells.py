"""The cost of an order by risk cell: of the month or a moving average, with credibility.

A cell is an industry. `cost = spending / orders` over the whole province; a cell without orders
has its prior. All figures are fen per order, as exact fractions; only the transfers are rounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

from services.fund.domain.ledger import CELLS, Account
from services.kernel.money import ZERO, Fen, total
from services.kernel.periods import Month
from services.kernel.scheme import Industry

# The square root has six digits, rounded down, so that it is the same on every machine.
ROOT_DIGITS = 1_000_000


@dataclass(frozen=True)
class Cell:
    """A risk cell of a pooling area, or of the province, over some months."""

    order_count: int = 0
    spending: Fen = ZERO
    case_count: int = 0

    @classmethod
    def of(cls, account: Account, amount: Fen, quantity: int) -> Cell:
        """The part of an account: orders of premium income, cost of benefit expense."""
        if account is Account.PREMIUM_INCOME:
            return cls(order_count=quantity)
        return cls(spending=amount, case_count=quantity)

    def __add__(self, other: Cell) -> Cell:
        return Cell(
            self.order_count + other.order_count,
            self.spending + other.spending,
            self.case_count + other.case_count,
        )


Cells = Mapping[Industry, Cell]
Costs = Mapping[Industry, Fraction]


def add_up(parts: Sequence[Cells]) -> dict[Industry, Cell]:
    """Cells of several pooling areas or months, added."""
    return {
        industry: sum((part.get(industry, Cell()) for part in parts), Cell()) for industry in CELLS
    }


def moving(by_month: Mapping[Month, Cells], month: Month, month_count: int) -> dict[Industry, Cell]:
    """The cells of a month and those before it, `month_count` in all, added."""
    return add_up([by_month.get(month.plus(-back), {}) for back in range(month_count)])


def credibility(case_count: int, full_count: int) -> Fraction:
    """The weight of a cell's own experience, 0 to 1: z = min(1, sqrt(cases / full_count))."""
    if case_count >= full_count:
        return Fraction(1)
    return Fraction(isqrt(max(0, case_count) * ROOT_DIGITS**2 // full_count), ROOT_DIGITS)


def cell_costs(cells: Cells, prior: Costs, full_count: int = 0) -> dict[Industry, Fraction]:
    """The cost of an order of each cell, in fen.

    A cell without orders in the province has its prior. With `full_count` above 0 the cell's own
    cost is mixed with the prior by its credibility; with 0 its own cost counts in full.
    """
    costs = {}
    for industry in CELLS:
        cell = cells.get(industry, Cell())
        if cell.order_count <= 0:
            costs[industry] = prior[industry]
            continue
        own = Fraction(max(0, cell.spending.count), cell.order_count)
        trust = credibility(cell.case_count, full_count) if full_count else Fraction(1)
        costs[industry] = trust * own + (1 - trust) * prior[industry]
    return costs


def mean_cost(cells: Cells) -> Fraction:
    """The cost of an order over all cells, in fen; 0 without orders."""
    orders = sum(max(0, cell.order_count) for cell in cells.values())
    spending = total(cell.spending for cell in cells.values())
    return Fraction(spending.count, orders) if orders else Fraction(0)
