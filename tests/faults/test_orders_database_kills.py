"""PostgreSQL is killed during intake, whole or one session; seeds are printed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import psycopg
import pytest

from services.client.upload.batches import Batch
from services.client.upload.stream import upload_orders
from services.runtime.base.settings import Settings
from services.runtime.embedded import PostgresServer
from tests.support.databases import Databases
from tests.support.intake_load import Serving, serving_orders
from tests.support.killed_orders import SWIFT, Lives, ask, enrol, until

SEED = int(os.environ.get("OIP_SEED", "20250701"))
ROUNDS = 3
BATCHES = 6
LONGEST_SECONDS = 90
# A held commit takes this long, which is long enough to be met; PostgreSQL's own greatest delay.
COMMIT_DELAY_MICROSECONDS = 100_000
# The answer while the outcome is unknown, or while the database starts: send it again.
AGAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}

# The session that writes a batch: it alone has added to this table.
_WRITING = """
select a.pid from pg_stat_activity a join pg_locks l on l.pid = a.pid
where a.application_name = 'oip_orders' and l.mode = 'RowExclusiveLock'
    and l.relation = 'orders.order_batch'::regclass
"""
_WAITING = f"{_WRITING} and a.state = 'idle in transaction'"
_COMMITTING = f"{_WRITING} and a.state = 'active' and a.query ilike 'commit%'"


@pytest.fixture(scope="module")
async def lives(stack: Settings, fault_databases: Databases) -> Lives:
    """What a platform knows, over all tests of this file."""
    url = await fault_databases.fresh("orders")
    await enrol(url)
    return Lives(stack.model_copy(update={"database_url": url}))


@asynccontextmanager
async def taking(
    lives: Lives, batches: list[Batch], environment: dict[str, str], *, all_known: bool = False
) -> AsyncIterator[Serving]:
    """Batches are on their way while the block runs; afterwards what is unknown is sent again.

    Unless `all_known`, the block has to cost at least one batch its receipt.
    """
    async with serving_orders(lives.settings, **environment) as serving:
        uploading = asyncio.create_task(lives.send(serving, batches))
        try:
            yield serving
            told = await asyncio.wait_for(uploading, LONGEST_SECONDS)
        finally:
            uploading.cancel()
        assert told <= AGAIN
        assert told or all_known
        await resolve(lives, serving, batches)
        # The service outlives its database and needs no restart.
        assert serving.process.returncode is None


async def resolve(lives: Lives, serving: Serving, batches: list[Batch]) -> None:
    """The same ids again until each batch has its receipt; then nothing is lost or duplicated."""
    resolved = upload_orders(serving.stub(SWIFT), SWIFT, batches)
    for receipt in await asyncio.wait_for(resolved, LONGEST_SECONDS):
        lives.keep(receipt)
    await lives.find_receipts_again(serving)
    await lives.check()


async def restart(server: PostgresServer) -> None:
    """SIGKILL to the postmaster, then a start on the same folder and port."""
    port = server.port
    await server.kill()
    await server.start(port)


async def kill_session(url: str, found_by: str) -> None:
    """SIGKILL to one session of the service, as soon as there is one that fits."""
    async with (
        asyncio.timeout(LONGEST_SECONDS),
        await psycopg.AsyncConnection.connect(url, autocommit=True) as connection,
    ):
        while True:
            row = await (await connection.execute(found_by.encode())).fetchone()
            if row is not None:
                os.kill(row[0], signal.SIGKILL)
                return
            await asyncio.sleep(0.002)


async def test_a_postmaster_killed_at_random_moments_costs_no_receipt(
    lives: Lives, postgres: PostgresServer
) -> None:
    sys.stdout.write(f"OIP_SEED={SEED}\n")
    chance = random.Random(SEED)
    async with serving_orders(lives.settings) as serving:
        for _ in range(ROUNDS):
            batches = lives.more(BATCHES)
            uploading = asyncio.create_task(lives.send(serving, batches))
            await asyncio.sleep(chance.uniform(0.02, 0.6))
            await restart(postgres)
            assert await asyncio.wait_for(uploading, LONGEST_SECONDS) <= AGAIN
            await resolve(lives, serving, batches)
        assert serving.process.returncode is None


async def test_a_postmaster_killed_before_a_commit_costs_no_receipt(
    lives: Lives, postgres: PostgresServer
) -> None:
    environment = {"OIP_FAILPOINT": "orders.before_commit:sleep", "OIP_FAILPOINT_SECONDS": "2"}

    async def is_waiting() -> bool:
        return bool(await ask(lives.url, _WAITING))

    async with taking(lives, lives.more(3), environment):
        await until(is_waiting)
        await restart(postgres)


async def test_a_receipt_given_after_the_postmaster_was_killed_is_true(
    lives: Lives, postgres: PostgresServer
) -> None:
    environment = {"OIP_FAILPOINT": "orders.after_commit:sleep", "OIP_FAILPOINT_SECONDS": "2"}
    batches = lives.more(1)

    async def is_held() -> bool:
        statement = "select 1 from orders.order_batch where batch_id = %s"
        return bool(await ask(lives.url, statement, batches[0].batch_id))

    async with taking(lives, batches, environment, all_known=True):
        await until(is_held)
        await restart(postgres)


async def test_a_session_killed_before_its_commit_costs_no_receipt(lives: Lives) -> None:
    environment = {"OIP_FAILPOINT": "orders.before_commit:sleep", "OIP_FAILPOINT_SECONDS": "2"}
    async with taking(lives, lives.more(3), environment):
        await kill_session(lives.url, _WAITING)


async def test_a_session_killed_in_its_commit_leaves_an_answer_that_is_true(lives: Lives) -> None:
    await hold_commits(lives.url, COMMIT_DELAY_MICROSECONDS)
    try:
        async with taking(lives, lives.more(BATCHES), {}):
            await kill_session(lives.url, _COMMITTING)
    finally:
        await hold_commits(lives.url, 0)


async def hold_commits(url: str, microseconds: int) -> None:
    """Let each commit wait before it is flushed, even if no other session commits."""
    await ask(url, f"alter system set commit_delay = {microseconds}")
    await ask(url, "alter system set commit_siblings = 0")
    await ask(url, "select pg_reload_conf()")
