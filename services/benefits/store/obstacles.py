"""What keeps a worker from being erased: money that is still to be paid or to be given back."""

from __future__ import annotations

import sqlalchemy as sa

from services.runtime.storage.database import Transaction

# A month of an award that is due and not instructed, now or later. A suspension that has ended
# leaves its months unpaid; one that is open may end.
_IN_PAYMENT = """
    select a.id from award a
    cross join last_run l
    join award_rate r on r.number = a.number
    where a.worker = :worker and r.amount_fen > 0 and exists (
        select from generate_series(
            r.since_month, coalesce(r.until_month - 1, greatest(l.month, r.since_month) + 1)
        ) m (month)
        where not exists (
            select from payment p
            where p.number = a.number and p.kind = a.kind and p.month = m.month)
        and not exists (
            select from suspension s
            where s.number = a.number and s.first_month <= m.month and m.month < s.resume_month))
    order by a.number limit 1
"""
_OWED = """
    select min(r.id) as id from recovery r join award a on a.id = r.award
    where a.worker = :worker
    group by a.worker, a.accident, a.beneficiary
    having sum(r.amount_fen) > coalesce((
        select sum(p.withheld_fen) from award w
        join payment p on p.number = w.number and p.kind = w.kind
        where w.worker = a.worker and w.accident = a.accident
            and w.beneficiary = a.beneficiary), 0)
    order by 1 limit 1
"""


async def find_award_in_payment(tx: Transaction, worker: str) -> str | None:
    """The id of an award of a worker with a month that is due and not instructed yet."""
    return await _find(tx, _IN_PAYMENT, worker)


async def find_open_recovery(tx: Transaction, worker: str) -> str | None:
    """The id of a recovery of which a part is still to be given back."""
    return await _find(tx, _OWED, worker)


async def _find(tx: Transaction, statement: str, worker: str) -> str | None:
    found: str | None = (
        await tx.execute(sa.text(statement), {"worker": worker})
    ).scalar_one_or_none()
    return found
