"""How the server answers the most frequent queries: by keys, whatever its statistics say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from services.orders.domain.resolutions import Verdict
from services.orders.store import orders as order_store
from services.orders.store import staging
from services.runtime.storage.database import driver_of
from services.runtime.storage.sessions import as_psycopg
from tests.support.platforms import PEARL, SWIFT
from tests.support.stack_client import StackClient
from tests.support.uploads import NINE, NOW, execute

HOUR = timedelta(hours=1)
PARTITION_COUNT = 8
EXISTS = str(int(Verdict.EXISTS))
# `auto_explain` sends the plan of whatever is run to this session.
EXPLAINING = (
    "load 'auto_explain'",
    "set auto_explain.log_min_duration = 0",
    "set auto_explain.log_analyze = on",
    "set client_min_messages = log",
    "set search_path = orders",
    "select set_config('oip.everything', 'on', false)",
)


@dataclass(frozen=True)
class Explained:
    """A session, and the plans of what it ran."""

    tx: AsyncConnection
    plans: list[str]

    async def plan_with(self, text: str) -> str:
        """The last plan with the text. A plan may arrive only with the next statement."""
        await self.tx.exec_driver_sql("select 1")
        return [plan for plan in self.plans if text in plan][-1]


def lines(plan: str, text: str) -> list[str]:
    return [line for line in plan.splitlines() if text in line]


@asynccontextmanager
async def explained(client: StackClient, role: str) -> AsyncIterator[Explained]:
    engine = create_async_engine(as_psycopg(client.stack.settings.database_url))
    try:
        async with engine.begin() as tx:
            session = Explained(tx, [])
            driver = await driver_of(tx)
            for one in (*EXPLAINING, f"set role {role}"):
                await driver.execute(one.encode())
            driver.add_notice_handler(lambda note: session.plans.append(note.message_primary or ""))
            yield session
    finally:
        await engine.dispose()


async def orders_of(client: StackClient, platform: str, count: int) -> None:
    await execute(
        client,
        "insert into orders.orders (batch_no, worker, accept_time, end_time, leaf_index, revision,"
        " place_of_acceptance, pooling_area, industry, state, platform, order_no)"
        " select 1 + n / 100, n %% 40, %s + n * interval '1 minute',"
        " %s + (n + 30) * interval '1 minute', n %% 100, 1, 440100, 440100, 1, 2, %s, 'o-' || n"
        " from generate_series(0, %s - 1) n",
        NINE,
        NINE,
        platform,
        count,
    )


async def batches_of(client: StackClient, count: int) -> None:
    await execute(
        client,
        "insert into orders.order_batch select n, %s, 'b' || n, n, 100, 100, 0, 0, 0, '{}',"
        " sha256('r'), sha256('c'), %s from generate_series(1, %s) n",
        SWIFT,
        NOW,
        count,
    )


async def test_the_look_up_reads_by_index_alone(new_client: StackClient) -> None:
    """One statement: an index range of the worker's, then the few orders by their keys."""
    await orders_of(new_client, SWIFT, 8000)
    await batches_of(new_client, 80)
    await execute(
        new_client,
        "insert into orders.order_freeze select n %% 40, %s + n * interval '1 hour',"
        " 'claims/' || n, %s from generate_series(1, 4000) n",
        NINE,
        NOW,
    )
    await execute(new_client, "analyze orders.orders, orders.order_batch, orders.order_freeze")
    week = 7 * 86_400_000_000

    async with explained(new_client, "oip_orders") as session:
        await order_store.list_revisions_near(session.tx, 7, NINE + 20 * HOUR, HOUR, week)
        plan = await session.plan_with("orders_7")

    assert not lines(plan, "Seq Scan"), plan
    assert not lines(plan, "Hash"), plan
    ranges = lines(plan, "Index Cond: ((worker = ")
    assert len(ranges) == PARTITION_COUNT, plan
    assert all("accept_time" in line and "end_time" in line for line in ranges), plan


async def test_staged_rows_are_looked_up_by_their_whole_key(new_client: StackClient) -> None:
    """Also for a platform that is missing in the statistics, because it began after them."""
    await orders_of(new_client, PEARL, 2000)
    await execute(new_client, "analyze orders.orders")
    await orders_of(new_client, SWIFT, 2000)

    async with explained(new_client, "oip_orders_intake") as session:
        await staging.insert_staged(session.tx, [])
        await session.tx.exec_driver_sql(
            "insert into staged select batch_no, worker, accept_time, pick_up_time, end_time,"
            " leaf_index, revision, place_of_acceptance, pooling_area, industry, state, platform,"
            f" order_no, reason from orders where platform = '{SWIFT}' and batch_no < 4"
        )
        for is_first in (True, False):
            resolution = await staging.list_verdicts(session.tx, SWIFT, NOW, is_first=is_first)

            assert resolution.verdicts == EXISTS * 300
            plan = await session.plan_with("orders_7")
            keys = lines(plan, "Index Cond: ((platform = ")
            assert len(keys) >= PARTITION_COUNT, plan
            assert all("order_no = " in line for line in keys), plan


async def test_the_revisions_of_an_order_that_changes_hands_are_looked_up_by_key(
    new_client: StackClient,
) -> None:
    await orders_of(new_client, SWIFT, 4000)
    await batches_of(new_client, 40)
    async with explained(new_client, "oip_orders_intake") as session:
        await staging.insert_staged(session.tx, [])
        await session.tx.exec_driver_sql(
            "insert into staged select 50, worker + leaf_index %% 2, accept_time, pick_up_time,"
            " end_time, row_number() over () - 1, 2, place_of_acceptance, pooling_area, industry,"
            " state, platform, order_no, reason from orders"
        )
        resolution = await staging.list_verdicts(session.tx, SWIFT, NOW, is_first=False)
        plan = await session.plan_with("orders_7")

    assert sum(count for *_, count in resolution.tallies) == 2000
    assert not [line for line in lines(plan, "on orders_") if "Index Scan" not in line], plan
    assert not lines(plan, "Seq Scan on orders"), plan


async def test_revisions_that_change_no_hands_read_no_other_revision(
    new_client: StackClient,
) -> None:
    """One look-up an order, and none of its batches: the latest revision held says enough."""
    await orders_of(new_client, SWIFT, 4000)
    await batches_of(new_client, 40)

    async with explained(new_client, "oip_orders_intake") as session:
        await staging.insert_staged(session.tx, [])
        await session.tx.exec_driver_sql(
            "insert into staged select 50, worker, accept_time, pick_up_time, end_time + interval"
            " '1 day', row_number() over () - 1, 2, place_of_acceptance, pooling_area, industry,"
            " state, platform, order_no, reason from orders"
        )
        resolution = await staging.list_verdicts(session.tx, SWIFT, NOW, is_first=False)
        plan = await session.plan_with("orders_7")

    assert sum(count for *_, count in resolution.tallies) == 0
    batches = lines(plan, "on order_batch")
    assert batches, plan
    assert all("never executed" in line for line in batches), plan
    # An order is looked up among those that change hands, never compared with each of them.
    assert not lines(plan, "Join Filter"), plan
