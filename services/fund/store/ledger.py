"""Transactions and postings, what is payable, balances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from services.fund.domain.ledger import (
    Account,
    Disbursement,
    Industry,
    LedgerTransaction,
    Posting,
    TransactionKind,
)
from services.fund.store.tables import disbursements, payables, periods, postings, transactions
from services.fund.store.tables import totals as period_totals
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class Posted:
    """A transaction as it stands in the books."""

    transaction: LedgerTransaction
    seq: int
    create_time: datetime


@dataclass(frozen=True)
class Balance:
    """The balance of one account of a pooling area; a debit is positive."""

    pooling_area: str
    account: Account
    amount: Fen


async def insert_transactions(
    tx: Transaction, posted: Sequence[LedgerTransaction], now: datetime
) -> None:
    """Post transactions; the database refuses those of a month that takes none."""
    if not posted:
        return
    # One statement each, so that the triggers add up once and take rows in one order.
    await tx.execute(sa.insert(transactions).values([_header(one, now) for one in posted]))
    await tx.execute(sa.insert(postings).values([line for one in posted for line in _lines(one)]))


async def find_transactions(
    tx: Transaction, transaction_ids: Sequence[str]
) -> dict[str, LedgerTransaction]:
    """The transactions with these ids that are in the books, by id."""
    statement = sa.select(transactions).where(
        transactions.c.transaction_id == sa.any_(sa.literal(list(transaction_ids), ARRAY(sa.Text)))
    )
    found = await _with_postings(tx, (await tx.execute(statement)).all())
    return {one.transaction.transaction_id: one.transaction for one in found}


async def list_transactions(
    tx: Transaction, pooling_area: str, month: Month | None, before: int | None, size: int
) -> list[Posted]:
    """Transactions, newest first, before the one with the sequence number given."""
    statement = sa.select(transactions).order_by(transactions.c.seq.desc()).limit(size)
    if pooling_area:
        statement = statement.where(transactions.c.pooling_area == pooling_area)
    if month is not None:
        statement = statement.where(transactions.c.month == month.first_day)
    if before is not None:
        statement = statement.where(transactions.c.seq < before)
    return await _with_postings(tx, (await tx.execute(statement)).all())


async def balances(tx: Transaction, month: Month | None) -> list[Balance]:
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


async def counts(tx: Transaction, month: Month | None) -> tuple[int, int]:
    """Transactions and postings up to the end of a month, or of all months."""
    of_transactions = sa.select(sa.func.coalesce(sa.func.sum(periods.c.transaction_count), 0))
    of_postings = sa.select(sa.func.coalesce(sa.func.sum(period_totals.c.posting_count), 0))
    if month is not None:
        of_transactions = of_transactions.where(periods.c.month <= month.first_day)
        of_postings = of_postings.where(period_totals.c.month <= month.first_day)
    return (
        int((await tx.execute(of_transactions)).scalar_one()),
        int((await tx.execute(of_postings)).scalar_one()),
    )


async def add_payable(tx: Transaction, payment_run: str, pooling_area: str, amount: Fen) -> None:
    """More is payable for a run in a pooling area."""
    statement = insert(payables).values(
        payment_run=payment_run, pooling_area=pooling_area, open_fen=amount.count
    )
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=[payables.c.payment_run, payables.c.pooling_area],
            set_={"open_fen": payables.c.open_fen + statement.excluded.open_fen},
        )
    )


async def lock_payable(tx: Transaction, payment_run: str, pooling_area: str) -> Fen:
    """What is payable for a run in a pooling area; nobody else changes it until the end."""
    statement = (
        sa.select(payables.c.open_fen)
        .where(payables.c.payment_run == payment_run, payables.c.pooling_area == pooling_area)
        .with_for_update()
    )
    return Fen((await tx.execute(statement)).scalar_one_or_none() or 0)


async def insert_disbursement(tx: Transaction, made: Disbursement, now: datetime) -> bool:
    """Record a disbursement and take it off what is payable; False if its reference is used."""
    statement = (
        insert(disbursements)
        .values(
            disbursement_id=made.disbursement_id,
            payment_run=made.payment_run,
            pooling_area=made.pooling_area,
            disburse_date=made.disburse_date,
            amount_fen=made.amount.count,
            bank_reference=made.bank_reference,
            create_time=now,
        )
        .on_conflict_do_nothing()
        .returning(disbursements.c.disbursement_id)
    )
    if (await tx.execute(statement)).first() is None:
        return False
    await tx.execute(
        sa.update(payables)
        .where(
            payables.c.payment_run == made.payment_run,
            payables.c.pooling_area == made.pooling_area,
        )
        .values(open_fen=payables.c.open_fen - made.amount.count)
    )
    return True


def _header(posted: LedgerTransaction, now: datetime) -> dict[str, Any]:
    return {
        "transaction_id": posted.transaction_id,
        "kind": posted.kind.value,
        "source": posted.source,
        "subject": posted.subject,
        "pooling_area": posted.pooling_area,
        "month": posted.month.first_day,
        "accounting_date": posted.accounting_date,
        "text": posted.text,
        "posting_count": len(posted.postings),
        "create_time": now,
    }


def _lines(posted: LedgerTransaction) -> list[dict[str, Any]]:
    return [
        {
            "transaction_id": posted.transaction_id,
            "line": line,
            "pooling_area": posted.pooling_area,
            "month": posted.month.first_day,
            "account": posting.account.value,
            "industry": posting.industry.value,
            "amount_fen": posting.amount.count,
            "quantity": posting.quantity,
        }
        for line, posting in enumerate(posted.postings, start=1)
    ]


async def _with_postings(tx: Transaction, rows: Sequence[sa.Row[Any]]) -> list[Posted]:
    ids = [row.transaction_id for row in rows]
    statement = (
        sa.select(postings)
        .where(postings.c.transaction_id == sa.any_(sa.literal(ids, ARRAY(sa.Text))))
        .order_by(postings.c.transaction_id, postings.c.line)
    )
    lines: dict[str, list[Posting]] = {one: [] for one in ids}
    for row in await tx.execute(statement):
        lines[row.transaction_id].append(
            Posting(Account(row.account), Fen(row.amount_fen), Industry(row.industry), row.quantity)
        )
    return [
        Posted(
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
