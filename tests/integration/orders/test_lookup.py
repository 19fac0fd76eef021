from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.type import date_pb2
from oip.orders.v1 import orders_pb2 as pb
from oip.type.v1 import type_pb2

from services.orders.domain.records import Record
from services.orders.store import records
from services.runtime.rpc.access import Caller, set_caller
from services.runtime.rpc.wire import moment_to_wire
from services.runtime.service.requests import read
from services.runtime.storage.database import Transaction
from tests.support.uploading import NINE, PEARL, OrderDesk, as_rows, row

# Connections for questions.
POOLED = 4
TENTH = date_pb2.Date(year=2025, month=7, day=10)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


async def find(
    desk: OrderDesk, moment: datetime, margin: timedelta = timedelta(), worker: int = 1
) -> list[tuple[str, bool, bool]]:
    answer = await desk.at("adjudicator").FindOrders(
        pb.FindOrdersRequest(
            worker=f"workers/{worker}",
            moment=moment_to_wire(moment),
            margin=Duration(seconds=int(margin.total_seconds())),
        )
    )
    return [(one.record.row.order_no, one.under_way, one.concurrent) for one in answer.orders]


async def freeze(desk: OrderDesk, moment: datetime, request_id: str = "freeze-1") -> int:
    answer = await desk.at("service").FreezeOrders(
        pb.FreezeOrdersRequest(
            request_id=request_id,
            worker="workers/1",
            moment=moment_to_wire(moment),
            holder="accidentReports/a1",
        )
    )
    return answer.record_count


async def test_orders_under_way_are_found_across_platforms(desk: OrderDesk) -> None:
    await desk.enrol(1, platform=PEARL)
    await desk.receipt(
        as_rows("b1", [row("a"), row("later", accepted=NINE + minutes(60)), row("x", worker=2)])
    )
    overlapping = row("b", accepted=NINE + minutes(20), ended=NINE + minutes(50))
    await desk.receipt(as_rows("b1", [overlapping], PEARL), PEARL)

    assert await find(desk, NINE + minutes(25)) == [("a", True, True), ("b", True, True)]
    assert await find(desk, NINE + minutes(40)) == [("b", True, False)]
    assert await find(desk, NINE + minutes(55)) == []
    assert await find(desk, NINE + minutes(55), minutes(5)) == [
        ("b", False, False),
        ("later", False, False),
    ]
    assert await find(desk, NINE - minutes(1)) == []
    assert await find(desk, NINE) == [("a", True, False)]
    assert await find(desk, NINE + minutes(30), worker=2) == [("x", True, False)]


async def test_only_the_latest_revision_is_found(desk: OrderDesk) -> None:
    await desk.receipt(as_rows("b1", [row("a", state=1, ended=None), row("b")]))
    assert await find(desk, NINE + timedelta(days=2)) == [("a", True, False)]

    corrections = [row("a", revision=2), row("b", revision=2, worker=3)]
    await desk.receipt(as_rows("b2", corrections))

    assert await find(desk, NINE + minutes(10)) == [("a", True, False)]
    assert await find(desk, NINE + timedelta(days=2)) == []
    assert await find(desk, NINE + minutes(10), worker=3) == [("b", True, False)]


async def test_freezing_twice_gives_the_first_answer(desk: OrderDesk) -> None:
    await desk.receipt(as_rows("b1", [row("a")]))

    first = await freeze(desk, NINE)
    await desk.receipt(as_rows("b2", [row("b")]))

    assert (first, await freeze(desk, NINE), await freeze(desk, NINE, "freeze-2")) == (1, 1, 2)


async def test_a_workers_day_is_paged_by_acceptance(desk: OrderDesk) -> None:
    midnight = NINE - timedelta(hours=9)
    rows = [row(f"o-{n}", accepted=midnight + timedelta(hours=5 * n - 1)) for n in range(6)]
    await desk.receipt(as_rows("b1", [*rows, row("o-2", revision=2, accepted=NINE)]))
    stub, seen, token = desk.at("worker_agent"), list[str](), ""
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


async def test_a_look_up_goes_on_although_all_connections_died(desk: OrderDesk) -> None:
    running = desk.running.contexts["orders"]
    set_caller(Caller("li", frozenset({type_pb2.Access.ADJUDICATOR}), ""))

    async def near(tx: Transaction) -> list[Record]:
        return await records.revisions_near(tx, 1, NINE, minutes(60), 0)

    async with AsyncExitStack() as held:
        for _ in range(POOLED):
            await held.enter_async_context(context.database.read())
    await desk.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and application_name = 'oip_orders'"
    )

    assert await read(running, near) == []
