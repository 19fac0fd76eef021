"""A worker's orders at a moment among twenty million, while intake runs; and how intake ages.

As in deploy/, one replica takes the orders and stands back, and another one answers the questions
and comes first, as far as the system grants that. The caller is a separate process, asks all sides
in turn, and has the token of the claims service, which records itself who reads; a person who asks
directly also waits for the commit of that record. The empty call is what gRPC takes by itself.
`OIP_BENCH_HELD` sets how many rows are stored (default twenty million).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from services.client.upload.batches import Batch
from services.runtime.base.settings import Settings
from tests.support.bench import keep
from tests.support.databases import Databases
from tests.support.intake_load import (
    BARE_BATCH,
    PLATFORMS,
    Serving,
    bare_copy,
    checkpoint,
    enrolled,
    orders,
    reference_file,
    serving_orders,
    serving_orders_at,
    split,
)

HELD = int(os.environ.get("OIP_BENCH_HELD", "20000000"))
EARLY = min(1_000_000, HELD)
PART = 500_000
WARM = 8_000
LOOK_UPS = 4_000
# Of the replicas, as the weights in deploy/ order them.
INTAKE_PRIORITY = 10
ANSWERS_PRIORITY = -10
LOOKING_SECONDS = 300


async def test_look_up_stays_flat_while_intake_runs(stack: Settings, databases: Databases) -> None:
    url = await enrolled(databases)
    filled = stack.model_copy(update={"database_url": url})
    await fill(url, 0, EARLY)
    async with serving_orders(filled) as serving:
        await serving.upload(split(orders(WARM, prefix="90")))
        early = await better_of_two(serving, url, "81", "82")
        await fill(url, EARLY, HELD)
        late = await better_of_two(serving, url, "83", "84")
        async with load(serving, "93"):
            alone, alone_rate = await look(serving, url)
        _, peak = await serving.peak_while(eight_streams(serving))
    async with (
        serving_orders_at(INTAKE_PRIORITY, filled) as serving,
        serving_orders_at(ANSWERS_PRIORITY, filled) as answering,
        load(serving, "96"),
    ):
        priority = answering.priority
        seconds, rate = await look(answering, url)
    find, bare, empty = seconds["find"], seconds["select"], seconds["empty"]
    keep(
        "look_up",
        f"a worker's orders at a moment among {HELD:,} while intake runs, against the bare SELECT;"
        " intake of new orders then, against intake at a million",
        {
            "held_rows": HELD,
            "answers_priority": priority,
            "meanwhile_rows_per_second": rate,
            "one_replica_find_orders_p99_ms": share(alone["find"], 99) * 1000,
            "one_replica_rows_per_second": alone_rate,
            "one_replica_vs_select_p99": share(alone["find"], 99) / share(alone["select"], 99),
            "find_orders_p50_ms": share(find, 50) * 1000,
            "find_orders_p99_ms": share(find, 99) * 1000,
            "select_p50_ms": share(bare, 50) * 1000,
            "select_p99_ms": share(bare, 99) * 1000,
            "empty_call_p50_ms": share(empty, 50) * 1000,
            "empty_call_p99_ms": share(empty, 99) * 1000,
            "empty_call_vs_select_p99": share(empty, 99) / share(bare, 99),
            "find_orders_vs_select_p50": share(find, 50) / share(bare, 50),
            "find_orders_vs_select_p99": share(find, 99) / share(bare, 99),
            "early_rows_per_second": PART / early,
            "late_rows_per_second": PART / late,
            "late_vs_early_intake": early / late,
            "peak_memory_mib_eight_streams": peak / 2**20,
        },
        at_least={"late_vs_early_intake": 0.7},
        at_most={"find_orders_vs_select_p99": 2.0},
    )


async def fill(url: str, start: int, end: int) -> None:
    """Load rows by COPY, a million at a time, and update the statistics as autovacuum would.

    One receipt stands for all of them, because a record is shown with its own.
    """
    for first in range(start, end, 1_000_000):
        size = min(1_000_000, end - first)
        table = orders(size, first=first, prefix=f"{first // 1_000_000:02d}")
        await bare_copy(url, reference_file(table, PLATFORMS[first // 1_000_000 % 4]))
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(
            "insert into orders.order_batch values (%s, %s, 'bare', -1, 0, 0, 0, 0, 0, '{}',"
            " decode(repeat('00', 32), 'hex'), decode(repeat('00', 32), 'hex'), now())"
            " on conflict do nothing",
            (BARE_BATCH, PLATFORMS[0]),
        )
        await connection.execute("analyze orders.orders")


async def better_of_two(serving: Serving, url: str, *prefixes: str) -> float:
    """Seconds to take new orders; the better of two, for others use the machine too.

    The checkpoint comes once: right after one, every page that is touched is logged whole, and
    there is one in millions of rows.
    """
    await checkpoint(url)
    return min([(await serving.upload(part(int(prefix), prefix)))[0] for prefix in prefixes])


def part(number: int, prefix: str) -> dict[str, list[Batch]]:
    """New orders, at other times than those of other parts: no worker has ten orders at once."""
    return split(orders(PART, first=HELD + number * PART, prefix=prefix))


@asynccontextmanager
async def load(serving: Serving, prefix: str) -> AsyncIterator[None]:
    """Keep intake busy on four streams while the block runs."""

    async def feed() -> None:
        for number in itertools.count():
            await serving.upload(part(int(prefix) * 10 + number, f"{prefix}{number:02d}"))

    feeding = asyncio.create_task(feed())
    await asyncio.sleep(2)
    try:
        yield
        assert not feeding.done(), "the load ended before the questions"
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


async def look(serving: Serving, url: str) -> tuple[dict[str, list[float]], float]:
    """Ask from a separate process; the seconds of each side, and rows stored per second then."""
    rows_before, begin = await taken(url), time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.lookup_latency",
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "LOOK_ADDRESS": serving.address,
            "LOOK_HEALTH_ADDRESS": serving.health_address,
            "LOOK_URL": url,
            "LOOK_TOKEN": serving.issuer.issue("claims", ["service"]),
            "LOOK_COUNT": str(LOOK_UPS),
        },
    )
    try:
        async with asyncio.timeout(LOOKING_SECONDS):
            answer, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    rate = (await taken(url) - rows_before) / (time.perf_counter() - begin)
    return json.loads(answer), rate


async def taken(url: str) -> int:
    """The rows of all batches whose receipts were given."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        query = "select sum(created_count)::bigint from orders.order_batch"
        row = await (await connection.execute(query)).fetchone()
    assert row is not None
    return int(row[0])


def share(seconds: list[float], percent: int) -> float:
    """The value below which this share of the values lies."""
    return sorted(seconds)[len(seconds) * percent // 100]


async def eight_streams(serving: Serving) -> None:
    """Two streams per platform at once."""
    one, two = (part(number, str(number)) for number in (94, 95))
    await asyncio.gather(serving.upload(one), serving.upload(two))
