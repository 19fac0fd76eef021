"""Transactions with their postings, and balances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.fund.domain.ledger import (
    Account,
    LedgerTransaction,
    Posting,
    TransactionKind,
    industry_number,
    industry_of,
)
from services.fund.store.tables import periods, postings, transactions
from services.fund.store.tables import totals as period_totals
from services.kernel import names
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.problems import NotFound
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class PostedTransaction:
    """A transaction of the ledger with its number in the order of posting."""

    transaction: LedgerTransaction
    seq: int
    create_time: datetime


@dataclass(frozen=True)
class Balance:
    """The balance of one account of a pooling area; a debit is positive."""

    pooling_area: str
    account: Account
    amount: Fen


@dataclass(frozen=True)
class TransactionFilter:
    """Which transactions to list; what is empty does not filter."""

    pooling_area: str = ""
    month: Month | None = None
    source: str = ""


async def insert_transactions(
    tx: Transaction, entries: Sequence[LedgerTransaction], now: datetime
) -> None:
    """Post transactions; the database refuses those of a month that takes no postings."""
    if not entries:
        return
    # One statement each, so that the triggers add up once and lock rows in one order.
    await tx.execute(sa.insert(transactions).values([_header(entry, now) for entry in entries]))
    lines = [line for entry in entries for line in _lines(entry)]
    await tx.execute(sa.insert(postings).values(lines))


async def find_transactions(tx: Transaction, ids: Sequence[str]) -> dict[str, LedgerTransaction]:
    """The posted transactions among these ids, by id."""
    statement = sa.select(transactions).where(
        transactions.c.transaction_id == sa.any_(sa.literal(list(ids), ARRAY(sa.Text)))
    )
    posted = await _with_postings(tx, (await tx.execute(statement)).all())
    return {entry.transaction.id: entry.transaction for entry in posted}


async def get_transaction(tx: Transaction, transaction_id: str) -> PostedTransaction:
    """A transaction with its postings; raises NotFound."""
    statement = sa.select(transactions).where(transactions.c.transaction_id == transaction_id)
    rows = (await tx.execute(statement)).all()
    if not rows:
        raise NotFound(name=names.name("ledgerTransactions", transaction_id))
    return (await _with_postings(tx, rows))[0]


async def list_transactions(
    tx: Transaction, chosen: TransactionFilter, before: int | None, size: int
) -> list[PostedTransaction]:
    """Transactions, newest first, with a sequence number below `before`."""
    statement = sa.select(transactions).order_by(transactions.c.seq.desc()).limit(size)
    if chosen.pooling_area:
        statement = statement.where(transactions.c.pooling_area == chosen.pooling_area)
    if chosen.month is not None:
        statement = statement.where(transactions.c.month == chosen.month.first_day)
    if chosen.source:
        statement = statement.where(transactions.c.source == chosen.source)
    if before is not None:
        statement = statement.where(transactions.c.seq < before)
    return await _with_postings(tx, (await tx.execute(statement)).all())


async def list_balances(tx: Transaction, month: Month | None) -> list[Balance]:
    """Balances by pooling area and account up to the end of a month, or of all months."""
    table = period_totals
    statement = (
        sa.select(table.c.pooling_area, table.c.account, sa.func.sum(table.c.amount_fen))
        .group_by(table.c.pooling_area, table.c.account)
        .order_by(table.c.pooling_area, table.c.account)
    )
    if month is not None:
        statement = statement.where(table.c.month <= month.first_day)
    return [
        Balance(area, Account(account), Fen(int(amount)))
        for area, account, amount in await tx.execute(statement)
    ]


async def count_entries(tx: Transaction, month: Month | None) -> tuple[int, int]:
    """The numbers of transactions and of postings up to the end of a month, or of all months."""
    of_transactions = sa.select(sa.func.coalesce(sa.func.sum(periods.c.transaction_count), 0))
    of_postings = sa.select(sa.func.coalesce(sa.func.sum(period_totals.c.posting_count), 0))
    if month is not None:
        of_transactions = of_transactions.where(periods.c.month <= month.first_day)
        of_postings = of_postings.where(period_totals.c.month <= month.first_day)
    return (
        int((await tx.execute(of_transactions)).scalar_one()),
        int((await tx.execute(of_postings)).scalar_one()),
    )


def _header(entry: LedgerTransaction, now: datetime) -> dict[str, Any]:
    return {
        "transaction_id": entry.id,
        "kind": entry.kind.value,
        "source": entry.source,
        "subject": entry.subject,
        "pooling_area": entry.pooling_area,
        "month": entry.month.first_day,
        "accounting_date": entry.accounting_date,
        "text": entry.text,
        "posting_count": len(entry.postings),
        "create_time": now,
    }


def _lines(entry: LedgerTransaction) -> list[dict[str, Any]]:
    return [
        {
            "transaction_id": entry.id,
            "line": line,
            "pooling_area": entry.pooling_area,
            "month": entry.month.first_day,
            "account": posting.account.value,
            "industry": industry_number(posting.industry),
            "amount_fen": posting.amount.count,
            "quantity": posting.quantity,
        }
        for line, posting in enumerate(entry.postings, start=1)
    ]


async def _with_postings(tx: Transaction, rows: Sequence[sa.Row[Any]]) -> list[PostedTransaction]:
    ids = [row.transaction_id for row in rows]
    statement = (
        sa.select(postings)
        .where(postings.c.transaction_id == sa.any_(sa.literal(ids, ARRAY(sa.Text))))
        .order_by(postings.c.transaction_id, postings.c.line)
    )
    lines: dict[str, list[Posting]] = {transaction_id: [] for transaction_id in ids}
    for row in await tx.execute(statement):
        industry, amount = industry_of(row.industry), Fen(row.amount_fen)
        lines[row.transaction_id].append(
            Posting(Account(row.account), amount, industry, row.quantity)
        )
    return [
        PostedTransaction(
            LedgerTransaction(
                kind=TransactionKind(row.kind),
                source=row.source,
                subject=row.subject,
                pooling_area=row.pooling_area,
                month=Month.of(row.month),
                accounting_date=row.accounting_date,
                text=row.text,
                postings=tuple(lines[row.transaction_id]),
            ),
            row.seq,
            row.create_time,
        )
        for row in rows
    ]
