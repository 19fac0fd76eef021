"""Questions that verify asks: each counts what must not be."""

from __future__ import annotations

import sqlalchemy as sa

from services.runtime.storage.database import Transaction


async def count_unfounded_payments(tx: Transaction) -> int:
    """Instructions without an award, of another kind, or outside what any decision ever allowed."""
    return await _count(
        tx,
        "select count(*) from payment p left join award a on a.number = p.number"
        " where a.number is null or a.kind <> p.kind"
        " or not exists (select from award_rate r where r.number = p.number"
        "  and r.since_month <= p.month and r.amount_fen = p.amount_fen + p.withheld_fen)",
    )


async def count_unlike_totals(tx: Transaction) -> int:
    """Runs whose totals, as told, differ from their instructions."""
    return await _count(
        tx,
        "select count(*) from"
        " (select run_month, pooling_area, industry, kind, count(*) as n, sum(amount_fen) as s"
        "  from payment group by 1, 2, 3, 4) rows full join"
        " (select run_month, pooling_area, industry, kind, sum(payment_count) as n,"
        "  sum(sum_fen) as s from payment_part group by 1, 2, 3, 4) told"
        " using (run_month, pooling_area, industry, kind)"
        " where rows.n is distinct from told.n or rows.s is distinct from told.s",
    )


async def count_missing_payments(tx: Transaction) -> int:
    """Months up to the front that are due, not suspended, and not instructed.

    Awards that changed since the last run are for the next one.
    """
    return await _count(
        tx,
        "select count(*) from award a join payment_front f on true"
        " join award_rate r on r.number = a.number"
        " join generate_series(r.since_month, least(r.until_month - 1, a.last_month, f.month))"
        "  m (month) on true"
        " where r.amount_fen > 0"
        " and not exists (select from catch_up c where c.number = a.number)"
        " and not exists (select from suspension s where s.number = a.number"
        "  and s.first_month <= m.month"
        "  and (s.resume_month is null or m.month < s.resume_month))"
        " and not exists (select from payment p where p.number = a.number and p.kind = a.kind"
        "  and p.month = m.month)",
    )


async def count_overlapping_rates(tx: Transaction) -> int:
    """Pairs of rates of one award that hold in the same month."""
    return await _count(
        tx,
        "select count(*) from award_rate a join award_rate b on b.number = a.number"
        " and b.sequence > a.sequence"
        " and int4range(a.since_month, a.until_month) && int4range(b.since_month, b.until_month)",
    )


async def _count(tx: Transaction, question: str) -> int:
    return int((await tx.execute(sa.text(question))).scalar_one())
