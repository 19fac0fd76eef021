"""The statement of a month's run compared with `domain.payments.due` over random histories."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.benefits.domain.award import Award, State
from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.payments import Payment, Suspension, due, withhold
from services.benefits.domain.segments import Segment, clip
from services.benefits.store import awards as award_store
from services.benefits.store import invariants
from services.benefits.store import payment_runs as run_store
from services.benefits.store import suspensions as suspension_store
from services.benefits.store.payment_runs import Debt
from services.benefits.store.tables import number_of
from services.kernel.money import Fen, total
from services.kernel.periods import Month
from services.runtime.storage.crypto import ColumnCipher, DataKey
from services.runtime.storage.database import Database, Transaction
from services.runtime.storage.key_file import Keys
from tests.conftest import OpenDatabase

CIPHER = ColumnCipher(Keys({"k1": bytes(32)}, "k1", b"i" * 32), DataKey.random())
NOW = datetime(2026, 12, 31, tzinfo=UTC)
START = Month(2025, 1)
CAP = Decimal("0.50")
months = st.integers(0, 11).map(START.plus)


@dataclass(frozen=True)
class History:
    """Awards with their suspensions, and what happens to them: runs, decisions between runs."""

    awards: tuple[Award, ...]
    suspensions: dict[str, Suspension]
    runs: tuple[Month, ...]
    # After which run an award is changed, and to which monthly amounts.
    changes: tuple[tuple[int, int, tuple[Segment, ...]], ...]
    owed: int


@st.composite
def segments(draw: st.DrawFn, first: Month) -> tuple[Segment, ...]:
    offsets = sorted(draw(st.sets(st.integers(1, 8), max_size=3)))
    return tuple(
        Segment(first.plus(offset), Fen(draw(st.integers(0, 400_000))), "drawn")
        for offset in (0, *offsets)
    )


@st.composite
def histories(draw: st.DrawFn) -> History:
    awards = []
    for index in range(draw(st.integers(1, 5))):
        first = draw(months)
        kind = draw(st.sampled_from([BenefitKind.CARE_ALLOWANCE, BenefitKind.SURVIVOR_PENSION]))
        last = draw(st.none() | st.integers(0, 9).map(first.plus))
        drawn = draw(segments(first))
        awards.append(
            Award(
                id=f"a{index}",
                claim=f"claims/c{index % 2}",
                kind=kind,
                beneficiary="worker",
                state=draw(st.sampled_from(State)),
                amount=drawn[0].amount,
                first_month=first,
                last_month=last,
                pooling_area=draw(st.sampled_from(["440100", "440600"])),
                industry=draw(st.integers(1, 3)),
                event_date=date(2025, 1, 1),
                segments=clip(drawn, last),
                worker="workers/1",
                accident=f"accidents/{index}",
            )
        )
    suspensions = {
        award.id: Suspension(since, draw(st.none() | st.integers(0, 5).map(since.plus)))
        for award in awards
        if draw(st.booleans())
        for since in [draw(months)]
    }
    runs = tuple(draw(st.lists(months, min_size=1, max_size=4)))
    changes = tuple(
        (draw(st.integers(0, len(runs))), index, draw(segments(one.first_month)))
        for index, one in enumerate(awards)
        if draw(st.booleans())
    )
    return History(tuple(awards), suspensions, runs, changes, draw(st.integers(0, 500_000)))


@given(history=histories())
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_runs_in_sql_pay_what_the_rule_says(database: OpenDatabase, history: History) -> None:
    benefits = await database("benefits")

    async with rolled_back(benefits) as tx:
        published = await played(tx, history)
        rows = await tx.execute(
            sa.text(
                "select a.id, p.month, p.amount_fen, p.withheld_fen, p.run_month, p.kind,"
                " p.pooling_area, p.industry from payment p join award a using (number)"
            )
        )
        paid = {(row.id, row.month): row for row in rows}
        assert await invariants.count_differing_totals(tx) == 0
        assert await invariants.count_overlapping_rates(tx) == 0

    assert {
        (one.award, number_of(one.month)): (one.amount.count, one.withheld.count)
        for one in expected(history)
    } == {key: (row.amount_fen, row.withheld_fen) for key, row in paid.items()}
    assert total(published) == Fen(sum(row.amount_fen for row in paid.values()))


def expected(history: History) -> list[Payment]:
    """The same history by the rule."""
    awards = list(history.awards)
    paid: dict[tuple[str, Month], Payment] = {}
    left = Fen(history.owed)
    for index, run in enumerate(history.runs):
        for after, which, line in history.changes:
            if after == index:
                awards[which] = changed(awards[which], line)
        suspended = {award: [one] for award, one in history.suspensions.items()}
        found = due(awards, suspended, set(paid), run)
        debtor = [one for one in found if one.award == "a0"]
        debtor = withhold(sorted(debtor, key=lambda one: one.month), left, CAP)
        left -= total(one.withheld for one in debtor)
        for one in [*debtor, *(one for one in found if one.award != "a0")]:
            paid[one.award, one.month] = one
    return list(paid.values())


def changed(award: Award, line: tuple[Segment, ...]) -> Award:
    return replace(award, segments=clip(line, award.last_month), revision=award.revision + 1)


async def played(tx: Transaction, history: History) -> list[Fen]:
    """Play the history in the database; the totals that the runs publish."""
    awards = list(history.awards)
    await award_store.insert(tx, CIPHER, awards, NOW)
    by_id = {award.id: award for award in awards}
    for award_id, one in history.suspensions.items():
        award = by_id[award_id]
        await suspension_store.insert(tx, CIPHER, award, one.first_month, reason="drawn", now=NOW)
        if one.resume is not None:
            await suspension_store.update_resumed(tx, award_id, one.resume)
    numbers = await tx.execute(sa.text("select id, number from award"))
    debtor = {row.id: row.number for row in numbers}["a0"]
    totals = []
    for index, run in enumerate(history.runs):
        for after, which, line in history.changes:
            if after == index:
                awards[which] = changed(awards[which], line)
                await award_store.update(tx, CIPHER, awards[which], NOW)
        withheld = await tx.execute(sa.text("select coalesce(sum(withheld_fen), 0) from payment"))
        left = Fen(history.owed - int(withheld.scalar_one()))
        debts = [Debt(debtor, 1, left, CAP)] if left else []
        last_month = await run_store.lock_for_run(tx)
        added = await run_store.insert(tx, run, last_month, debts, NOW)
        totals += [part.amount for part in added.parts]
    return totals


@asynccontextmanager
async def rolled_back(database: Database) -> AsyncIterator[Transaction]:
    """A transaction that leaves nothing."""
    with suppress(EOFError):
        async with database.begin() as tx:
            yield tx
            raise EOFError
