"""The monthly settlement: what the books of a month yield, its canonical text, its lifecycle.

The canonical text is our own format, so that its hash means the same on every machine and in
every version: one line a fact, single blanks, whole numbers only, ordered by code point, no clock.
What an approver signs is the SHA-256 of this text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from services.fund.domain.cells import Cell, Cells, Costs, cell_costs
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
from services.fund.domain.ledger import (
    CELL_ACCOUNTS,
    CELLS,
    EQUALISATION_ACCOUNTS,
    RESULT_ACCOUNTS,
    Account,
    Industry,
)
from services.fund.domain.rules import EqualisationRules
from services.kernel.law import ParameterVersion
from services.kernel.lifecycle import Lifecycle
from services.kernel.money import ZERO, Fen, total
from services.kernel.periods import Month
from services.kernel.problems import Kind, Problem

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
    }
)


class NotReadyToPropose(Problem):
    """Something stands in the way of proposing the month."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NOT_READY_TO_PROPOSE"
    message = "{month} cannot be proposed: {obstacles}"
    message_zh = "{month} 暂不能提交结账: {obstacles_zh}"


class ApproverIsProposer(Problem):
    """Whoever proposed the month cannot approve it."""

    kind, reason = Kind.FORBIDDEN, "APPROVER_IS_PROPOSER"
    message = "{proposer} proposed {month}; ask another approver to approve it."
    message_zh = "{month} 由 {proposer} 提交; 须由另一人审批。"


class HashDiffers(Problem):
    """What was read is not what is proposed."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "HASH_DIFFERS"
    message = (
        "The figures of {month} are not those you read; read them again and approve their hash."
    )
    message_zh = "{month} 的数字与所阅不一致; 请重新阅看后按其哈希值审批。"


class FiguresChanged(Problem):
    """The approved figures no longer follow from the books."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "FIGURES_CHANGED"
    message = (
        "The books no longer yield the approved figures of {month}; withdraw and propose anew."
    )
    message_zh = "{month} 账面数字与已审批数字不符; 请撤回后重新提交。"


class NotClosed(Problem):
    """Only a closed month can be replayed."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NOT_CLOSED"
    message = "{month} is not closed; only a closed month can be replayed."
    message_zh = "{month} 尚未结账; 仅已结账月份可以重算。"


@dataclass(frozen=True)
class Total:
    """One account of a pooling area and industry over a month's postings, with their digest."""

    pooling_area: str
    account: Account
    industry: Industry
    amount: Fen
    quantity: int
    posting_count: int
    digest: int

    @property
    def line(self) -> str:
        """Its line in the canonical text."""
        return (
            f"total {self.pooling_area} {self.account.name} {self.industry.name} "
            f"{self.amount.count} {self.quantity} {self.posting_count} {self.digest}"
        )


@dataclass(frozen=True)
class Books:
    """What a settlement rests on: a month's totals, balances before it, the window's cells."""

    month: Month
    totals: tuple[Total, ...]
    openings: Mapping[str, Fen]
    window: Cells


def books_from(by_month: Mapping[Month, Sequence[Total]], month: Month, window: int) -> Books:
    """What the settlement of a month rests on, from the totals of all months: a close's twin."""
    openings: dict[str, Fen] = {}
    cells = {industry: Cell() for industry in CELLS}
    for other, totals in by_month.items():
        for one in totals:
            if other < month and one.account in RESULT_ACCOUNTS:
                openings[one.pooling_area] = openings.get(one.pooling_area, ZERO) - one.amount
            if (
                month.plus(-window) < other <= month
                and one.account in CELL_ACCOUNTS
                and one.industry is not Industry.NONE
            ):
                cells[one.industry] += cell_of(one.account, one.amount, one.quantity)
    own = [one for one in by_month.get(month, ()) if one.account not in EQUALISATION_ACCOUNTS]
    own.sort(key=lambda one: (one.pooling_area, one.account.value, one.industry.value))
    return Books(month, tuple(own), openings, cells)


def cell_of(account: Account, amount: Fen, quantity: int) -> Cell:
    """What an account adds to a risk cell: premium income its orders, benefit expense its cost."""
    if account is Account.PREMIUM_INCOME:
        return Cell(order_count=quantity)
    return Cell(spending=amount, case_count=quantity)


@dataclass(frozen=True)
class PoolFigures:
    """One pooling area's month, as it stands on the statement."""

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
    """A month's figures with all they rest on."""

    month: Month
    province: str
    rules: EqualisationRules
    pools: tuple[Pool, ...]
    figures: tuple[PoolFigures, ...]
    costs: Costs
    risk: Transfers
    deficit: Transfers
    text: str

    @property
    def hash(self) -> bytes:
        """What an approver approves: SHA-256 of the canonical text."""
        return text_hash(self.text)


def settle(books: Books, rules: EqualisationRules, province: str) -> Settlement:
    """Risk adjustment first, then deficit compensation on what is left (domain: M3, then M1)."""
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
    assert not total(pool.equalisation for pool in figures), "transfers must sum to zero"
    text = canonical_text(books, rules.versions, figures, province)
    return Settlement(
        books.month, province, rules, tuple(pools), figures, costs, risk, deficit, text
    )


def adjust(pools: Sequence[Pool], costs: Costs, rules: EqualisationRules) -> Transfers:
    """The province's rule of risk adjustment."""
    match rules.risk_adjustment:
        case "m3":
            return risk_adjustment(pools, costs)
        case "swiss":
            return swiss(pools, costs)
        case "dutch":
            return dutch(pools, costs, rules.retrospective_share)
        case "m2":
            return proportional_pooling(pools, rules.pooled_share)
        case "full":
            return full_pooling(pools)
        case _:
            return nothing(pools)


def pools_of(books: Books) -> list[Pool]:
    """The pools of a month, by division code; areas with a balance or a posting have one."""
    areas = sorted({*books.openings, *(one.pooling_area for one in books.totals)})
    return [_pool(area, books.openings.get(area, ZERO), books.totals) for area in areas]


def _pool(area: str, opening: Fen, totals: Sequence[Total]) -> Pool:
    own = [one for one in totals if one.pooling_area == area]
    cells: dict[Industry, Cell] = {}
    other = ZERO
    for one in own:
        if one.account not in CELL_ACCOUNTS:
            continue
        part = cell_of(one.account, one.amount, one.quantity)
        if one.industry is Industry.NONE:
            other += part.spending
        else:
            cells[one.industry] = cells.get(one.industry, Cell()) + part
    return Pool(
        pooling_area=area,
        opening=opening,
        premium=-total(one.amount for one in own if one.account is Account.PREMIUM_INCOME),
        surcharge=-total(one.amount for one in own if one.account is Account.SURCHARGE_INCOME),
        cells=cells,
        other_spending=other,
    )


def canonical_text(
    books: Books,
    versions: Sequence[ParameterVersion],
    figures: Sequence[PoolFigures],
    province: str,
) -> str:
    """The text whose hash is approved: the manifest (totals, openings, rules), then the figures."""
    lines = [
        f"{FORMAT} {province} {books.month}",
        *sorted(_version_line(version) for version in versions),
        *sorted(
            f"window {industry.name} {cell.order_count} {cell.spending.count} {cell.case_count}"
            for industry, cell in books.window.items()
        ),
        *sorted(one.line for one in books.totals),
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
    found = []
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word != "pool":
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
        found.append(pool)
    return tuple(found)


def province_in(text: str) -> str:
    """The province that a canonical text is about."""
    return text.split(" ", 2)[1]
