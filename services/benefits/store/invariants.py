"""The SQL of `oip verify`: each function counts rows that break an invariant."""

from __future__ import annotations

import sqlalchemy as sa

from services.runtime.storage.database import Transaction


async def count_unfounded_payments(tx: Transaction) -> int:
    """Instructions without an award, of another kind, or without a rate decided for their month."""
    return await _count(
        tx,
        "select count(*) from payment p left join award a on a.number = p.number"
        " where a.number is null or a.kind <> p.kind"
        " or not exists (select from award_rate r where r.number = p.number"
        "  and r.since_month <= p.month and r.amount_fen = p.amount_fen + p.withheld_fen)",
    )


async def count_differing_totals(tx: Transaction) -> int:
    """Totals published for runs that differ from the sums of their instructions."""
    return await _count(
        tx,
        "select count(*) from"
        " (select run_month, pooling_area, industry, kind, count(*) as n, sum(amount_fen) as s"
        "  from payment group by 1, 2, 3, 4) rows full join"
        " (select run_month, pooling_area, industry, kind, sum(payment_count) as n,"
        "  sum(sum_fen) as s from payment_part group by 1, 2, 3, 4) published"
        " using (run_month, pooling_area, industry, kind)"
        " where rows.n is distinct from published.n or rows.s is distinct from published.s",
    )


async def count_missing_payments(tx: Transaction) -> int:
    """Months up to the last run that are due, not suspended, and not instructed.

    Awards that changed since the last run are left to the next run.
    """
    return await _count(
        tx,
        "select count(*) from award a join last_run l on true"
        " join award_rate r on r.number = a.number"
        " join generate_series(r.since_month, least(r.until_month - 1, a.last_month, l.month))"
        "  m (month) on true"
        " where r.amount_fen > 0"
        " and not exists (select from award_to_backfill b where b.number = a.number)"
        " and not exists (select from suspension s where s.number = a.number"
        "  and s.first_month <= m.month"
        "  and (s.resume_month is null or m.month < s.resume_month))"
        " and not exists (select from payment p where p.number = a.number and p.kind = a.kind"
        "  and p.month = m.month)",
    )


async def count_overlapping_rates(tx: Transaction) -> int:
    """Pairs of rates of one award that are in force in the same month."""
    return await _count(
        tx,
        "select count(*) from award_rate a join award_rate b on b.number = a.number"
        " and b.sequence > a.sequence"
        " and int4range(a.since_month, a.until_month) && int4range(b.since_month, b.until_month)",
    )


async def _count(tx: Transaction, question: str) -> int:
    return int((await tx.execute(sa.text(question))).scalar_one())
