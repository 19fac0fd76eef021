"""Counting again what the fund has kept: one question an invariant, over all rows."""

from __future__ import annotations

import sqlalchemy as sa

from services.runtime.storage.database import Transaction

_UNBALANCED = """
    select count(*) from ledger_transaction as held
    left join (
        select transaction_id, count(*) as lines, sum(amount_fen) as amount
        from posting group by transaction_id
    ) as lined using (transaction_id)
    where coalesce(lines, 0) <> posting_count or lines < 2 or amount <> 0
"""

_TOTALS_THAT_DIFFER = """
    with recounted as (
        select month, pooling_area, account, industry, sum(amount_fen) as amount_fen,
            sum(quantity) as quantity, count(*) as posting_count,
            sum(digest_of(transaction_id, line, account, industry, amount_fen, quantity)) as digest
        from posting group by month, pooling_area, account, industry
    )
    select count(*) from period_total as kept
    full join recounted using (month, pooling_area, account, industry)
    where kept.amount_fen is distinct from recounted.amount_fen
        or kept.quantity is distinct from recounted.quantity
        or kept.posting_count is distinct from recounted.posting_count
        or kept.digest is distinct from recounted.digest
"""

_PAYABLES_THAT_DIFFER = """
    with recounted as (
        select subject as payment_run, pooling_area, -sum(amount_fen) as open_fen
        from posting join ledger_transaction using (transaction_id, pooling_area)
        where account = 7 group by subject, pooling_area
    )
    select count(*) from payable as kept full join recounted using (payment_run, pooling_area)
    where kept.open_fen is distinct from recounted.open_fen
"""

_COUNTS_THAT_DIFFER = """
    select count(*) from settlement_period as kept
    where transaction_count <> (
        select count(*) from ledger_transaction as held where held.month = kept.month
    )
"""

_CLEARING = """
    select count(*) from (
        select month from posting where account in (8, 9)
        group by month, account having sum(amount_fen) <> 0
    ) as unsettled
"""

_ONE_PERSON = """
    select count(*) from settlement_period
    where approver = proposer or approved_hash <> hash
        or hash <> sha256(convert_to(figures, 'UTF8'))
"""


async def ledger_sum(tx: Transaction) -> int:
    """The sum of all postings."""
    return await _count(tx, "select coalesce(sum(amount_fen), 0) from posting")


async def unbalanced(tx: Transaction) -> int:
    """Transactions that do not sum to zero or lack postings."""
    return await _count(tx, _UNBALANCED)


async def balances_that_differ(tx: Transaction) -> int:
    """Kept totals, counts and payables that a recount does not confirm."""
    questions = (_TOTALS_THAT_DIFFER, _PAYABLES_THAT_DIFFER, _COUNTS_THAT_DIFFER)
    return sum([await _count(tx, question) for question in questions])


async def transfers_that_differ(tx: Transaction) -> int:
    """Months whose equalisation does not sum to zero over the province."""
    return await _count(tx, _CLEARING)


async def approved_by_one_person(tx: Transaction) -> int:
    """Months that one person proposed and approved, or whose hash is not the approved one."""
    return await _count(tx, _ONE_PERSON)


async def _count(tx: Transaction, question: str) -> int:
    return int((await tx.execute(sa.text(question))).scalar_one())
