from __future__ import annotations

from datetime import datetime, timedelta

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.type import date_pb2
from oip.orders.v1 import orders_pb2 as pb
from oip.type.v1 import type_pb2

from services.runtime.wire import moment_to_wire
from tests.support.uploading import NINE, PEARL, SWIFT, OrderDesk, as_rows, row

JULY = type_pb2.Month(year=2025, month=7)
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


async def declare(desk: OrderDesk, request_id: str, **lines: int) -> pb.OrderTotals:
    return await desk.at("platform", platform=SWIFT).DeclareOrderTotals(
        pb.DeclareOrderTotalsRequest(
            request_id=request_id,
            platform=f"platforms/{SWIFT}",
            service_date=TENTH,
            order_count=sum(lines.values()),
            tallies=[
                pb.OrderTally(pooling_area=area[1:], industry=type_pb2.RIDE_HAILING, order_count=n)
                for area, n in lines.items()
            ],
        )
    )


async def gaps(desk: OrderDesk) -> list[tuple[int, str, int, int, int, str]]:
    answer = await desk.at("fund_officer").ListOrderGaps(pb.ListOrderGapsRequest(month=JULY))
    return [
        (
            one.service_date.day,
            one.pooling_area,
            one.declared_count,
            one.held_count,
            one.late_count,
            pb.OrderGap.Kind.Name(one.kind),
        )
        for one in answer.gaps
    ]


async def test_gaps_between_declared_and_held_orders_are_listed_and_told(desk: OrderDesk) -> None:
    await desk.receipt(
        as_rows("b1", [row("a"), row("b"), row("far", accepted=NINE + timedelta(days=3))])
    )
    totals = await declare(desk, "t1", a440100=3, a440600=1)

    assert totals.revision == 1
    assert await gaps(desk) == [
        (10, "440100", 3, 2, 2, "MISSING"),
        (10, "440600", 1, 0, 0, "MISSING"),
        (11, "", 0, 0, 0, "SILENCE"),
        (12, "", 0, 0, 0, "SILENCE"),
        (13, "440100", 0, 1, 1, "UNDECLARED"),
    ]

    await desk.receipt(
        as_rows("b2", [row("c"), row("d", place_of_acceptance=440600), row("e", worker=2)])
    )
    assert (10, "440100", 3, 4, 4, "SURPLUS") in await gaps(desk)

    await declare(desk, "t2", a440100=4, a440600=1)
    assert [one for one in await gaps(desk) if one[0] == 10] == []
    told = await desk.execute(
        "select payload from orders.outbox where subject like '%%GapFound' order by id"
    )
    from oip.orders.v1 import events_pb2

    events = [events_pb2.OrderGapFound.FromString(payload) for (payload,) in told]
    assert [(one.revision, len(one.gaps)) for one in events] == [(1, 2), (2, 1), (3, 0)]


async def test_totals_that_do_not_add_up_are_refused(desk: OrderDesk) -> None:
    request = pb.DeclareOrderTotalsRequest(
        request_id="t1", platform=f"platforms/{SWIFT}", service_date=TENTH, order_count=5
    )

    with pytest.raises(grpc.RpcError) as refused:
        await desk.at("platform", platform=SWIFT).DeclareOrderTotals(request)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
