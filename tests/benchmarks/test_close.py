"""Closing a month of 21 pooling areas with a million postings, against one with ten thousand.

The close reads totals, so both should cost the same. The time to add up the postings shows what a
close would cost without totals.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median

import psycopg
import pytest

from services.fund.commands import settlement
from services.fund.domain.settlement import State
from services.fund.invariants import verify
from services.fund.store import totals as total_store
from services.kernel.periods import Month
from services.runtime.base.settings import Settings
from services.runtime.storage.database import Database, Transaction
from tests.support.bench import keep
from tests.support.contexts import service_context
from tests.support.databases import Databases
from tests.support.producers import DELIVERED, end_month_in

MANY, FEW = 1_000_000, 10_000
AREAS = 21
LINES = 4
HOLD = {"close_million_vs_ten_thousand": 1.5}
TRIALS = 15
NOW = datetime(2025, 12, 1, tzinfo=UTC)
SMALL, LARGE = Month(2025, 7), Month(2025, 8)

# A bill of three industries in each area, and in every second area benefits instead.
_FILL = (
    "insert into settlement_period (month) values ('{month}')",
    """
    insert into ledger_transaction (transaction_id, kind, source, subject, pooling_area, month,
        accounting_date, text, posting_count, create_time)
    select '{month}-' || n, 'premium_assessed', '{month}-bill-' || n / {areas}, '',
        (440100 + 100 * (n % {areas}))::text, '{month}', '{month}', '', {lines}, now()
    from generate_series(0, {count} / {lines} - 1) n
    """,
    """
    insert into posting
    select transaction_id, line, pooling_area, month,
        case when line = 1 then 1 + 4 * benefit else 2 + 4 * benefit end,
        line - 1, (1 - 2 * benefit) * case when line = 1 then 600 + 7 * benefit
            when line = 2 then -200 - 7 * benefit else -200 end, 10
    from ledger_transaction, generate_series(1, {lines}) line,
        lateral (select (seq % 3 = 0)::int as benefit) as side
    where month = '{month}'
    """,
)


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    """A month of few postings, then one of many."""
    url = await databases.fresh("fund")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("set search_path to fund")
        # The postings below balance by construction; checking each costs most of the filling.
        for table in ("posting", "ledger_transaction"):
            await connection.execute(f"alter table {table} disable trigger refuse_unbalanced")
        for month, count in ((SMALL, FEW), (LARGE, MANY)):
            for statement in _FILL:
                await connection.execute(
                    statement.format(month=month.first_day, areas=AREAS, lines=LINES, count=count)
                )
        for table in ("posting", "ledger_transaction"):
            await connection.execute(f"alter table {table} enable trigger refuse_unbalanced")
        await connection.execute("vacuum (analyze) posting, ledger_transaction, period_total")
    database = Database(url, "fund")
    yield database
    await database.close()


async def test_a_close_costs_by_pooling_areas_and_not_by_postings(
    stack: Settings, database: Database
) -> None:
    del stack
    few = await _trial_seconds(database, SMALL)
    few_closed = await _close(database, SMALL)
    many = await _trial_seconds(database, LARGE)
    many_closed = await _close(database, LARGE)
    recount = await _seconds(database, lambda tx: total_store.list_recounted_totals(tx, LARGE))

    async with database.begin(seconds=120) as tx:
        checks = await verify(tx, service_context(database, NOW))
    assert [check.invariant for check in checks if not check.holds] == []
    keep(
        "close",
        f"the trial of a month's close over {AREAS} pooling areas with {MANY:,} postings, and"
        f" with {FEW:,}; all steps of the close; adding up the postings instead",
        {
            "close_ms": many * 1000,
            "close_ten_thousand_ms": few * 1000,
            "all_steps_ms": many_closed * 1000,
            "all_steps_ten_thousand_ms": few_closed * 1000,
            "recount_ms": recount * 1000,
            "close_million_vs_ten_thousand": many / few,
        },
        at_most=HOLD,
    )


async def _trial_seconds(database: Database, month: Month) -> float:
    """The median time of a trial: figures, transfers, findings."""
    context = service_context(database, NOW).command("li")
    return median(
        [
            await _seconds(
                database, lambda tx: settlement.trial_settlement(tx, month, DELIVERED, context)
            )
            for _ in range(TRIALS)
        ]
    )


async def _close(database: Database, month: Month) -> float:
    """The time of all three steps, each in a separate transaction."""
    service = service_context(database, NOW)
    officer = replace(service.command("li"), member="staffMembers/li")
    approver = replace(service.command("wu"), member="staffMembers/wu")
    await end_month_in(database, month)
    start = time.perf_counter()
    async with database.begin(serializable=True) as tx:
        proposed = await settlement.propose_settlement(tx, month, DELIVERED, officer)
    async with database.begin(serializable=True) as tx:
        await settlement.approve_settlement(tx, month, proposed.hash, approver)
    async with database.begin(serializable=True) as tx:
        closed = await settlement.close_settlement(tx, month, officer)
    assert closed.period is not None
    assert closed.period.state is State.CLOSED
    return time.perf_counter() - start


async def _seconds(database: Database, work: Callable[[Transaction], Awaitable[object]]) -> float:
    start = time.perf_counter()
    async with database.begin() as tx:
        await work(tx)
    return time.perf_counter() - start
