"""Records that arrive after an accident report can neither hide nor change the order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from oip.orders.v1 import orders_pb2 as pb

from services.runtime.rpc.wire import moment_to_wire
from tests.support.platforms import SWIFT
from tests.support.stack_client import StackClient
from tests.support.uploads import NINE, NOW, as_rows, row, upload_one

ACCIDENT = NINE + timedelta(minutes=10)
HOUR = timedelta(hours=1)
REVERSED = {"state": pb.REVERSED, "reason": "test order"}


async def report(client: StackClient, worker: int = 1) -> None:
    """An accident is reported, and an hour goes by."""
    await client.orders("service").FreezeOrders(
        pb.FreezeOrdersRequest(
            request_id=f"freeze-{worker}",
            worker=f"workers/{worker}",
            moment=moment_to_wire(ACCIDENT),
            holder="accidentReports/a1",
        )
    )
    client.clock.set(client.clock.now() + HOUR)


async def find(client: StackClient, worker: int = 1) -> list[pb.FindOrdersResponse.FoundOrder]:
    answer = await client.orders("adjudicator").FindOrders(
        pb.FindOrdersRequest(
            worker=f"workers/{worker}",
            moment=moment_to_wire(ACCIDENT),
            margin=Duration(seconds=3600),
        )
    )
    return list(answer.orders)


def seen(order: pb.FindOrdersResponse.FoundOrder) -> tuple[int, bool, list[int]]:
    """The revision by which the order is found, whether it is late, and the late revisions."""
    assert all(record.late for record in order.late_revisions)
    late = [record.row.revision for record in order.late_revisions]
    return order.record.row.revision, order.record.late, late


async def late_marks(client: StackClient, order_no: str) -> list[bool]:
    name = f"platforms/{SWIFT}/orders/{order_no}"
    order = await client.orders("adjudicator").GetOrder(pb.GetOrderRequest(name=name))
    return [one.late for one in order.revisions]


@pytest.mark.parametrize(
    "change",
    [
        {"worker": 2},
        {**REVERSED, "worker": 2},
        REVERSED,
        {"accepted": NINE - timedelta(days=3)},
        {**REVERSED, "accepted": NINE - timedelta(days=3)},
        {"ended": NINE + timedelta(minutes=1)},
        {"accepted": NINE + timedelta(minutes=11)},
        {"state": pb.CANCELLED, "ended": NINE + timedelta(minutes=2)},
    ],
)
async def test_no_late_correction_hides_or_changes_what_is_found(
    client: StackClient, change: dict[str, Any]
) -> None:
    await upload_one(client, as_rows("b1", [row("a")]))
    await report(client)
    await upload_one(client, as_rows("b2", [row("a", revision=2, **change)]))

    assert [seen(one) for one in await find(client)] == [(1, False, [2])]
    assert await late_marks(client, "a") == [False, True]


async def test_a_chain_of_late_corrections_leads_nowhere(client: StackClient) -> None:
    away = {"worker": 2, "accepted": NINE - timedelta(days=3)}
    await upload_one(client, as_rows("b1", [row("a")]))
    await report(client)
    await upload_one(client, as_rows("b2", [row("a", revision=2, **away)]))
    await upload_one(client, as_rows("b3", [row("a", revision=3, **REVERSED, **away)]))

    assert [seen(one) for one in await find(client)] == [(1, False, [2, 3])]
    assert await late_marks(client, "a") == [False, True, True]
    assert await find(client, worker=2) == []


async def test_a_correction_before_the_report_decides(client: StackClient) -> None:
    await upload_one(client, as_rows("b1", [row("a"), row("b")]))
    moved = [row("a", revision=2, worker=2), row("b", revision=2, ended=NINE + HOUR)]
    await upload_one(client, as_rows("b2", moved))
    await report(client)

    assert [seen(one) for one in await find(client)] == [(2, False, [])]
    assert [seen(one) for one in await find(client, worker=2)] == [(2, False, [])]


async def test_a_record_that_names_the_worker_only_later_is_found_and_marked(
    client: StackClient,
) -> None:
    await upload_one(client, as_rows("b1", [row("moved", worker=2)]))
    await report(client)
    await upload_one(client, as_rows("b2", [row("moved", revision=2), row("first")]))
    gone = [row("first", revision=2, worker=3), row("moved", revision=3, **REVERSED)]
    await upload_one(client, as_rows("b3", gone))

    assert [seen(one) for one in await find(client)] == [
        (1, True, [2]),
        (2, True, [3]),
    ]
    assert await late_marks(client, "first") == [True, True]
    # To worker 2, of whom no accident was reported, the first revision still counts.
    assert [seen(one) for one in await find(client, worker=2)] == [(1, False, [2, 3])]


async def test_an_order_that_a_later_revision_leads_under_a_report_was_not_late_before(
    client: StackClient,
) -> None:
    await report(client, worker=3)
    await upload_one(client, as_rows("b1", [row("a")]))
    await upload_one(client, as_rows("b2", [row("a", revision=2, worker=3)]))

    assert await late_marks(client, "a") == [False, True]
    assert [seen(one) for one in await find(client)] == [(1, False, [2])]


@pytest.mark.parametrize("received", [ACCIDENT - HOUR / 20, NOW])
async def test_an_order_reversed_before_the_report_is_found_as_reversed(
    new_client: StackClient, received: Any
) -> None:
    new_client.clock.set(received)
    open_order = row("a", state=pb.ACCEPTED, ended=None)
    await upload_one(new_client, as_rows("b1", [open_order]))
    await upload_one(new_client, as_rows("b2", [row("a", revision=2, ended=None, **REVERSED)]))
    await report(new_client)

    (one,) = await find(new_client)
    assert seen(one) == (2, False, [])
    assert one.record.row.state == pb.REVERSED


async def test_a_workers_day_shows_the_latest_revisions_with_their_marks(
    client: StackClient,
) -> None:
    await upload_one(client, as_rows("b1", [row("a"), row("b"), row("c")]))
    await report(client)
    changes = [row("a", revision=2, worker=2), row("b", revision=2, accepted=NINE + HOUR)]
    await upload_one(client, as_rows("b2", changes))
    tenth = {"year": 2025, "month": 7, "day": 10}

    async def day(worker: int) -> list[tuple[str, int, bool]]:
        answer = await client.orders("worker_agent").ListWorkerOrders(
            pb.ListWorkerOrdersRequest(worker=f"workers/{worker}", accept_date=tenth)
        )
        return [(one.row.order_no, one.row.revision, one.late) for one in answer.records]

    assert await day(1) == [("c", 1, False), ("b", 2, True)]
    assert await day(2) == [("a", 2, True)]
