"""The cost of an assessment follows tallies, not orders; and the cost of the rules over a sum."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from statistics import median

import psycopg
import pytest
import sqlalchemy as sa

from services.kernel.periods import Month
from services.premiums.commands.assessment import assess_premiums
from services.premiums.domain.terms import Term, TermKind
from services.premiums.store import terms
from services.runtime.base.holidays import work_calendar
from services.runtime.base.settings import Settings
from services.runtime.service.context import CommandContext
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Database, Transaction
from services.runtime.storage.key_file import Keys
from tests.support.bench import keep
from tests.support.databases import Databases

TALLIES = 200_000
FEW, MANY = 5, 50  # orders per tally
TRIALS = 5
HOLD = {"assess_vs_tenth_of_orders": 1.2}
NOW = datetime(2025, 10, 1, tzinfo=UTC)
COMMAND = CommandContext(
    now=NOW,
    actor="test",
    province="440000",
    cipher=ColumnCipher(Keys({"k1": bytes(32)}, "k1", b"i" * 32)),
    calendar=work_calendar(),
)
PLATFORMS = ("91110108MA01ABCD2H", "91350100M000100Y43", "91460100MA5T00003T", "91110108MA00000002")

# 4 platforms, 21 pooling areas, 3 industries, 31 days: 7,812 cells, repeated in every batch.
_FILL = """
    insert into accrual (order_batch, pooling_area, industry, service_date, platform, order_count,
        bill_month, create_time)
    select platform || '/' || n / 7812 || '-{month}', (440100 + 100 * (n / 4 % 21))::text,
        1 + n / 84 % 3, date '{month}' + n / 252 % 31, platform, {orders}, '{month}', now()
    from generate_series(0, {tallies} - 1) n,
        lateral (select (array[{platforms}])[1 + n % 4] as platform) as whose
"""
_BARE = sa.text(
    "create temp table bare on commit drop as"
    " select platform, pooling_area, industry, sum(order_count) as order_count from accrual"
    " where bill_month = :month group by platform, pooling_area, industry"
)


class Undo(Exception):  # noqa: N818 - no error: it ends a trial without a trace
    """Rolls a trial back."""


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    """July with few orders per tally, and in another database with ten times as many."""
    url = await databases.fresh("premiums")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("set search_path to premiums")
        for month, orders in ((date(2025, 7, 1), FEW), (date(2025, 8, 1), MANY)):
            await connection.execute(
                _FILL.format(
                    month=month,
                    orders=orders,
                    tallies=TALLIES,
                    platforms=", ".join(f"'{code}'" for code in PLATFORMS),
                )
            )
        await connection.execute("vacuum (analyze) accrual")
    database = Database(url, "premiums")
    async with database.begin() as tx:
        for number, platform in enumerate(PLATFORMS):
            band = Term(platform, TermKind.BAND, date(2025, 7, 16), Decimal("1.20"), id=str(number))
            await terms.insert(tx, band, NOW)
    yield database
    await database.close()


async def test_assessing_costs_by_tallies_and_not_by_orders(
    stack: Settings, database: Database
) -> None:
    del stack
    july, august = Month(2025, 7), Month(2025, 8)
    few = await _seconds(database, lambda tx: assess_premiums(tx, july, COMMAND))
    bare = await _seconds(database, lambda tx: tx.execute(_BARE, {"month": july.first_day}))
    async with database.begin() as tx:
        assessed = await assess_premiums(tx, july, COMMAND)
    many = await _seconds(database, lambda tx: assess_premiums(tx, august, COMMAND))

    assert assessed.order_count == TALLIES * FEW
    keep(
        "assess",
        f"a month of {TALLIES * MANY:,} orders in {TALLIES:,} tallies assessed, compared with"
        f" one of {TALLIES * FEW:,} in as many tallies and a bare sum of those",
        {
            "assess_ms": many * 1000,
            "assess_tenth_of_orders_ms": few * 1000,
            "bare_sum_ms": bare * 1000,
            "premium_lines": assessed.line_count,
            "assess_vs_tenth_of_orders": many / few,
            "assess_vs_bare_sum": few / bare,
        },
        at_most=HOLD,
    )


async def _seconds(database: Database, work: Callable[[Transaction], Awaitable[object]]) -> float:
    """The median time of a piece of work that is rolled back each time."""
    seconds = []
    for _ in range(TRIALS):
        with suppress(Undo):
            async with database.begin() as tx:
                start = time.perf_counter()
                await work(tx)
                seconds.append(time.perf_counter() - start)
                raise Undo
    return median(seconds)
