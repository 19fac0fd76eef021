from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.type import date_pb2
from oip.orders.v1 import orders_pb2 as pb
from oip.type.v1 import type_pb2

from services.orders.domain.orders import Record
from services.orders.store import orders as order_store
from services.runtime.rpc.access import Caller, set_caller
from services.runtime.rpc.wire import moment_to_wire
from services.runtime.service.requests import read
from services.runtime.storage.database import Transaction
from tests.support.platforms import PEARL
from tests.support.stack_client import StackClient
from tests.support.uploads import NINE, as_rows, enrol, execute, row, upload_one

# Connections for queries.
POOLED = 4
TENTH = date_pb2.Date(year=2025, month=7, day=10)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


async def find(
    client: StackClient, moment: datetime, margin: timedelta = timedelta(), worker: int = 1
) -> list[str]:
    answer = await client.orders("adjudicator").FindOrders(
        pb.FindOrdersRequest(
            worker=f"workers/{worker}",
            moment=moment_to_wire(moment),
            margin=Duration(seconds=int(margin.total_seconds())),
        )
    )
    return [one.record.row.order_no for one in answer.orders]


async def freeze(client: StackClient, moment: datetime, request_id: str = "freeze-1") -> int:
    answer = await client.orders("service").FreezeOrders(
        pb.FreezeOrdersRequest(
            request_id=request_id,
            worker="workers/1",
            moment=moment_to_wire(moment),
            holder="accidentReports/a1",
        )
    )
    return answer.record_count


async def test_orders_near_a_moment_are_found_across_platforms(client: StackClient) -> None:
    await enrol(client, 1, platform=PEARL)
    await upload_one(
        client,
        as_rows("b1", [row("a"), row("later", accepted=NINE + minutes(60)), row("x", worker=2)]),
    )
    overlapping = row("b", accepted=NINE + minutes(20), ended=NINE + minutes(50))
    await upload_one(client, as_rows("b1", [overlapping], PEARL), PEARL)

    assert await find(client, NINE + minutes(25)) == ["a", "b"]
    assert await find(client, NINE + minutes(40)) == ["b"]
    assert await find(client, NINE + minutes(55)) == []
    assert await find(client, NINE + minutes(55), minutes(5)) == [
        "b",
        "later",
    ]
    assert await find(client, NINE - minutes(1)) == []
    assert await find(client, NINE) == ["a"]
    assert await find(client, NINE + minutes(30), worker=2) == ["x"]


async def test_an_order_is_found_by_its_latest_revision_and_by_each_worker(
    client: StackClient,
) -> None:
    await upload_one(client, as_rows("b1", [row("a", state=1, ended=None), row("b")]))
    assert await find(client, NINE + timedelta(days=2)) == ["a"]

    corrections = [row("a", revision=2), row("b", revision=2, worker=3)]
    await upload_one(client, as_rows("b2", corrections))

    assert await find(client, NINE + minutes(10)) == ["a", "b"]
    assert await find(client, NINE + minutes(10), worker=3) == ["b"]


async def test_freezing_twice_gives_the_first_answer(client: StackClient) -> None:
    await upload_one(client, as_rows("b1", [row("a")]))

    first = await freeze(client, NINE)
    await upload_one(client, as_rows("b2", [row("b")]))

    assert (first, await freeze(client, NINE), await freeze(client, NINE, "freeze-2")) == (1, 1, 2)


async def test_a_workers_day_is_paged_by_acceptance(client: StackClient) -> None:
    midnight = NINE - timedelta(hours=9)
    rows = [row(f"o-{n}", accepted=midnight + timedelta(hours=5 * n - 1)) for n in range(6)]
    await upload_one(client, as_rows("b1", [*rows, row("o-2", revision=2, accepted=NINE)]))
    stub, seen, token = client.orders("worker_agent", person="workers/1"), list[str](), ""
    while True:
        page = await stub.ListWorkerOrders(
            pb.ListWorkerOrdersRequest(
                worker="workers/1", accept_date=TENTH, page_size=2, page_token=token
            )
        )
        seen += [f"{one.row.order_no}.{one.row.revision}" for one in page.records]
        token = page.next_page_token
        if not token:
            break

    assert seen == ["o-1.1", "o-2.2", "o-3.1", "o-4.1"]


async def test_a_look_up_goes_on_although_all_connections_died(client: StackClient) -> None:
    context = client.context("orders")
    set_caller(Caller("li", frozenset({type_pb2.Access.ADJUDICATOR}), ""))

    async def near(tx: Transaction) -> list[Record]:
        return await order_store.list_revisions_near(tx, 1, NINE, minutes(60), 0)

    async with AsyncExitStack() as connections:
        for _ in range(POOLED):
            await connections.enter_async_context(context.database.read())
    await execute(
        client,
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and application_name = 'oip_orders'",
    )

    assert await read(context, near) == []
