"""What an archived order costs: bytes, compared with the database, and time.

`OIP_BENCH_ARCHIVE_ROWS` sets the size (default 400,000 rows of one platform's month).
"""

from __future__ import annotations

import os
import random
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from oip.orders.v1 import orders_pb2 as pb
from oip.type.v1 import type_pb2

from services.client.proofs.archive import MANIFEST, check_folder
from services.client.proofs.archive_proofs import prove_from
from services.client.proofs.archive_writer import write_archive
from services.client.upload.batches import split_into_batches
from services.client.upload.stream import upload_orders
from services.orderlog.columns import SCHEMA
from services.orderlog.entries import microseconds
from services.orderlog.signer import VERIFIER_FILE
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from tests.support.bench import keep
from tests.support.databases import Databases
from tests.support.intake_load import AREAS, WORKERS, enrol_all
from tests.support.platforms import SWIFT
from tests.support.stack_client import StackClient
from tests.support.uploads import execute, orders_client

ROWS = int(os.environ.get("OIP_BENCH_ARCHIVE_ROWS", "400000"))
LATER = datetime(2025, 9, 1, 1, 0, tzinfo=UTC)
# The archive is what remains after years: it has to be small compared with the database.
ARCHIVE_VS_DATABASE_MAX = 0.25

_SIZES = """
select sum(pg_relation_size(c.oid)) filter (where c.relkind = 'r')::bigint,
    sum(pg_relation_size(c.oid)) filter (where c.relkind = 'i')::bigint
from pg_class c
where c.oid in (select relid from pg_partition_tree('orders.orders') where isleaf
    union all select i.indexrelid from pg_index i
    join pg_partition_tree('orders.orders') t on t.relid = i.indrelid and t.isleaf)
"""


def month(count: int) -> pa.Table:
    """Orders as random as real ones, sent as they end: numbers, workers, times.

    The generator of the intake benchmark follows a formula, which compresses too well.
    """
    chance = random.Random(7)
    start = microseconds(datetime(2025, 7, 1, tzinfo=UTC)) // 1_000_000
    rows = []
    for ended in sorted(chance.randrange(7200, 30 * 86_400) for _ in range(count)):
        lasted = chance.randrange(300, 3600)
        number = f"2507{ended // 86_400 + 1:02d}{chance.randrange(10**10):010d}"
        accepted = start + ended - lasted
        picked = accepted + chance.randrange(60, 60 + lasted // 2)
        worker, state = chance.randrange(1, WORKERS + 1), chance.choice((2,) * 29 + (3,))
        times = (accepted * 10**6, picked * 10**6, (start + ended) * 10**6)
        rows.append((number, 1, worker, 2, state, *times, chance.choice(AREAS), None))
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    return pa.table(columns, SCHEMA.names).cast(SCHEMA)


async def filled(client: StackClient, table: pa.Table) -> str:
    """A month's orders; the verifier key."""
    await execute(client, "truncate orders.platform_worker")
    await enrol_all(client.stack.settings.database_url)
    stub = client.orders("platform", platform=SWIFT)
    await upload_orders(stub, SWIFT, split_into_batches(table, "month"))
    for number in range(8):
        await execute(client, f"vacuum analyze orders.orders_{number}")
    clock = client.clock
    assert isinstance(clock, SetClock)
    clock.set(LATER)
    path = client.stack.settings.state_dir / VERIFIER_FILE
    return path.read_text(encoding="ascii").strip()


async def test_an_archived_order_is_small_and_proven_fast(
    stack: Settings, databases: Databases, tmp_path: Path
) -> None:
    async with orders_client(stack, databases) as client:
        table = month(ROWS)
        key = await filled(client, table)
        last = table["order_no"][-1].as_py()
        del table
        ((table_bytes, indexes),) = await execute(client, _SIZES)
        asked = pb.GetOrderArchiveRequest(
            platform=f"platforms/{SWIFT}", month=type_pb2.Month(year=2025, month=8)
        )
        begin = time.perf_counter()
        archive = await write_archive(
            client.orders("administrator").GetOrderArchive(asked, timeout=600),
            tmp_path,
            key,
        )
        seconds = time.perf_counter() - begin
    begin = time.perf_counter()
    check_folder(tmp_path, key)
    checking = time.perf_counter() - begin
    begin = time.perf_counter()
    prove_from([tmp_path], f"platforms/{SWIFT}/orders/{last}")
    proving = time.perf_counter() - begin

    manifest = (tmp_path / MANIFEST).stat().st_size
    kept = (archive.byte_count + manifest) / ROWS
    assert archive.row_count == ROWS
    keep(
        "archive",
        f"a month of {ROWS:,} orders written as an archive, checked, and one order proven from it",
        {
            "rows": ROWS,
            "table_bytes_per_order": table_bytes / ROWS,
            "index_bytes_per_order": indexes / ROWS,
            "archive_bytes_per_order": kept,
            "archive_vs_database": kept * ROWS / (table_bytes + indexes),
            "archived_rows_per_second": ROWS / seconds,
            "verified_rows_per_second": ROWS / checking,
            "prove_seconds": proving,
        },
        at_most={"archive_vs_database": ARCHIVE_VS_DATABASE_MAX},
    )
