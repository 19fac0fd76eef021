"""Orders over crashes: K1 (this service's failpoints) and K4 (PostgreSQL) of the catalogue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import psycopg
import pytest

from services.client.uploading import Batch, cut, upload_orders
from services.orders.__main__ import SERVICE
from services.runtime.database import Database
from services.runtime.embedded import PostgresServer
from services.runtime.migrate import migrate
from services.runtime.settings import Settings
from tests.support.databases import Databases
from tests.support.intake_load import PLATFORMS, Serving, orders, serving_orders

FAILPOINTS = ("orders.before_copy", "orders.before_commit", "orders.after_commit")
SWIFT = PLATFORMS[0]
ROWS = 6000


@pytest.fixture
async def filled(stack: Settings, databases: Databases) -> Settings:
    settings = stack.model_copy(update={"database_url": await databases.fresh("orders")})
    await enrol(settings.database_url)
    return settings


async def enrol(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(
            "insert into orders.platform_worker select %s, generate_series(1, 200000)", (SWIFT,)
        )


def batches() -> list[Batch]:
    return cut(orders(ROWS), "k", 1000)


async def check(url: str) -> None:
    """Every order is stored once, and everything that stands beside the rows fits them."""
    database = Database(url, "orders")
    try:
        async with database.begin() as tx:
            checks = await SERVICE.verify(tx)
    finally:
        await database.close()
    assert [one for one in checks if not one.holds] == []
    async with await psycopg.AsyncConnection.connect(url) as connection:
        counted = await connection.execute(
            "select (select count(*) from orders.orders),"
            " (select count(*) from orders.order_batch), (select count(*) from orders.outbox),"
            " (select sum(order_count) from orders.order_tally),"
            " (select count(*) from orders.audit)"
        )
        assert await counted.fetchone() == (ROWS, 6, 6, ROWS, 6)


@pytest.mark.parametrize("failpoint", FAILPOINTS)
async def test_k1_killed_at_a_failpoint_the_same_batches_end_the_same(
    filled: Settings, failpoint: str
) -> None:
    async with serving_orders(filled, OIP_FAILPOINT=f"{failpoint}:kill") as serving:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await send_once(serving, batches())
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert await asyncio.wait_for(serving.process.wait(), 10) == -9

    async with serving_orders(filled) as serving:
        receipts = await upload_orders(serving.stub(SWIFT), SWIFT, batches())
        again = await upload_orders(serving.stub(SWIFT), SWIFT, batches())

    assert [one.created_count for one in receipts] == [1000] * 6
    assert again == receipts
    await check(filled.database_url)


async def send_once(serving: Serving, own: list[Batch]) -> None:
    from oip.orders.v1 import orders_pb2

    async def requests() -> AsyncIterator[orders_pb2.UploadOrdersRequest]:
        for batch in own:
            yield orders_pb2.UploadOrdersRequest(
                batch_id=batch.batch_id, platform=f"platforms/{SWIFT}", arrow_ipc=batch.content
            )

    async for _ in serving.stub(SWIFT).UploadOrders(requests(), timeout=60):
        pass


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[PostgresServer]:
    server = PostgresServer(tmp_path / "postgres")
    await server.start()
    yield server
    await server.stop()


async def test_k4_killing_postgresql_under_load_loses_and_doubles_nothing(
    stack: Settings, postgres: PostgresServer
) -> None:
    url = postgres.url
    await migrate(url, ["orders"])
    await enrol(url)
    settings = stack.model_copy(update={"database_url": url})
    async with serving_orders(settings) as serving:
        uploading = asyncio.create_task(upload_orders(serving.stub(SWIFT), SWIFT, batches()))
        await wait_for_batches(url, 2)
        await kill_a_backend(url)
        await wait_for_batches(url, 3)
        port = postgres.port
        await postgres.kill()
        await postgres.start(port)
        receipts = await asyncio.wait_for(uploading, 60)

    assert [one.created_count for one in receipts] == [1000] * 6
    await check(url)


async def wait_for_batches(url: str, count: int) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for _ in range(3000):
            held = await connection.execute("select count(*) from orders.order_batch")
            if ((await held.fetchone()) or (0,))[0] >= count:
                return
            await asyncio.sleep(0.01)
    raise TimeoutError


async def kill_a_backend(url: str) -> None:
    """End the sessions of the service in whatever they are doing."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'oip_orders'"
        )
