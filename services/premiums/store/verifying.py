"""What must hold among the rows of premiums, counted from the rows."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from services.premiums.domain.assessing import LineKind
from services.runtime.storage.database import Transaction

# Each counts what should not exist.
BREACHES: Mapping[tuple[str, str], str] = {
    ("I2-premiums", "every tally of an assessed month is in a line, and no line has others"): """
        select count(*) from (
            select platform, pooling_area, industry, bill_month as month,
                   date_trunc('month', service_date)::date as service_month,
                   sum(order_count) as held
            from accrual
            where bill_month <= (select latest_month from assessment_head)
            group by 1, 2, 3, 4, 5
        ) a full join (
            select platform, pooling_area, industry, month, service_month,
                   sum(order_count) as billed
            from line where kind = {orders} group by 1, 2, 3, 4, 5
        ) l using (platform, pooling_area, industry, month, service_month)
        where coalesce(a.held, 0) <> coalesce(l.billed, 0)
    """,
    ("I7-premiums", "every line is its orders times its rate, rounded half up once"): """
        select count(*) from line
        where kind = {orders}
          and premium_fen <> round(order_count * base * band * (1 + markup) * 100)
    """,
    ("I7-premiums", "every bill is the sum of its lines, and no line is without a bill"): """
        select count(*) from bill b full join (
            select platform, month, sum(premium_fen) as lines_fen from line group by 1, 2
        ) l using (platform, month)
        where b.premium_fen is distinct from l.lines_fen
    """,
    ("I7-premiums", "every month assessed is the sum of its lines"): """
        select count(*) from assessment a
        where a.premium_fen <> (
            select coalesce(sum(premium_fen), 0) from line
            where line.month = a.month and line.kind <> {estimate}
        )
    """,
    ("I7-premiums", "the parts of every receipt sum to it"): """
        select count(*) from receipt r left join (
            select receipt as id, sum(premium_fen) as premium_fen,
                   sum(surcharge_fen) as surcharge_fen, sum(credit_fen) as credit_fen
            from receipt_part group by receipt
        ) p using (id)
        where r.premium_fen <> coalesce(p.premium_fen, 0)
           or r.surcharge_fen <> coalesce(p.surcharge_fen, 0)
           or r.credit_fen <> coalesce(p.credit_fen, 0)
    """,
    ("I7-premiums", "no bill is paid beyond its premium, and a settled one is paid in full"): """
        select count(*) from bill b join (
            select platform, month, sum(premium_fen) as paid_fen from receipt group by 1, 2
        ) r using (platform, month)
        where (b.premium_fen > 0 and r.paid_fen > b.premium_fen)
           or (b.state = 2 and r.paid_fen <> b.premium_fen)
    """,
    ("I7-premiums", "no platform has used more credit than it had"): """
        select count(*) from (
            select platform from receipt group by platform having sum(credit_fen) < 0
        ) overdrawn
    """,
}


async def breaches(tx: Transaction) -> list[tuple[str, str, int]]:
    """Each invariant with its sentence and the number of rows that break it."""
    numbers = {"orders": LineKind.ORDERS.value, "estimate": LineKind.ESTIMATE.value}
    return [
        (name, sentence, int((await tx.execute(sa.text(query.format(**numbers)))).scalar_one()))
        for (name, sentence), query in BREACHES.items()
    ]
