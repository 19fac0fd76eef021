"""Recounts for `oip verify`: one question per invariant, over all rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from services.fund.domain.ledger import EQUALISATION_ACCOUNTS, Account, TransactionKind
from services.fund.domain.producers import PRODUCERS
from services.fund.domain.settlement import State
from services.kernel.law import Tag
from services.kernel.periods import Month
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

_WRONG_REVERSALS = """
    select count(*) from disbursement_reversal join disbursement using (disbursement_id)
    left join ledger_transaction as mirror
        on mirror.source = 'disbursements/' || disbursement_id and mirror.kind = :reversed
    where coalesce((select sum(amount_fen) from posting
            where transaction_id = mirror.transaction_id and account = :payable), 0)
        <> -disbursement.amount_fen
"""

_UNBALANCED_MONTHS = """
    select count(*) from (
        select month from posting where account = any(:equalisation_accounts)
        group by month, account having sum(amount_fen) <> 0
    ) as unbalanced
"""

_WRONG_APPROVALS = """
    select count(*) from settlement_period
    where approver = proposer or approver_member = proposer_member or approved_hash <> hash
        or hash <> sha256(convert_to(figures, 'UTF8'))
"""


_WITHOUT_PRODUCERS = """
    select count(*) from settlement_period where state <> :open and :producer_count <> (
        select count(*) from producer_month
        where producer_month.month = greatest(settlement_period.month, (
                select min(month) from producer_month as earlier
                where earlier.producer = producer_month.producer))
            and position(
                'ended ' || producer || ' ' || epoch || ' ' || pub_seq || ' '
                || encode(fingerprint, 'hex') || chr(10) in settlement_period.figures) > 0
    )
"""


# A closed month that names no values, lacks one of its findings, or names one that its approved
# text does not have.
_WITHOUT_LAW = """
    select count(*) from settlement_period s
    left join law_use l on l.act = 'settlementPeriods/' || to_char(s.month, 'YYYY-MM')
    where s.state = :closed and (l.act is null or exists (
        select from jsonb_array_elements(s.findings) f (finding)
        cross join jsonb_array_elements(f.finding -> 'parameters') p (version)
        where p.version ->> 'tag' = :assumed and not exists (
            select from used_value u where u.act = l.act and u.parameter = p.version ->> 'name'
                and u.value = p.version ->> 'value')
    ) or exists (
        select from used_value u where u.act = l.act and position(
            format('parameter %s %s %s %s', u.parameter, u.since, u.jurisdiction,
                replace(u.value, ' ', '_')) || chr(10) in s.figures) = 0
    ))
"""


async def count_without_law(tx: Transaction) -> int:
    """Closed months that do not name the assumed values with which they were equalised."""
    return await _count(tx, _WITHOUT_LAW, closed=State.CLOSED.value, assumed=Tag.ASSUMED.value)


async def count_without_producers(tx: Transaction) -> int:
    """Proposed or closed months whose text lacks the end of a producer's month."""
    return await _count(
        tx, _WITHOUT_PRODUCERS, open=State.OPEN.value, producer_count=len(PRODUCERS)
    )


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


async def count_wrong_reversals(tx: Transaction) -> int:
    """Reversed disbursements without the mirror of their posting."""
    return await _count(
        tx,
        _WRONG_REVERSALS,
        reversed=TransactionKind.DISBURSEMENT_REVERSED.value,
        payable=Account.BENEFITS_PAYABLE.value,
    )


async def count_wrong_approvals(tx: Transaction) -> int:
    """Months with one person as proposer and approver, or with a hash that is not approved."""
    return await _count(tx, _WRONG_APPROVALS)


async def _count(tx: Transaction, question: str, **values: object) -> int:
    return int((await tx.execute(sa.text(question), values)).scalar_one())


_BOOKED = """
    select {key} as subject, t.pooling_area, count(distinct t.transaction_id) as entry_count,
        coalesce(sum(p.quantity), 0)::bigint as quantity,
        coalesce(sum(p.amount_fen), 0)::bigint as amount_fen
    from ledger_transaction t left join posting p
        on p.transaction_id = t.transaction_id and p.account = :account
    where t.kind = :kind and t.accounting_date >= :first
    group by 1, 2 order by 1, 2
"""


async def list_instructed(tx: Transaction, first_month: Month) -> list[tuple[str, int, int]]:
    """Key, count and sum of the benefits booked, by run and pooling area."""
    kind, account = TransactionKind.BENEFITS_INSTRUCTED, Account.BENEFIT_EXPENSE
    rows = await _booked(tx, "t.subject", kind, account, first_month)
    return [(f"{row.subject} {row.pooling_area}", row.quantity, row.amount_fen) for row in rows]


async def list_received(tx: Transaction, first_month: Month) -> list[tuple[str, int, int]]:
    """Key, count and sum of the premiums booked as received, by month and pooling area."""
    month = "to_char(t.accounting_date, 'YYYY-MM')"
    kind, account = TransactionKind.PREMIUM_RECEIVED, Account.FISCAL_SPECIAL_ACCOUNT
    rows = await _booked(tx, month, kind, account, first_month)
    return [(f"{row.subject} {row.pooling_area}", row.entry_count, row.amount_fen) for row in rows]


async def _booked(
    tx: Transaction, key: str, kind: TransactionKind, account: Account, first_month: Month
) -> Sequence[sa.Row[Any]]:
    values = {"account": account.value, "kind": kind.value, "first": first_month.first_day}
    return (await tx.execute(sa.text(_BOOKED.format(key=key)), values)).all()
