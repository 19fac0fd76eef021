"""Sums of postings by month, pooling area, account and industry: the input of a settlement."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.fund.domain.cells import Cell
from services.fund.domain.ledger import (
    CELL_ACCOUNTS,
    CELLS,
    EQUALISATION_ACCOUNTS,
    NO_INDUSTRY_NUMBER,
    RESULT_ACCOUNTS,
    Account,
    industry_of,
)
from services.fund.domain.settlement import Books, Total
from services.fund.store.tables import postings, totals
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.scheme import Industry
from services.runtime.storage.database import Transaction


async def get_books(tx: Transaction, month: Month, window: int) -> Books:
    """The input of a month's settlement, with the cells of `window` months.

    It reads stored totals, so its cost grows with pooling areas and months, not with postings.
    """
    return Books(
        month=month,
        totals=await _totals(tx, month),
        openings=await _openings(tx, month),
        window=await _cells(tx, month.plus(1 - window), month),
    )


async def list_recounted_totals(
    tx: Transaction, last: Month | None = None
) -> dict[Month, list[Total]]:
    """The totals of every month up to `last`, added up from the postings in one pass."""
    key = (postings.c.month, postings.c.pooling_area, postings.c.account, postings.c.industry)
    digest = sa.func.digest_of(
        postings.c.transaction_id,
        postings.c.line,
        postings.c.account,
        postings.c.industry,
        postings.c.amount_fen,
        postings.c.quantity,
    )
    statement = sa.select(
        *key,
        sa.func.sum(postings.c.amount_fen).label("amount_fen"),
        sa.func.sum(postings.c.quantity).label("quantity"),
        sa.func.count().label("posting_count"),
        sa.func.sum(digest).label("digest"),
    ).group_by(*key)
    if last is not None:
        statement = statement.where(postings.c.month <= last.first_day)
    by_month: dict[Month, list[Total]] = {}
    for row in await tx.execute(statement):
        by_month.setdefault(Month.of(row.month), []).append(_total(row))
    return by_month


async def _totals(tx: Transaction, month: Month) -> tuple[Total, ...]:
    statement = (
        sa.select(totals)
        .where(
            totals.c.month == month.first_day,
            totals.c.account.not_in([account.value for account in EQUALISATION_ACCOUNTS]),
        )
        .order_by(totals.c.pooling_area, totals.c.account, totals.c.industry)
    )
    return tuple(_total(row) for row in await tx.execute(statement))


async def _openings(tx: Transaction, month: Month) -> dict[str, Fen]:
    """Each area's balance before the month, from all earlier months. A credit is positive."""
    statement = (
        sa.select(totals.c.pooling_area, -sa.func.sum(totals.c.amount_fen))
        .where(
            totals.c.month < month.first_day,
            totals.c.account.in_([account.value for account in RESULT_ACCOUNTS]),
        )
        .group_by(totals.c.pooling_area)
        .order_by(totals.c.pooling_area)
    )
    return {area: Fen(int(amount)) for area, amount in await tx.execute(statement)}


async def _cells(tx: Transaction, first: Month, last: Month) -> dict[Industry, Cell]:
    statement = (
        sa.select(
            totals.c.account,
            totals.c.industry,
            sa.func.sum(totals.c.amount_fen).label("amount_fen"),
            sa.func.sum(totals.c.quantity).label("quantity"),
        )
        .where(
            totals.c.month.between(first.first_day, last.first_day),
            totals.c.account.in_([account.value for account in CELL_ACCOUNTS]),
            totals.c.industry != NO_INDUSTRY_NUMBER,
        )
        .group_by(totals.c.account, totals.c.industry)
    )
    cells = {industry: Cell() for industry in CELLS}
    for row in await tx.execute(statement):
        amount, quantity = Fen(int(row.amount_fen)), int(row.quantity)
        cells[Industry(row.industry)] += Cell.of(Account(row.account), amount, quantity)
    return cells


def _total(row: sa.Row[Any]) -> Total:
    return Total(
        row.pooling_area,
        Account(row.account),
        industry_of(row.industry),
        Fen(int(row.amount_fen)),
        int(row.quantity),
        row.posting_count,
        int(row.digest),
    )
