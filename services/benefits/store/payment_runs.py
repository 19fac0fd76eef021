"""Payment runs: one statement from awards to instructions and their totals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.payments import Part
from services.benefits.store.tables import (
    awards,
    last_run,
    month_of,
    month_or_none,
    number_of,
    parts,
    payments,
)
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.runtime.storage.database import Transaction

# A run that takes longer is cancelled.
RUN_SECONDS = 590
# How long decisions wait for a run, and a run for another run.
WAIT_SECONDS = 30


@dataclass(frozen=True)
class Run:
    """All instructions of a month, in totals."""

    month: Month
    parts: tuple[Part, ...]
    update_time: datetime | None

    @property
    def name(self) -> str:
        """The resource name."""
        return f"paymentRuns/{self.month}"


@dataclass(frozen=True)
class Added:
    """What a run added to its month: the revision, its totals, and the bases of law it rests on."""

    revision: int
    parts: tuple[Part, ...]
    bases: frozenset[int]


@dataclass(frozen=True)
class RunTotal:
    """A run as lists show it."""

    month: Month
    payment_count: int
    amount: Fen
    update_time: datetime

    @property
    def name(self) -> str:
        """The resource name."""
        return f"paymentRuns/{self.month}"


@dataclass(frozen=True)
class Instruction:
    """A payment instruction as lists show it."""

    number: int
    award: str
    kind: BenefitKind
    month: Month
    run_month: Month
    amount: Fen
    withheld: Fen

    @property
    def key(self) -> tuple[int, Month]:
        """The key of the list of instructions."""
        return self.number, self.month


@dataclass(frozen=True)
class Debt:
    """One award of a person who has money to give back.

    `owed` is what the person owes in all, in fen; `cap` is the largest share of a payment that may
    be withheld.
    """

    number: int
    person: int
    owed: Fen
    cap: Decimal


# The hash of an instruction: which award, for which month, how much, and how much was withheld.
PAYMENT_HASH = (
    "hashint8extended(number, hashint8extended(month, hashint8extended(amount_fen,"
    " hashint8extended(withheld_fen, 0))))"
)
# Rates carry all columns of an instruction, so the run reads one table. Months after the last run
# are checked for every award, months up to it only for awards that changed. What is instructed
# already is read from the payments, not from a state, and their key refuses a second one: `on
# conflict` would cost a run a third of its time. The totals are those of the rows inserted.
_DUE = """
    select r.number, r.kind, m.month, r.amount_fen, r.pooling_area, r.industry, r.basis
    from unnest(cast(:months as integer[])) m (month)
    join award_rate r on r.since_month <= m.month
        and (r.until_month is null or m.month < r.until_month)
    where r.amount_fen > 0 and not exists (
        select from suspension s where s.number = r.number and s.first_month <= m.month
        and (s.resume_month is null or m.month < s.resume_month))
    union all
    select r.number, r.kind, m.month, r.amount_fen, r.pooling_area, r.industry, r.basis
    from award_to_backfill c
    join award_rate r on r.number = c.number
    join generate_series(r.since_month, least(r.until_month - 1, cast(:before as integer)))
        m (month) on true
    where r.amount_fen > 0 and not exists (
        select from suspension s where s.number = r.number and s.first_month <= m.month
        and (s.resume_month is null or m.month < s.resume_month))
    and not exists (
        select from payment p
        where p.number = r.number and p.kind = r.kind and p.month = m.month)
"""
_WHOLE = """
    select number, kind, month, amount_fen, 0::bigint as withheld_fen, pooling_area, industry,
        basis
    from due
"""
_SPLIT = """
    select d.number, d.kind, d.month, d.amount_fen, 0::bigint as withheld_fen,
        d.pooling_area, d.industry, d.basis
    from due d where not exists (select from debt where debt.number = d.number)
    union all
    select number, kind, month, amount_fen - withheld_fen, withheld_fen, pooling_area, industry,
        basis
    from (
        select o.*, least(o.most, greatest(0, o.owed - coalesce(sum(o.most) over (
            partition by o.person order by o.month, o.id
            rows between unbounded preceding and 1 preceding), 0)))::bigint as withheld_fen
        from (
            select d.*, debt.person, debt.owed, w.id,
                floor(d.amount_fen * debt.cap)::bigint as most
            from due d join debt on debt.number = d.number join award w on w.number = d.number
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
        pooling_area, industry, basis)
    select number, kind, month, :run, amount_fen, withheld_fen, pooling_area, industry, basis
    from ({split}) chosen
    returning pooling_area, industry, kind, basis, amount_fen, {hash} as hash
), by_basis as (
    select pooling_area, industry, kind, basis, count(*) as payment_count,
        sum(amount_fen) as sum_fen, bit_xor(hash) as digest
    from inserted group by pooling_area, industry, kind, basis
)
insert into payment_part (run_month, revision, pooling_area, industry, kind, payment_count,
    sum_fen, digest, bases, create_time)
select :run, :revision, pooling_area, industry, kind, sum(payment_count), sum(sum_fen),
    bit_xor(digest), array_agg(basis order by basis), :now
from by_basis group by pooling_area, industry, kind
returning pooling_area, industry, kind, payment_count, sum_fen, digest, bases
"""
_KNOWN_DIGEST = """
select coalesce(sum(payment_count), 0)::bigint, coalesce(sum(sum_fen), 0)::bigint,
    coalesce(bit_xor(digest), 0)
    # (select coalesce(bit_xor({hash}), 0) from payment
        where number > :newest and run_month = :run)
from payment_part where run_month = :run and revision = :revision
"""
_OF_NEW_AWARDS = """
select award.id, payment.kind, payment.month, payment.amount_fen, payment.withheld_fen
from payment join award using (number)
where number > :newest and run_month = :run order by id, kind, month
"""


async def lock_for_decision(tx: Transaction) -> None:
    """Keep runs out until a decision about awards is committed."""
    await _wait(tx)
    await tx.execute(sa.select(last_run.c.month).with_for_update(read=True))


async def find_latest_month(tx: Transaction) -> Month | None:
    """The month of the latest run; None before the first."""
    return month_or_none((await tx.execute(sa.select(last_run.c.month))).scalar_one() or None)


async def lock_for_run(tx: Transaction) -> Month | None:
    """Keep other runs and all decisions out; the latest month instructed, None before the first."""
    await _wait(tx)
    await tx.execute(
        sa.text(
            "select set_config(name, :limit, true) from pg_settings"
            " where name in ('statement_timeout', 'transaction_timeout')"
        ),
        {"limit": f"{RUN_SECONDS}s"},
    )
    month = (await tx.execute(sa.select(last_run.c.month).with_for_update())).scalar_one()
    return month_or_none(month or None)


async def insert(
    tx: Transaction,
    month: Month,
    last_month: Month | None,
    debts: Sequence[Debt],
    now: datetime,
) -> Added:
    """Instruct all payments due up to a month and not instructed yet.

    `last_month` is the month of the last run, None before the first.
    """
    run = number_of(month)
    # Before the first run every award is among those to backfill.
    months = list(range(number_of(last_month) + 1, run + 1)) if last_month else []
    revision = await _revision(tx, run) + 1
    text = _RUN.format(
        due=_DUE, debt=_DEBT if debts else "", split=_SPLIT if debts else _WHOLE, hash=PAYMENT_HASH
    )
    values = {
        "months": months,
        "before": min(run, number_of(last_month)) if last_month else run,
        "run": run,
        "revision": revision,
        "now": now,
    }
    if debts:
        values |= {
            "numbers": [debt.number for debt in debts],
            "persons": [debt.person for debt in debts],
            "owed": [debt.owed.count for debt in debts],
            "caps": [debt.cap for debt in debts],
        }
    rows = (await tx.execute(sa.text(text), values)).all()
    if last_month is None or run >= number_of(last_month):
        await tx.execute(sa.text("delete from award_to_backfill"))
        await tx.execute(sa.update(last_run).values(month=run))
    bases = frozenset(basis for row in rows for basis in row.bases)
    return Added(revision, tuple(_parts(rows)), bases)


async def update_law(tx: Transaction, law_version: str, day: date) -> None:
    """Keep the version of the law on which all provisional awards are planned, and its day."""
    await tx.execute(sa.update(last_run).values(law_version=law_version, law_day=day))


async def find_law(tx: Transaction) -> tuple[str, date] | None:
    """The version of the law of the latest run and its day; None before the first."""
    row = (await tx.execute(sa.select(last_run.c.law_version, last_run.c.law_day))).one()
    return None if row.law_day is None else (row.law_version, row.law_day)


async def find_newest_award(tx: Transaction) -> int:
    """The number of the newest award; 0 before the first."""
    newest: int | None = (await tx.execute(sa.select(sa.func.max(awards.c.number)))).scalar_one()
    return newest or 0


async def get_digest(
    tx: Transaction, month: Month, revision: int, newest: int
) -> tuple[object, ...]:
    """Who is paid what in a run, for a second signature: equal sums may be of other persons.

    Awards newer than the one numbered `newest` were granted in this transaction. The signature
    grants them again, with other numbers; their ids stay.
    """
    values = {"run": number_of(month), "revision": revision, "newest": newest}
    digest = await tx.execute(sa.text(_KNOWN_DIGEST.format(hash=PAYMENT_HASH)), values)
    granted = await tx.execute(sa.text(_OF_NEW_AWARDS), values)
    return (*digest.one(), *map(tuple, granted.all()))


async def get(tx: Transaction, month: Month) -> Run:
    """The run of a month; without parts if nothing was instructed."""
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


async def list_runs(tx: Transaction, before: Month | None, size: int) -> list[RunTotal]:
    """The runs before a month, newest first, in totals."""
    month = parts.c.run_month
    statement = (
        sa.select(
            month,
            sa.func.sum(parts.c.payment_count).label("payment_count"),
            sa.func.sum(parts.c.sum_fen).label("sum_fen"),
            sa.func.max(parts.c.create_time).label("update_time"),
        )
        .group_by(month)
        .order_by(month.desc())
        .limit(size)
    )
    if before is not None:
        statement = statement.where(month < number_of(before))
    return [
        RunTotal(
            month_of(row.run_month), int(row.payment_count), Fen(int(row.sum_fen)), row.update_time
        )
        for row in await tx.execute(statement)
    ]


async def list_instructions(
    tx: Transaction,
    run_month: Month | None,
    award: str,
    after: tuple[int, Month] | tuple[()],
    size: int,
) -> list[Instruction]:
    """Instructions by award number and month; of one run, of one award, or all."""
    key = sa.tuple_(payments.c.number, payments.c.month)
    statement = (
        sa.select(payments, awards.c.id)
        .join(awards, awards.c.number == payments.c.number)
        .order_by(payments.c.number, payments.c.month)
        .limit(size)
    )
    if run_month is not None:
        statement = statement.where(payments.c.run_month == number_of(run_month))
    if award:
        statement = statement.where(awards.c.id == award)
    if after:
        statement = statement.where(key > sa.tuple_(after[0], number_of(after[1])))
    return [
        Instruction(
            row.number,
            row.id,
            BenefitKind(row.kind),
            month_of(row.month),
            month_of(row.run_month),
            Fen(row.amount_fen),
            Fen(row.withheld_fen),
        )
        for row in await tx.execute(statement)
    ]


async def _wait(tx: Transaction) -> None:
    await tx.execute(
        sa.text("select set_config('lock_timeout', :limit, true)"), {"limit": f"{WAIT_SECONDS}s"}
    )


async def _revision(tx: Transaction, run: int) -> int:
    statement = sa.select(sa.func.max(parts.c.revision)).where(parts.c.run_month == run)
    return int((await tx.execute(statement)).scalar_one() or 0)


def _parts(rows: Iterable[Any]) -> list[Part]:
    totals = [
        Part(
            row.pooling_area,
            row.industry,
            BenefitKind(row.kind),
            int(row.payment_count),
            Fen(int(row.sum_fen)),
        )
        for row in rows
    ]
    return sorted(totals, key=lambda part: (part.pooling_area, part.industry, part.kind.value))
