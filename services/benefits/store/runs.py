"""The month's run: one statement from awards to instructions and their totals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from services.benefits.domain.model import BenefitKind
from services.benefits.domain.payments import Part
from services.benefits.store.tables import (
    awards,
    front,
    month_of,
    month_or_none,
    number_of,
    parts,
    payments,
)
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.runtime.storage.database import Transaction

# Only the longest run of a province takes longer than this.
RUN_SECONDS = 590
# Decisions wait for a run under way, and a run for another one.
WAIT_SECONDS = 30


@dataclass(frozen=True)
class Run:
    """All that was instructed for a month."""

    month: Month
    parts: tuple[Part, ...]
    update_time: datetime | None

    @property
    def name(self) -> str:
        """The resource name."""
        return f"paymentRuns/{self.month}"


@dataclass(frozen=True)
class Instruction:
    """A payment instruction as it is listed."""

    number: int
    award: str
    kind: BenefitKind
    month: Month
    run_month: Month
    amount: Fen
    withheld: Fen

    @property
    def key(self) -> tuple[int, int]:
        """What a page token carries."""
        return self.number, number_of(self.month)


@dataclass(frozen=True)
class Debt:
    """One award of a person who has money to give back: the sum, and the most of a payment."""

    number: int
    person: int
    owed: Fen
    cap: Decimal


# Rates carry all that an instruction needs, so the run reads one table. Months after the front come
# for every award, months up to it only for awards that changed. What is instructed already is found
# by the key, not by a state. The totals are of the rows inserted.
_DUE = """
    select r.number, r.kind, m.month, r.amount_fen, r.pooling_area, r.industry
    from unnest(cast(:months as integer[])) m (month)
    join award_rate r on r.since_month <= m.month
        and (r.until_month is null or m.month < r.until_month)
    where r.amount_fen > 0 and not exists (
        select from suspension s where s.number = r.number and s.first_month <= m.month
        and (s.resume_month is null or m.month < s.resume_month))
    union all
    select r.number, r.kind, m.month, r.amount_fen, r.pooling_area, r.industry
    from catch_up c
    join award_rate r on r.number = c.number
    join generate_series(r.since_month, least(r.until_month - 1, cast(:before as integer)))
        m (month) on true
    where r.amount_fen > 0 and not exists (
        select from suspension s where s.number = r.number and s.first_month <= m.month
        and (s.resume_month is null or m.month < s.resume_month))
"""
_WHOLE = """
    select number, kind, month, amount_fen, 0::bigint as withheld_fen, pooling_area, industry
    from due
"""
_SPLIT = """
    select d.number, d.kind, d.month, d.amount_fen, 0::bigint as withheld_fen,
        d.pooling_area, d.industry
    from due d where not exists (select from debt where debt.number = d.number)
    union all
    select number, kind, month, amount_fen - withheld_fen, withheld_fen, pooling_area, industry
    from (
        select o.*, least(o.most, greatest(0, o.owed - coalesce(sum(o.most) over (
            partition by o.person order by o.month, o.award
            rows between unbounded preceding and 1 preceding), 0)))::bigint as withheld_fen
        from (
            select d.*, debt.person, debt.owed, w.award,
                floor(d.amount_fen * debt.cap)::bigint as most
            from due d join debt on debt.number = d.number join award w on w.number = d.number
            where not exists (select from payment p
                where p.number = d.number and p.kind = d.kind and p.month = d.month)
        ) o
    ) split
"""
_DEBT = """
    debt as (
        select * from unnest(cast(:numbers as bigint[]), cast(:persons as integer[]),
            cast(:owed as bigint[]), cast(:caps as numeric[])) d (number, person, owed, cap)),
"""
_RUN = """
with due as ({due}), {debt}
inserted as (
    insert into payment (number, kind, month, run_month, amount_fen, withheld_fen,
        pooling_area, industry)
    select number, kind, month, :run, amount_fen, withheld_fen, pooling_area, industry
    from ({split}) chosen
    on conflict do nothing
    returning pooling_area, industry, kind, amount_fen
)
insert into payment_part (run_month, revision, pooling_area, industry, kind, payment_count,
    sum_fen, create_time)
select :run, :revision, pooling_area, industry, kind, count(*), sum(amount_fen), :now
from inserted group by pooling_area, industry, kind
returning pooling_area, industry, kind, payment_count, sum_fen
"""


async def share_front(tx: Transaction) -> None:
    """Keep runs away until a decision about awards is committed."""
    await _wait(tx)
    await tx.execute(sa.select(front.c.month).with_for_update(read=True))


async def lock_front(tx: Transaction) -> Month | None:
    """Let one run go on at a time, and no decision beside it; the latest month instructed."""
    await _wait(tx)
    await tx.execute(
        sa.text(
            "select set_config(name, :limit, true) from pg_settings"
            " where name in ('statement_timeout', 'transaction_timeout')"
        ),
        {"limit": f"{RUN_SECONDS}s"},
    )
    month = (await tx.execute(sa.select(front.c.month).with_for_update())).scalar_one()
    return month_or_none(month or None)


async def insert_payments(
    tx: Transaction,
    month: Month,
    latest: Month | None,
    debts: Sequence[Debt],
    now: datetime,
) -> tuple[int, list[Part]]:
    """Instruct all payments due up to a month and not instructed yet; the revision and its totals.

    `latest` is the latest month instructed before.
    """
    run = number_of(month)
    # Without a run before, every award with something to pay is among those to catch up.
    months = list(range(number_of(latest) + 1, run + 1)) if latest else []
    revision = await _revision(tx, run) + 1
    text = _RUN.format(due=_DUE, debt=_DEBT if debts else "", split=_SPLIT if debts else _WHOLE)
    given = {
        "months": months,
        "before": min(run, number_of(latest)) if latest else run,
        "run": run,
        "revision": revision,
        "now": now,
    }
    if debts:
        given |= {
            "numbers": [one.number for one in debts],
            "persons": [one.person for one in debts],
            "owed": [one.owed.count for one in debts],
            "caps": [one.cap for one in debts],
        }
    rows = (await tx.execute(sa.text(text), given)).all()
    if latest is None or run >= number_of(latest):
        await tx.execute(sa.text("delete from catch_up"))
        await tx.execute(sa.update(front).values(month=run))
    return revision, _parts(rows)


async def get_run(tx: Transaction, month: Month) -> Run:
    """All that was instructed for a month; without parts if nothing was."""
    statement = (
        sa.select(
            parts.c.pooling_area,
            parts.c.industry,
            parts.c.kind,
            sa.func.sum(parts.c.payment_count).label("payment_count"),
            sa.func.sum(parts.c.sum_fen).label("sum_fen"),
            sa.func.max(parts.c.create_time).label("update_time"),
        )
        .where(parts.c.run_month == number_of(month))
        .group_by(parts.c.pooling_area, parts.c.industry, parts.c.kind)
    )
    rows = (await tx.execute(statement)).all()
    latest = max((row.update_time for row in rows), default=None)
    return Run(month, tuple(_parts(rows)), latest)


async def list_instructions(
    tx: Transaction, run_month: Month | None, award: str, after: Sequence[str], size: int
) -> list[Instruction]:
    """Instructions by award and month; of one run, of one award, or all."""
    key = sa.tuple_(payments.c.number, payments.c.month)
    statement = (
        sa.select(payments, awards.c.award)
        .join(awards, awards.c.number == payments.c.number)
        .order_by(payments.c.number, payments.c.month)
        .limit(size)
    )
    if run_month is not None:
        statement = statement.where(payments.c.run_month == number_of(run_month))
    if award:
        statement = statement.where(awards.c.award == award)
    if after:
        statement = statement.where(key > sa.tuple_(*(sa.literal(int(one)) for one in after)))
    return [
        Instruction(
            row.number,
            row.award,
            BenefitKind(row.kind),
            month_of(row.month),
            month_of(row.run_month),
            Fen(row.amount_fen),
            Fen(row.withheld_fen),
        )
        for row in await tx.execute(statement)
    ]


async def open_debts(tx: Transaction) -> list[tuple[int, int, str, Fen]]:
    """The awards of people who have money to give back: number, person, pooling area, sum open."""
    rows = await tx.execute(
        sa.text(
            "with marked as (select claim, beneficiary, sum(amount_fen) as marked"
            "  from recovery group by claim, beneficiary),"
            " open as (select m.claim, m.beneficiary, row_number() over"
            "   (order by m.claim, m.beneficiary) as person,"
            "   m.marked - coalesce((select sum(p.withheld_fen) from award a"
            "    join payment p on p.number = a.number and p.kind = a.kind"
            "    where a.claim = m.claim and a.beneficiary = m.beneficiary), 0) as owed"
            "  from marked m)"
            " select a.number, o.person, a.pooling_area, o.owed from open o"
            " join award a on a.claim = o.claim and a.beneficiary = o.beneficiary"
            " where o.owed > 0 order by a.number"
        )
    )
    return [
        (int(row.number), int(row.person), row.pooling_area, Fen(int(row.owed))) for row in rows
    ]


async def _wait(tx: Transaction) -> None:
    await tx.execute(
        sa.text("select set_config('lock_timeout', :limit, true)"), {"limit": f"{WAIT_SECONDS}s"}
    )


async def _revision(tx: Transaction, run: int) -> int:
    statement = sa.select(sa.func.max(parts.c.revision)).where(parts.c.run_month == run)
    return int((await tx.execute(statement)).scalar_one() or 0)


def _parts(rows: Iterable[Any]) -> list[Part]:
    found = [
        Part(
            row.pooling_area,
            row.industry,
            BenefitKind(row.kind),
            int(row.payment_count),
            Fen(int(row.sum_fen)),
        )
        for row in rows
    ]
    return sorted(found, key=lambda one: (one.pooling_area, one.industry, one.kind.value))
