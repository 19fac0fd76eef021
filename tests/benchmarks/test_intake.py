"""Intake against the bare COPY of the same rows into the same tables with the same indexes.

Both sides run here, one after the other, on the same server. The service is a process of its own
with its worker processes; client and servers share the machine's cores. `OIP_BENCH_ROWS` sets the
size (default two million rows over 31 days and 200,000 workers), `OIP_BENCH_HELD` how many rows are
held when look-up and late intake are timed (default: those two million).
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from google.protobuf.duration_pb2 import Duration
from oip.orders.v1 import orders_pb2 as pb

from services.runtime.settings import Settings
from services.runtime.wire import moment_to_wire
from tests.support.bench import keep
from tests.support.databases import Databases
from tests.support.intake_load import (
    PLATFORMS,
    WORKERS,
    Serving,
    bare_copy,
    checkpoint,
    dirty,
    enrol_all,
    messages,
    orders,
    reference_file,
    serving_orders,
    some_of_each,
    split,
)
from tests.support.uploading import NINE

ROWS = int(os.environ.get("OIP_BENCH_ROWS", "2000000"))
HELD = int(os.environ.get("OIP_BENCH_HELD", str(ROWS)))
PART = max(100_000, ROWS // 2)
WARM = 8_000
LOOK_UPS = 400
# Every connection of the pool prepares a statement at its sixth use.
WARM_LOOK_UPS = 80
HOLD = {
    "intake_arrow_vs_copy": 0.80,
    "intake_rows_vs_copy": 0.50,
    "resend_vs_intake": 1.0,
    "dirty_vs_clean": 0.5,
}
_SELECT = (
    "select * from orders.orders where worker = %s and accept_time between"
    " %s - interval '8 days' and %s + interval '1 hour'"
    " and (end_time is null or end_time >= %s - interval '1 hour')"
)


async def fresh(databases: Databases) -> str:
    url = await databases.fresh("orders")
    await enrol_all(url)
    return url


async def copy_rate(databases: Databases, blocks: list[bytes]) -> float:
    url = await fresh(databases)
    seconds = await bare_copy(url, blocks)
    await checkpoint(url)
    return ROWS / seconds


async def test_intake_keeps_up_with_copy(stack: Settings, databases: Databases) -> None:
    table = orders(ROWS)
    quarter = ROWS // len(PLATFORMS)
    blocks = [
        block
        for number, platform in enumerate(PLATFORMS)
        for block in reference_file(table.slice(number * quarter, quarter), platform)
    ]
    copied = await copy_rate(databases, blocks)
    url = await fresh(databases)
    filled = stack.model_copy(update={"database_url": url})
    async with serving_orders(filled) as serving:
        await serving.upload(split(orders(WARM, prefix="90")))
        await checkpoint(url)
        taken, peak = await with_peak(serving, lambda: serving.upload(split(table)))
        seconds, receipts = taken
        assert sum(one.created_count for one in receipts) == ROWS
        arrow = ROWS / seconds
        held = some_of_each(table, PART)
        again, receipts = await serving.upload(split(held))
        assert sum(one.exists_count for one in receipts) > PART * 0.99
        unclean = dirty(orders(PART, prefix="26"), held)
        soiled, receipts = await serving.upload(split(unclean))
        assert sum(one.exists_count for one in receipts) > PART * 0.009
        assert sum(one.rejected_count for one in receipts) == pytest.approx(PART / 100, rel=0.05)
        sent = messages(split(orders(PART, prefix="27")))
        as_rows = await serving.upload_rows(sent)
    copied_after = await copy_rate(databases, blocks)
    reference = (copied + copied_after) / 2
    figures = {
        "copy_rows_per_second": reference,
        "arrow_rows_per_second": arrow,
        "intake_arrow_vs_copy": arrow / reference,
        "intake_rows_vs_copy": PART / as_rows / reference,
        "resend_vs_intake": PART / again / arrow,
        "dirty_vs_clean": PART / soiled / arrow,
        "peak_memory_mib_four_streams": peak / 2**20,
        "bytes_per_order": await bytes_per_order(url),
    }
    keep(
        "intake",
        f"{ROWS:,} orders over gRPC, evidence included, beside one bare COPY of the same rows",
        figures,
        at_least=HOLD,
    )


async def test_look_up_stays_flat_while_intake_runs(stack: Settings, databases: Databases) -> None:
    url = await fresh(databases)
    first = await fill(url, min(1_000_000, HELD))
    filled = stack.model_copy(update={"database_url": url})
    async with serving_orders(filled) as intake, serving_orders(filled) as desk:
        await intake.upload(split(orders(WARM, prefix="90")))
        early = await best_of_two(intake, "81", "82")
        await fill(url, HELD - first, start=first)
        await checkpoint(url)
        late = await best_of_two(intake, "83", "84")
        meanwhile = asyncio.create_task(intake.upload(split(orders(2 * PART, prefix="93"))))
        found, bare = await asyncio.gather(look_up(desk), look_up_bare(url))
        await meanwhile
        eight = await with_peak(intake, lambda: eight_streams(intake))
    keep(
        "look_up",
        f"a worker's orders at a moment among {HELD:,} while intake runs, beside the bare SELECT",
        {
            "held_rows": float(HELD),
            "late_vs_early_intake": early / late,
            "find_orders_p99_ms": found * 1000,
            "find_orders_select_p99_ms": bare * 1000,
            "find_orders_vs_select": found / bare,
            "peak_memory_mib_eight_streams": eight[1] / 2**20,
        },
        at_least={"late_vs_early_intake": 0.7},
    )


async def fill(url: str, count: int, start: int = 0) -> int:
    """Load rows by COPY, a million at a time."""
    for first in range(start, start + count, 1_000_000):
        size = min(1_000_000, start + count - first)
        table = orders(size, first=first, prefix=f"{first // 1_000_000:02d}")
        await bare_copy(url, reference_file(table, PLATFORMS[first // 1_000_000 % 4]))
    return count


async def best_of_two(serving: Serving, *prefixes: str) -> float:
    """Seconds to take new orders; the better of two, for others use the machine too."""
    seconds = [
        (await serving.upload(split(orders(PART // 2, prefix=prefix))))[0] for prefix in prefixes
    ]
    return min(seconds)


async def look_up(serving: Serving) -> float:
    """The 99th percentile of FindOrders, in seconds."""
    stub, chance = serving.staff_stub(), random.Random(1)

    async def once() -> None:
        moment = NINE + timedelta(seconds=chance.randrange(-700_000, 1_000_000))
        await stub.FindOrders(
            pb.FindOrdersRequest(
                worker=f"workers/{chance.randint(1, WORKERS)}",
                moment=moment_to_wire(moment),
                margin=Duration(seconds=3600),
            )
        )

    return await percentile(once)


async def look_up_bare(url: str) -> float:
    chance = random.Random(2)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:

        async def once() -> None:
            moment = NINE + timedelta(seconds=chance.randrange(-700_000, 1_000_000))
            found = await connection.execute(
                _SELECT, (chance.randint(1, WORKERS), moment, moment, moment)
            )
            await found.fetchall()

        return await percentile(once)


async def percentile(once: Callable[[], Awaitable[None]]) -> float:
    for _ in range(WARM_LOOK_UPS):
        await once()
    times = []
    for _ in range(LOOK_UPS):
        begin = time.perf_counter()
        await once()
        times.append(time.perf_counter() - begin)
    return sorted(times)[LOOK_UPS * 99 // 100]


async def eight_streams(serving: Serving) -> None:
    """Two streams a platform at once."""
    one, two = (split(orders(PART // 2, prefix=f"{94 + n}")) for n in range(2))
    await asyncio.gather(serving.upload(one), serving.upload(two))


async def with_peak(serving: Serving, work: Callable[[], Awaitable[Any]]) -> tuple[Any, float]:
    """What the work gives, and the most memory that service and workers held meanwhile."""
    peak = 0.0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, float(serving.memory_bytes))
            await asyncio.sleep(0.2)

    watching = asyncio.create_task(watch())
    try:
        return await work(), peak
    finally:
        watching.cancel()


async def bytes_per_order(url: str) -> float:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        found = await connection.execute(
            "select sum(pg_total_relation_size(c.oid))::float8 / (select count(*) from"
            " orders.orders) from pg_class c join pg_inherits i on i.inhrelid = c.oid"
            " where i.inhparent = 'orders.orders'::regclass"
        )
        row = await found.fetchone()
    assert row is not None
    return float(row[0])
