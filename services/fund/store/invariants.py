"""Recounts for `oip verify`: one question per invariant, over all rows."""

from __future__ import annotations

import sqlalchemy as sa

from services.fund.domain.ledger import EQUALISATION_ACCOUNTS, Account
from services.runtime.storage.database import Transaction

_UNBALANCED_TRANSACTIONS = """
    select count(*) from ledger_transaction
    left join (
        select transaction_id, count(*) as line_count, sum(amount_fen) as amount_fen
        from posting group by transaction_id
    ) as line using (transaction_id)
    where coalesce(line_count, 0) <> posting_count or line_count < 2 or amount_fen <> 0
"""

_DIFFERENT_TOTALS = """
    with recounted as (
        select month, pooling_area, account, industry, sum(amount_fen) as amount_fen,
            sum(quantity) as quantity, count(*) as posting_count,
            sum(digest_of(transaction_id, line, account, industry, amount_fen, quantity)) as digest
        from posting group by month, pooling_area, account, industry
    )
    select count(*) from period_total as stored
    full join recounted using (month, pooling_area, account, industry)
    where stored.amount_fen is distinct from recounted.amount_fen
        or stored.quantity is distinct from recounted.quantity
        or stored.posting_count is distinct from recounted.posting_count
        or stored.digest is distinct from recounted.digest
"""

_DIFFERENT_PAYABLES = """
    with recounted as (
        select subject as payment_run, pooling_area, -sum(amount_fen) as open_fen
        from posting join ledger_transaction using (transaction_id, pooling_area)
        where account = :benefits_payable group by subject, pooling_area
    )
    select count(*) from payable as stored full join recounted using (payment_run, pooling_area)
    where stored.open_fen is distinct from recounted.open_fen
"""

_DIFFERENT_COUNTS = """
    select count(*) from settlement_period
    where transaction_count <> (
        select count(*) from ledger_transaction where month = settlement_period.month
    )
"""

_UNBALANCED_MONTHS = """
    select count(*) from (
        select month from posting where account = any(:equalisation_accounts)
        group by month, account having sum(amount_fen) <> 0
    ) as unbalanced
"""

_WRONG_APPROVALS = """
    select count(*) from settlement_period
    where approver = proposer or approved_hash <> hash
        or hash <> sha256(convert_to(figures, 'UTF8'))
"""


async def get_sum_of_postings(tx: Transaction) -> int:
    """The sum of all postings, in fen."""
    return await _count(tx, "select coalesce(sum(amount_fen), 0) from posting")


async def count_unbalanced_transactions(tx: Transaction) -> int:
    """Transactions that do not sum to zero or lack postings."""
    return await _count(tx, _UNBALANCED_TRANSACTIONS)


async def count_different_sums(tx: Transaction) -> int:
    """Stored totals, counts and payables that differ from a recount of the postings."""
    return (
        await _count(tx, _DIFFERENT_TOTALS)
        + await _count(tx, _DIFFERENT_PAYABLES, benefits_payable=Account.BENEFITS_PAYABLE.value)
        + await _count(tx, _DIFFERENT_COUNTS)
    )


async def count_unbalanced_months(tx: Transaction) -> int:
    """Months whose equalisation does not sum to zero over the province."""
    accounts = [account.value for account in EQUALISATION_ACCOUNTS]
    return await _count(tx, _UNBALANCED_MONTHS, equalisation_accounts=accounts)


async def count_wrong_approvals(tx: Transaction) -> int:
    """Months with one person as proposer and approver, or with a hash that is not approved."""
    return await _count(tx, _WRONG_APPROVALS)


async def _count(tx: Transaction, question: str, **values: object) -> int:
    return int((await tx.execute(sa.text(question), values)).scalar_one())
