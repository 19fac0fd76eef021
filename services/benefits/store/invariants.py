"""The SQL of `oip verify`: each function counts rows that break an invariant."""

from __future__ import annotations

import sqlalchemy as sa

from services.benefits.domain.award import WORKER, State
from services.benefits.domain.case import CaseState
from services.benefits.domain.kinds import EXPENSES, PER_PERSON, PERIODIC, BenefitKind
from services.benefits.domain.life import LifeState
from services.benefits.store.payment_runs import PAYMENT_HASH
from services.benefits.store.tables import kind_numbers, month_of, number_of
from services.kernel.periods import Month
from services.runtime.storage.database import Transaction

_VALUES = {
    "expenses": kind_numbers(EXPENSES),
    "per_person": kind_numbers(PER_PERSON),
    "suspended": State.SUSPENDED.value,
    "terminated": State.TERMINATED.value,
    "periodic": kind_numbers(PERIODIC),
    "of_death": kind_numbers({*PER_PERSON, BenefitKind.SURVIVOR_PENSION}),
    "of_worker": WORKER,
    "dead": LifeState.DEAD.value,
    "alive": LifeState.ALIVE.value,
}

_DIFFERING_TOTALS = """
    select count(*) from (
        select run_month, pooling_area, industry, kind, count(*) as n, sum(amount_fen) as s,
            bit_xor({hash}) as digest
        from payment group by 1, 2, 3, 4
    ) rows full join (
        select run_month, pooling_area, industry, kind, sum(payment_count) as n,
            sum(sum_fen) as s, bit_xor(digest) as digest
        from payment_part group by 1, 2, 3, 4
    ) published using (run_month, pooling_area, industry, kind)
    where (rows.n, rows.s, rows.digest)
        is distinct from (published.n, published.s, published.digest)
"""

# Parts of a run that do not name a value on which their payments rest, and payments whose basis of
# law their run does not name.
_WITHOUT_LAW = """
    select (
        select count(*) from payment_part p cross join unnest(p.bases) b (basis)
        left join law_use u on u.act = format('paymentRuns/%s-%s/revisions/%s', p.run_month / 12,
            lpad((p.run_month % 12 + 1)::text, 2, '0'), p.revision)
        where u.act is null or not exists (select from law_basis where id = b.basis)
        or exists (
            select from law_basis_value v where v.basis = b.basis and not exists (
                select from used_value x where x.act = u.act and x.digest = v.digest))
    ) + (
        select count(*) from (select distinct run_month, basis from payment) p
        where not exists (
            select from payment_part q where q.run_month = p.run_month and p.basis = any(q.bases))
    )
"""


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
    """Totals published for runs that differ from their instructions: number, sum, or content."""
    return await _count(tx, _DIFFERING_TOTALS.format(hash=PAYMENT_HASH))


async def count_without_law(tx: Transaction) -> int:
    """Parts and payments of runs that do not name the assumed values on which they rest."""
    return await _count(tx, _WITHOUT_LAW)


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


async def count_differing_suspensions(tx: Transaction) -> int:
    """Monthly awards with a month to pay of which the state does not say if they are suspended."""
    return await _count(
        tx,
        "select count(*) from award a where a.adjusts = ''"
        " and (a.last_month is null or a.last_month >= a.first_month)"
        " and a.state <> :terminated and (a.state = :suspended) <> exists ("
        "  select from suspension s where s.number = a.number and s.resume_month is null)",
    )


async def count_awards_without_case(tx: Transaction) -> int:
    """Awards of claims whose determination this service never received."""
    return await _count(
        tx,
        "select count(*) from award a"
        " where not exists (select from case_facts c where c.claim = a.claim)",
    )


async def list_instructed(tx: Transaction, first_month: Month) -> list[tuple[str, int, int]]:
    """Key, count and sum of the payments instructed, by run and pooling area."""
    rows = await tx.execute(
        sa.text(
            "select run_month, pooling_area, sum(payment_count)::bigint as payment_count,"
            " sum(sum_fen)::bigint as sum_fen from payment_part where run_month >= :first"
            " group by run_month, pooling_area order by run_month, pooling_area"
        ),
        {"first": number_of(first_month)},
    )
    return [
        (
            f"paymentRuns/{month_of(row.run_month)} {row.pooling_area}",
            row.payment_count,
            row.sum_fen,
        )
        for row in rows
    ]


async def list_confirmed(tx: Transaction, first_month: Month) -> list[tuple[str, int, int]]:
    """Month, count and digest of the cases known as confirmed, by the day of determination.

    A claim that ended in another one ended with its determination.
    """
    rows = await tx.execute(
        sa.text(
            "select to_char(determine_date, 'YYYY-MM') as month, count(*) as case_count,"
            " sum(('x' || substr(md5(claim), 1, 15))::bit(60)::bigint) as digest"
            " from case_facts where state = :confirmed and determine_date >= :first"
            # A merged claim ended with its determination.
            " and not exists (select from merger m where m.merged_claim = case_facts.claim)"
            " group by 1 order by 1"
        ),
        {"confirmed": CaseState.CONFIRMED.value, "first": first_month.first_day},
    )
    return [(row.month, row.case_count, int(row.digest)) for row in rows]


async def count_second_sets(tx: Transaction) -> int:
    """Awards of one worker, accident, kind and beneficiary beyond the first.

    Counts also awards that belong to another accident than the claim that granted them.
    """
    return await _count(
        tx,
        "select coalesce((select sum(n - 1) from (select count(*) as n from award"
        " where adjusts = '' and merged_into = '' and not kind = any(:expenses)"
        " group by worker, accident, kind, beneficiary) sets), 0)"
        " + (select count(*) from award a join case_facts c on c.claim = a.claim"
        "  where not a.kind = any(:per_person)"
        "  and (a.worker, a.accident) <> (c.worker, c.accident))",
    )


async def count_second_deaths(tx: Transaction) -> int:
    """Death grants and funeral grants of one person beyond the first."""
    return await _count(
        tx,
        "select coalesce(sum(n - 1), 0) from (select count(*) as n from award"
        " where adjusts = '' and merged_into = '' and kind = any(:per_person)"
        " group by worker, kind) deaths",
    )


async def count_bills_twice(tx: Transaction) -> int:
    """Bills granted again, and expenses without a bill and without days in hospital."""
    return await _count(
        tx,
        "select count(bill_key) - count(distinct bill_key) + count(document_hash)"
        " - count(distinct document_hash) + (select count(*) from award a"
        "  where a.kind = any(:expenses) and a.adjusts = ''"
        "  and not exists (select from bill where award = a.id)"
        "  and not exists (select from hospital_stay where award = a.id))"
        " from bill where not reversed",
    )


async def count_overlapping_stays(tx: Transaction) -> int:
    """Pairs of stays of one worker that share a day."""
    return await _count(
        tx,
        "select count(*) from hospital_stay a join hospital_stay b on b.worker = a.worker"
        " and b.days && a.days and (b.award, b.days) > (a.award, a.days)"
        " and not a.reversed and not b.reversed",
    )


async def count_wrong_reversals(tx: Transaction) -> int:
    """Reversed expenses that still pay, or of which not all that was paid is to be recovered.

    Counts also bills and stays that are marked as reversed without a reversal, or not with one.
    """
    return await _count(
        tx,
        "select (select count(*) from award a left join expense_reversal r on r.award = a.id"
        "  where a.adjusts = '' and (a.reversed <> (r.award is not null) or a.reversed and ("
        "   a.last_month >= a.first_month"
        "   or coalesce((select sum(p.amount_fen + p.withheld_fen) from award paid"
        "     join payment p on p.number = paid.number and p.kind = paid.kind"
        "     where a.id in (paid.id, paid.adjusts)), 0)"
        "    <> coalesce((select sum(amount_fen) from recovery where award = a.id), 0))))"
        " + (select count(*) from (select award, reversed from bill"
        "  union all select award, reversed from hospital_stay) kept"
        "  left join expense_reversal using (award) where reversed <> (code is not null))",
    )


async def count_benefits_against_life(tx: Transaction) -> int:
    """Awards that the last life event of the worker rules out.

    Monthly benefits of a dead worker that run past the month of death, and death benefits of a
    living one. A determination with a death that is newer than the event counts in its place.
    """
    return await _count(
        tx,
        "select count(*) from award a join ("
        "  select distinct on (worker) worker, state, day, record_date from life_event"
        "  order by worker, number desc) l on l.worker = a.worker"
        " where a.adjusts = '' and not exists (select from case_facts c"
        "  where c.worker = a.worker and c.death_date is not null"
        "  and c.determine_date > l.record_date)"
        " and (a.last_month is null or a.last_month >= a.first_month)"
        " and (l.state = :dead and a.beneficiary = :of_worker and a.kind = any(:periodic)"
        "   and (a.last_month is null or a.last_month >"
        "    extract(year from l.day) * 12 + extract(month from l.day) - 1)"
        "  or l.state = :alive and a.kind = any(:of_death))",
    )


async def count_unexplained_life_events(tx: Transaction) -> int:
    """Life events on a claim whose determination this service never received."""
    return await _count(
        tx,
        "select count(*) from life_event e"
        " where not exists (select from case_facts c where c.claim = e.claim)",
    )


async def _count(tx: Transaction, question: str) -> int:
    values = {name: value for name, value in _VALUES.items() if f":{name}" in question}
    return int((await tx.execute(sa.text(question), values)).scalar_one())
