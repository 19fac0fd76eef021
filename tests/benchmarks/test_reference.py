"""Our intake against what a user would otherwise write: FastAPI, an ORM, one INSERT per order.

Both sides take the same orders here, one after the other, on the same server, each as a process of
its own; clients and servers share the machine's cores. The reference writes into a plain copy of
our table with the same columns and indexes, and gets every advantage that it can: requests that
are ready as bytes, sixteen at once over connections that stay open, a thousand orders to warm up.
The client is bare because a comfortable one costs more than the service that it calls.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from statistics import median

import psycopg
import pyarrow as pa
from pydantic_core import to_json

from services.runtime.base.settings import Settings
from services.runtime.storage.sessions import as_psycopg
from tests.support.bench import keep
from tests.support.databases import Databases
from tests.support.intake_load import (
    PLATFORMS,
    Serving,
    checkpoint,
    enrol_all,
    messages,
    orders,
    serving_orders,
    split,
)

ROWS = 20_000
WARM = 1_000
AT_ONCE = 16
ROUNDS = 3
START_SECONDS = 30
HOLD = {"intake_vs_reference": 20.0, "messages_vs_reference": 20.0}
CREATED, CONFLICT = 201, 409


async def test_intake_is_many_times_as_fast_as_what_a_user_would_otherwise_write(
    stack: Settings, databases: Databases
) -> None:
    table, warm = orders(ROWS), orders(WARM, prefix="90")
    url = await reference_database(databases)
    async with serving_reference(url) as port:
        await post(port, requests(warm))
        _, held = await post(port, requests(warm)[:1])
        assert held == [CONFLICT]
        seconds, answers = await post(port, requests(table))
    assert answers == [CREATED] * ROWS
    assert await row_count(url, "public.orders") == WARM + ROWS

    url = await databases.fresh("orders")
    await enrol_all(url)
    async with serving_orders(stack.model_copy(update={"database_url": url})) as serving:
        await serving.upload(split(warm))
        await serving.upload_rows(messages(split(orders(WARM, prefix="91"))))
        await checkpoint(url)
        arrow, rows = await upload(serving, table)
    assert await row_count(url, "orders.orders") == 2 * WARM + 2 * ROUNDS * ROWS

    reference = ROWS / seconds
    keep(
        "reference",
        f"{ROWS:,} orders over gRPC, against FastAPI, an ORM, one INSERT and commit per order",
        {
            "reference_rows_per_second": reference,
            "intake_rows_per_second": ROWS / arrow,
            "messages_rows_per_second": ROWS / rows,
            "intake_vs_reference": ROWS / arrow / reference,
            "messages_vs_reference": ROWS / rows / reference,
        },
        at_least=HOLD,
    )


async def upload(serving: Serving, table: pa.Table) -> tuple[float, float]:
    """Seconds to take a table as Arrow batches, and as row messages; each the median of three.

    Later rounds send the table under new numbers: what is held would be no intake.
    """
    arrow, rows = [], []
    for number in range(ROUNDS):
        fresh = orders(table.num_rows, prefix=f"{30 + number}") if number else table
        seconds, _ = await serving.upload(split(fresh))
        arrow.append(seconds)
        sent = messages(split(orders(table.num_rows, prefix=f"{40 + number}")))
        rows.append(await serving.upload_rows(sent))
    return median(arrow), median(rows)


async def reference_database(databases: Databases) -> str:
    """A database with a plain copy of our table, its key and its indexes."""
    url = await databases.fresh("orders")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("create table public.orders (like orders.orders including all)")
        await connection.execute("checkpoint")
    return url


async def row_count(url: str, table: str) -> int:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        found = await (await connection.execute(f"select count(*) from {table}")).fetchone()
    assert found is not None
    return int(found[0])


@asynccontextmanager
async def serving_reference(url: str) -> AsyncIterator[int]:
    """Run the reference under uvicorn; its port, once it answers."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "tests.support.reference_app:app"),
        *("--port", str(port), "--log-level", "warning", "--no-access-log"),
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "REFERENCE_URL": as_psycopg(url).render_as_string(hide_password=False),
        },
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await _listens(port):
                assert process.returncode is None, "the reference ended before it listened"
                await asyncio.sleep(0.1)
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


def requests(table: pa.Table) -> list[bytes]:
    """A POST for each order, a quarter of them from each platform as in `split`."""
    quarter = table.num_rows // len(PLATFORMS)
    contents = (
        to_json(row | {"platform": platform, "pooling_area": row["place_of_acceptance"]})
        for number, platform in enumerate(PLATFORMS)
        for row in table.slice(number * quarter, quarter).to_pylist()
    )
    head = b"POST /orders HTTP/1.1\r\nHost: reference\r\nContent-Type: application/json\r\n"
    return [
        b"%bContent-Length: %d\r\n\r\n%b" % (head, len(content), content) for content in contents
    ]


async def post(port: int, contents: Sequence[bytes]) -> tuple[float, list[int]]:
    """Seconds for all requests, sixteen at once; the codes that were answered."""
    waiting = iter(contents)
    begin = time.perf_counter()
    answers = await asyncio.gather(*(_connection(port, waiting) for _ in range(AT_ONCE)))
    return time.perf_counter() - begin, [code for some in answers for code in some]


async def _connection(port: int, waiting: Iterator[bytes]) -> list[int]:
    """Send whichever request is next until none is left, each after the last one's answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    for request in waiting:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(maxsplit=1)[0]
        await reader.readexactly(int(length))
        answers.append(int(head.split(maxsplit=2)[1]))
    writer.close()
    await writer.wait_closed()
    return answers
