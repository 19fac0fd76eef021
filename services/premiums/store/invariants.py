"""The rows of premiums that break an invariant, counted from the rows."""

from __future__ import annotations

import sqlalchemy as sa

from services.kernel.law import Tag
from services.kernel.periods import Month
from services.premiums.domain.bills import BillState
from services.premiums.domain.lines import LineKind
from services.runtime.storage.database import Transaction

_NUMBERS = {
    "orders": LineKind.ORDERS.value,
    "estimate": LineKind.ESTIMATE.value,
    "paid": BillState.PAID.value,
    "assumed": Tag.ASSUMED.value,
}

TALLIES_NOT_IN_LINES = """
    select count(*) from (
        select platform, pooling_area, industry, bill_month as month,
               date_trunc('month', service_date)::date as service_month,
               sum(order_count) as tallied
        from accrual
        where bill_month <= (select latest_month from assessment_head)
        group by 1, 2, 3, 4, 5
    ) a full join (
        select platform, pooling_area, industry, month, service_month,
               sum(order_count) as billed
        from line where kind = :orders group by 1, 2, 3, 4, 5
    ) l using (platform, pooling_area, industry, month, service_month)
    where coalesce(a.tallied, 0) <> coalesce(l.billed, 0)
"""
WRONG_LINES = """
    select count(*) from line
    where kind = :orders
      and premium_fen <> round(order_count * base * band * (1 + markup) * 100)
"""
WRONG_BILLS = """
    select count(*) from bill b full join (
        select platform, month, sum(premium_fen) as lines_fen from line group by 1, 2
    ) l using (platform, month)
    where b.premium_fen is distinct from l.lines_fen
"""
WRONG_ASSESSMENTS = """
    select count(*) from assessment a
    where a.premium_fen <> (
        select coalesce(sum(premium_fen), 0) from line
        where line.month = a.month and line.kind <> :estimate
    )
"""
WRONG_RECEIPTS = """
    select count(*) from receipt r left join (
        select receipt as id, sum(premium_fen) as premium_fen,
               sum(surcharge_fen) as surcharge_fen, sum(credit_fen) as credit_fen
        from receipt_part group by receipt
    ) p using (id)
    where r.premium_fen <> coalesce(p.premium_fen, 0)
       or r.surcharge_fen <> coalesce(p.surcharge_fen, 0)
       or r.credit_fen <> coalesce(p.credit_fen, 0)
"""
WRONGLY_PAID_BILLS = """
    select count(*) from bill b join (
        select platform, month, sum(premium_fen) as paid_fen from receipt group by 1, 2
    ) r using (platform, month)
    where (b.premium_fen > 0 and r.paid_fen > b.premium_fen)
       or (b.state = :paid and r.paid_fen <> b.premium_fen)
"""
OVERDRAWN_PLATFORMS = """
    select count(*) from (
        select platform from receipt group by platform having sum(credit_fen) < 0
    ) overdrawn
"""

BANK_PAYMENTS_TWICE = """
    select coalesce(sum(n - 1), 0) from (
        select count(*) as n from receipt where account_key is not null
        group by account_key, receipt_date, number_key, amount_fen, occurrence, attempt
    ) payments
"""

WRONG_REVERSALS = """
    select count(*) from receipt mirror join receipt original on original.id = mirror.reverses
    where (original.platform, original.month, original.receipt_date, original.amount_fen,
            original.premium_fen, original.surcharge_fen, original.credit_fen)
        is distinct from (mirror.platform, mirror.month, mirror.receipt_date, -mirror.amount_fen,
            -mirror.premium_fen, -mirror.surcharge_fen, -mirror.credit_fen)
        or original.reverses is not null
        or exists (select from receipt_part p left join receipt_part m
            on m.receipt = mirror.id and m.pooling_area = p.pooling_area
            where p.receipt = original.id and (p.premium_fen, p.surcharge_fen, p.credit_fen)
                is distinct from (-m.premium_fen, -m.surcharge_fen, -m.credit_fen))
"""

# Assessments and estimates that name no values, and lines whose findings used others.
LAW_NOT_NAMED = """
    select (
        select count(*) from assessment a where not exists (
            select from law_use where act = 'assessments/' || to_char(a.month, 'YYYY-MM'))
    ) + (
        select count(*) from (
            select distinct platform, month from line where kind = :estimate
        ) e where not exists (
            select from law_use where act = format(
                'platforms/%s/premiumBills/%s', e.platform, to_char(e.month, 'YYYY-MM')))
    ) + (
        select count(*) from line l
        cross join jsonb_array_elements(l.findings) f (finding)
        cross join jsonb_array_elements(f.finding -> 'parameters') p (version)
        where l.kind = :orders and p.version ->> 'tag' = :assumed and not exists (
            select from used_value u
            where u.act = 'assessments/' || to_char(l.month, 'YYYY-MM')
              and u.parameter = p.version ->> 'name'
              and u.since = cast(p.version ->> 'since' as date)
              and u.jurisdiction = p.version ->> 'in'
              and u.value = p.version ->> 'value')
    )
"""


async def count(tx: Transaction, question: str) -> int:
    """The number of rows that one of the questions above counts."""
    return int((await tx.execute(sa.text(question), _NUMBERS)).scalar_one())


_RECEIVED = """
    select to_char(receipt_date, 'YYYY-MM') as month, pooling_area, count(*) as part_count,
        sum(p.premium_fen + p.surcharge_fen + p.credit_fen)::bigint as received_fen
    from receipt_part p join receipt r on r.id = p.receipt
    where receipt_date >= :first and (p.premium_fen, p.surcharge_fen, p.credit_fen) <> (0, 0, 0)
    group by 1, 2 order by 1, 2
"""


async def list_received(tx: Transaction, first_month: Month) -> list[tuple[str, int, int]]:
    """Key, count and sum of the parts of receipts, by month of receipt and pooling area."""
    rows = await tx.execute(sa.text(_RECEIVED), {"first": first_month.first_day})
    return [(f"{row.month} {row.pooling_area}", row.part_count, row.received_fen) for row in rows]
