"""The monthly settlement: the figures of a month, their canonical text, the lifecycle of the month.

The canonical text has a format of this project, so that its hash means the same on every machine
and in every version: one entry per line, single blanks, whole numbers only, ordered by code point,
no clock. An approver signs the SHA-256 of this text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from services.fund.domain.cells import Cell, Cells, Costs, cell_costs, moving
from services.fund.domain.equalisation import (
    Pool,
    Transfers,
    deficit_compensation,
    dutch,
    full_pooling,
    nothing,
    proportional_pooling,
    risk_adjustment,
    swiss,
)
from services.fund.domain.equalisation_rules import EqualisationRules, RiskAdjustment
from services.fund.domain.ledger import (
    CELL_ACCOUNTS,
    CELLS,
    EQUALISATION_ACCOUNTS,
    RESULT_ACCOUNTS,
    Account,
    UnbalancedError,
    industry_name,
    industry_number,
)
from services.fund.domain.producers import EndedMonth, sorted_by_producer
from services.kernel.law import ParameterVersion
from services.kernel.lifecycle import Lifecycle
from services.kernel.money import ZERO, Fen, total
from services.kernel.periods import Month
from services.kernel.scheme import Industry

FORMAT = "oip.fund.settlement/1"


class State(Enum):
    """The states of a month; the numbers are those of the proto."""

    OPEN = 1
    PROPOSED = 2
    APPROVED = 3
    CLOSED = 4


LIFECYCLE = Lifecycle(
    {
        "propose": {State.OPEN: State.PROPOSED},
        "approve": {State.PROPOSED: State.APPROVED},
        "withdraw": {State.PROPOSED: State.OPEN, State.APPROVED: State.OPEN},
        "close": {State.APPROVED: State.CLOSED},
    },
    {
        "propose": "提请结账",
        "approve": "审批",
        "withdraw": "撤回",
        "close": "结账",
    },
)


@dataclass(frozen=True)
class Total:
    """The sum of a month's postings to an account, by pooling area and industry.

    `amount` is positive for a debit; `digest` sums up the content of the postings.
    """

    pooling_area: str
    account: Account
    industry: Industry | None
    amount: Fen
    quantity: int
    posting_count: int
    digest: int

    @property
    def line(self) -> str:
        """Its line in the canonical text."""
        return (
            f"total {self.pooling_area} {self.account.name} {industry_name(self.industry)} "
            f"{self.amount.count} {self.quantity} {self.posting_count} {self.digest}"
        )


@dataclass(frozen=True)
class Books:
    """The input of a settlement: a month's totals, opening balances, the cells of the window.

    `ended` is where each producer ended the month.
    """

    month: Month
    totals: tuple[Total, ...]
    openings: Mapping[str, Fen]
    window: Cells
    ended: tuple[EndedMonth, ...] = ()

    @property
    def balances(self) -> dict[Account, Fen]:
        """The month's sums by account over the province; a debit is positive."""
        sums: dict[Account, Fen] = {}
        for entry in self.totals:
            sums[entry.account] = sums.get(entry.account, ZERO) + entry.amount
        return sums


def books_from(
    by_month: Mapping[Month, Sequence[Total]],
    month: Month,
    window: int,
    ended: tuple[EndedMonth, ...] = (),
) -> Books:
    """The input of a month's settlement from the totals of all months, for a replay."""
    openings: dict[str, Fen] = {}
    for other, totals in by_month.items():
        for entry in totals:
            if other < month and entry.account in RESULT_ACCOUNTS:
                before = openings.get(entry.pooling_area, ZERO)
                openings[entry.pooling_area] = before - entry.amount
    cells = moving({other: cells_in(by_month[other]) for other in by_month}, month, window)
    settled = [
        entry for entry in by_month.get(month, ()) if entry.account not in EQUALISATION_ACCOUNTS
    ]
    settled.sort(
        key=lambda entry: (
            entry.pooling_area,
            entry.account.value,
            industry_number(entry.industry),
        )
    )
    return Books(month, tuple(settled), openings, cells, ended)


def cells_in(totals: Sequence[Total]) -> Cells:
    """The risk cells of the province in a month's totals."""
    cells = {industry: Cell() for industry in CELLS}
    for entry in totals:
        if entry.account in CELL_ACCOUNTS and entry.industry is not None:
            cells[entry.industry] += Cell.of(entry.account, entry.amount, entry.quantity)
    return cells


@dataclass(frozen=True)
class PoolFigures:
    """One pooling area's month on the statement."""

    pooling_area: str
    opening: Fen
    premium: Fen
    surcharge: Fen
    spending: Fen
    risk_adjustment: Fen
    deficit_compensation: Fen
    order_count: int

    @property
    def income(self) -> Fen:
        """Premiums assessed and surcharges received."""
        return self.premium + self.surcharge

    @property
    def equalisation(self) -> Fen:
        """Risk adjustment and deficit compensation."""
        return self.risk_adjustment + self.deficit_compensation

    @property
    def closing(self) -> Fen:
        """The balance at the end of the month."""
        return self.opening + self.income - self.spending + self.equalisation

    @property
    def line(self) -> str:
        """Its line in the canonical text."""
        amounts = (
            self.opening,
            self.premium,
            self.surcharge,
            self.spending,
            self.risk_adjustment,
            self.deficit_compensation,
            self.closing,
        )
        counts = " ".join(str(amount.count) for amount in amounts)
        return f"pool {self.pooling_area} {counts} {self.order_count}"


@dataclass(frozen=True)
class Settlement:
    """A month's figures with their input and calculation."""

    month: Month
    province: str
    rules: EqualisationRules
    pools: tuple[Pool, ...]
    figures: tuple[PoolFigures, ...]
    # The province's cells over the window of months, and what they say an order costs.
    cells: Cells
    costs: Costs
    risk: Transfers
    deficit: Transfers
    ended: tuple[EndedMonth, ...]
    text: str

    @property
    def hash(self) -> bytes:
        """SHA-256 of the canonical text, which an approver approves."""
        return text_hash(self.text)


def settle(books: Books, rules: EqualisationRules, province: str) -> Settlement:
    """The settlement of a month: risk adjustment, then deficit compensation on what remains.

    Raises UnbalancedError if the transfers do not sum to zero.
    """
    pools = pools_of(books)
    costs = cell_costs(books.window, rules.prior, rules.full_count)
    risk = adjust(pools, costs, rules)
    positions = {
        pool.pooling_area: pool.balance + risk.of(pool.pooling_area) - rules.floor for pool in pools
    }
    deficit = deficit_compensation(positions) if rules.deficit_compensation else nothing(pools)
    figures = tuple(
        PoolFigures(
            pooling_area=pool.pooling_area,
            opening=pool.opening,
            premium=pool.premium,
            surcharge=pool.surcharge,
            spending=pool.spending,
            risk_adjustment=risk.of(pool.pooling_area),
            deficit_compensation=deficit.of(pool.pooling_area),
            order_count=pool.order_count,
        )
        for pool in pools
    )
    if difference := total(pool.equalisation for pool in figures):
        raise UnbalancedError(f"the transfers of {books.month} sum to {difference}, not to 0")
    text = canonical_text(books, rules.versions, figures, province)
    return Settlement(
        month=books.month,
        province=province,
        rules=rules,
        pools=tuple(pools),
        figures=figures,
        cells=books.window,
        costs=costs,
        risk=risk,
        deficit=deficit,
        ended=books.ended,
        text=text,
    )


def adjust(pools: Sequence[Pool], costs: Costs, rules: EqualisationRules) -> Transfers:
    """The province's rule of risk adjustment."""
    match rules.risk_adjustment:
        case RiskAdjustment.NEED_LESS_STRENGTH:
            return risk_adjustment(pools, costs)
        case RiskAdjustment.SWISS:
            return swiss(pools, costs)
        case RiskAdjustment.DUTCH:
            return dutch(pools, costs, rules.retrospective_share)
        case RiskAdjustment.PROPORTIONAL_POOLING:
            return proportional_pooling(pools, rules.pooled_share)
        case RiskAdjustment.FULL_POOLING:
            return full_pooling(pools)
        case RiskAdjustment.NONE:
            return nothing(pools)


def pools_of(books: Books) -> list[Pool]:
    """The pools of a month, by division code: every area with a balance or a posting."""
    areas = sorted({*books.openings, *(entry.pooling_area for entry in books.totals)})
    return [_pool(area, books.openings.get(area, ZERO), books.totals) for area in areas]


def _pool(area: str, opening: Fen, totals: Sequence[Total]) -> Pool:
    area_totals = [entry for entry in totals if entry.pooling_area == area]
    cells: dict[Industry, Cell] = {}
    other = ZERO
    for entry in area_totals:
        if entry.account not in CELL_ACCOUNTS:
            continue
        part = Cell.of(entry.account, entry.amount, entry.quantity)
        if entry.industry is None:
            other += part.spending
        else:
            cells[entry.industry] = cells.get(entry.industry, Cell()) + part
    return Pool(
        pooling_area=area,
        opening=opening,
        premium=-_sum_of(Account.PREMIUM_INCOME, area_totals),
        surcharge=-_sum_of(Account.SURCHARGE_INCOME, area_totals),
        cells=cells,
        other_spending=other,
    )


def _sum_of(account: Account, totals: Sequence[Total]) -> Fen:
    return total(entry.amount for entry in totals if entry.account is account)


def canonical_text(
    books: Books,
    versions: Sequence[ParameterVersion],
    figures: Sequence[PoolFigures],
    province: str,
) -> str:
    """The text whose hash is approved.

    Parameter versions, window, where each producer ended the month, totals, then the figures.
    """
    lines = [
        f"{FORMAT} {province} {books.month}",
        *sorted(_version_line(version) for version in versions),
        *sorted(
            f"window {industry.name} {cell.order_count} {cell.spending.count} {cell.case_count}"
            for industry, cell in books.window.items()
        ),
        *(line for entry in sorted_by_producer(books.ended) for line in entry.lines),
        *sorted(entry.line for entry in books.totals),
        *sorted(pool.line for pool in figures),
    ]
    return "\n".join(lines) + "\n"


def _version_line(version: ParameterVersion) -> str:
    value = version.value.replace(" ", "_")
    return f"parameter {version.name} {version.since} {version.jurisdiction} {value}"


def text_hash(text: str) -> bytes:
    """SHA-256 of a canonical text."""
    return hashlib.sha256(text.encode()).digest()


def figures_in(text: str) -> tuple[PoolFigures, ...]:
    """The figures in a canonical text; raises ValueError if its closings do not add up."""
    figures = []
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind != "pool":
            continue
        area, *numbers = rest.split(" ")
        opening, premium, surcharge, spending, risk, deficit, closing, orders = map(int, numbers)
        pool = PoolFigures(
            area,
            Fen(opening),
            Fen(premium),
            Fen(surcharge),
            Fen(spending),
            Fen(risk),
            Fen(deficit),
            orders,
        )
        if pool.closing.count != closing:
            raise ValueError(f"the closing of {area} does not add up")
        figures.append(pool)
    return tuple(figures)


def province_in(text: str) -> str:
    """The province of a canonical text."""
    return text.split(" ", 2)[1]
