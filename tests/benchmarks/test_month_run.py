"""A month's run over a million awards in payment, against the bare INSERT … SELECT of its rows.

Both sides write the same rows into tables with the same indexes, in one run of this file. The run
finds the rate of the month, leaves out suspensions, pays each month once, and sums the totals for
the ledger; the bare statement copies existing rows.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from statistics import median

import psycopg
import pytest

from services.benefits.commands.payment_runs import instruct_payments
from services.benefits.domain import disability
from services.benefits.domain.benefit_base import benefit_base
from services.benefits.domain.case import Case, CaseState, Conclusion, Facts
from services.benefits.domain.law import LAW
from services.benefits.domain.plan import entitlements
from services.kernel.periods import Month
from services.kernel.scheme import AppraisalLevel, CareDependence
from services.runtime.base.holidays import work_calendar
from services.runtime.base.settings import Settings
from services.runtime.service.context import CommandContext
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Database
from services.runtime.storage.key_file import load_or_make_keys
from tests.support.bench import keep
from tests.support.databases import Databases

AWARDS = 1_000_000
ROUNDS = 3
HOLD = {"month_run_vs_bare": 2.0}

_FILL = (
    f"""
    insert into award (id, claim, kind, beneficiary, state, amount_fen, first_month, last_month,
        pooling_area, industry, event_date, findings, awaits, adjusts, create_time, revision,
        worker, accident, merged_into, reversed)
    select 'a' || n, 'claims/c' || n / 2, 7 + 2 * (n % 2), 'worker', 1, 200000 + n % 1000,
        2024 * 12 + n % 12, case when n % 50 = 0 then 2026 * 12 end,
        (440100 + 100 * (n % 21))::text,
        1 + n % 3, date '2024-01-01', '[]', '{{}}', '',
        now(), 1, 'workers/' || n / 2, 'accidents/' || n / 2, '', false
    from generate_series(1, {AWARDS}) n
    """,
    # Every tenth award was adjusted in July 2025; every thousandth is suspended.
    """
    insert into award_rate
    select number, 1, first_month, case when number % 10 = 0 then 2025 * 12 + 6
        else last_month + 1 end, amount_fen, kind, industry, pooling_area, 'granted', 0, now()
    from award
    """,
    """
    insert into award_rate
    select number, 2, 2025 * 12 + 6, last_month + 1, amount_fen + 9900, kind, industry,
        pooling_area, 'adjusted', 0, now()
    from award where number % 10 = 0
    """,
    """
    insert into suspension
    select number, 2025 * 12 + 6, null, 'no proof of life', now()
    from award where number % 1000 = 0
    """,
    # A year has been paid: the key's index is as large as in production.
    """
    insert into payment
    select number, kind, month, month, amount_fen, 0, pooling_area, industry, 0
    from award, generate_series(2025 * 12 + 4, 2025 * 12 + 6) month
    """,
    "update last_run set month = 2025 * 12 + 6",
    "create table bare (like payment including all)",
)


@pytest.fixture
async def filled(databases: Databases) -> str:
    url = await databases.fresh("benefits")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("set search_path to benefits")
        for statement in _FILL:
            await connection.execute(statement)
        for table in ("award", "award_rate", "payment"):
            await connection.execute(f"vacuum (analyze) {table}")
    return url


async def test_a_month_costs_at_most_twice_its_bare_insert(stack: Settings, filled: str) -> None:
    context = CommandContext(
        now=datetime(2026, 6, 1, tzinfo=UTC),
        actor="fund-officer",
        province=stack.province,
        cipher=ColumnCipher(load_or_make_keys(stack.keys_path)),
        calendar=work_calendar(),
    )
    database = Database(filled, "benefits")
    ours, bare = [], []
    for turn in range(ROUNDS):
        month = Month(2025, 8).plus(turn)
        seconds, count = await _run(database, month, context)
        ours.append(seconds)
        bare.append(await _copy(filled, month, count))
    again, _ = await _run(database, Month(2025, 7 + ROUNDS), context)
    await database.close()

    ratio = median(
        ours_seconds / bare_seconds for ours_seconds, bare_seconds in zip(ours, bare, strict=True)
    )
    keep(
        "month_run",
        f"a month's run over {AWARDS:,} awards in payment, against the bare INSERT … SELECT of its"
        " rows; the same month run again",
        {
            "month_run_seconds": median(ours),
            "bare_seconds": median(bare),
            "again_seconds": again,
            "month_run_vs_bare": ratio,
        },
        at_most=HOLD,
    )


def test_one_award_is_computed_in_plain_python() -> None:
    law, day = LAW, datetime(2025, 8, 3, tzinfo=UTC).date()
    case = Case("claims/c1", CaseState.CONFIRMED, "440100", 2, day, day)
    facts = Facts(case, (Conclusion("a", AppraisalLevel.FIRST, 3, CareDependence.PARTIAL, day),))
    base = benefit_base(law, day, "440100", day)
    rounds = 500

    start = time.perf_counter()
    for _ in range(rounds):
        disability.disability_grant(law, base, 3, day, "440100")
    award_seconds = (time.perf_counter() - start) / rounds
    start = time.perf_counter()
    for _ in range(rounds):
        entitlements(law, facts, day)
    case_seconds = (time.perf_counter() - start) / rounds

    keep(
        "award",
        "one award, and all awards of a case of grade 3, computed with their findings",
        {"award_microseconds": award_seconds * 1e6, "case_microseconds": case_seconds * 1e6},
    )


async def _run(database: Database, month: Month, context: CommandContext) -> tuple[float, int]:
    start = time.perf_counter()
    async with database.begin() as tx:
        run = await instruct_payments(tx, month, context)
    return time.perf_counter() - start, sum(part.payment_count for part in run.parts)


async def _copy(url: str, month: Month, count: int) -> float:
    """The same rows, once more, into a table that is alike and as full."""
    number = month.year * 12 + month.month - 1
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("set search_path to benefits")
        if month == Month(2025, 8):
            await connection.execute(
                "insert into bare select * from payment where month < %s", [number]
            )
            await connection.execute("checkpoint")
        start = time.perf_counter()
        async with connection.transaction():
            cursor = await connection.execute(
                "insert into bare select * from payment where run_month = %s", [number]
            )
        seconds = time.perf_counter() - start
        assert cursor.rowcount == count
        await connection.execute("checkpoint")
    return seconds
