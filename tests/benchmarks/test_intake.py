"""Intake against the bare COPY of the same rows into the same tables with the same indexes.

Both sides run here, one after the other, on the same server. The service is a separate process
with its worker processes; client and servers share the machine's cores. `OIP_BENCH_ROWS` sets the
size (default two million rows over 31 days and 200,000 workers).
"""

from __future__ import annotations

import os

import psycopg
import pytest

from services.runtime.base.settings import Settings
from tests.support.bench import keep
from tests.support.databases import Databases
from tests.support.intake_load import (
    PLATFORMS,
    bare_copy,
    checkpoint,
    dirty,
    enrolled,
    messages,
    orders,
    reference_file,
    serving_orders,
    some_of_each,
    split,
)

ROWS = int(os.environ.get("OIP_BENCH_ROWS", "2000000"))
PART = max(100_000, ROWS // 2)
WARM = 8_000
HOLD = {
    "intake_arrow_vs_copy": 0.80,
    "intake_rows_vs_copy": 0.50,
    "resend_vs_intake": 1.0,
    "dirty_vs_clean": 0.5,
}


async def copy_rate(databases: Databases, blocks: list[bytes]) -> float:
    url = await enrolled(databases)
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
    url = await enrolled(databases)
    filled = stack.model_copy(update={"database_url": url})
    async with serving_orders(filled) as serving:
        await serving.upload(split(orders(WARM, prefix="90")))
        await checkpoint(url)
        taken, peak = await serving.peak_while(serving.upload(split(table)))
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
        f"{ROWS:,} orders over gRPC, evidence included, against one bare COPY of the same rows",
        figures,
        at_least=HOLD,
    )


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
