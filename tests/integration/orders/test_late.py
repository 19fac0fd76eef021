"""What a platform sends once an accident is reported can neither hide nor change the order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from oip.orders.v1 import orders_pb2 as pb

from services.runtime.base.clock import SetClock
from services.runtime.rpc.wire import moment_to_wire
from tests.support.uploading import NINE, NOW, SWIFT, OrderDesk, as_rows, row

ACCIDENT = NINE + timedelta(minutes=10)
HOUR = timedelta(hours=1)
REVERSED = {"state": pb.REVERSED, "reason": "test order"}


async def report(desk: OrderDesk, worker: int = 1) -> None:
    """An accident is reported, and an hour goes by."""
    await desk.at("service").FreezeOrders(
        pb.FreezeOrdersRequest(
            request_id=f"freeze-{worker}",
            worker=f"workers/{worker}",
            moment=moment_to_wire(ACCIDENT),
            holder="accidentReports/a1",
        )
    )
    clock = desk.context.clock
    assert isinstance(clock, SetClock)
    clock.set(clock.now() + HOUR)


async def found(desk: OrderDesk, worker: int = 1) -> list[pb.FindOrdersResponse.FoundOrder]:
    answer = await desk.at("adjudicator").FindOrders(
        pb.FindOrdersRequest(
            worker=f"workers/{worker}",
            moment=moment_to_wire(ACCIDENT),
            margin=Duration(seconds=3600),
        )
    )
    return list(answer.orders)


def seen(one: pb.FindOrdersResponse.FoundOrder) -> tuple[int, bool, bool, list[int]]:
    """Which revision was found, under way or not, late or not, and which came late beside it."""
    assert all(record.late for record in one.late_revisions)
    beside = [record.row.revision for record in one.late_revisions]
    return one.record.row.revision, one.under_way, one.record.late, beside


async def late_marks(desk: OrderDesk, order_no: str) -> list[bool]:
    name = f"platforms/{SWIFT}/orders/{order_no}"
    order = await desk.at("adjudicator").GetOrder(pb.GetOrderRequest(name=name))
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
    desk: OrderDesk, change: dict[str, Any]
) -> None:
    await desk.receipt(as_rows("b1", [row("a")]))
    await report(desk)
    await desk.receipt(as_rows("b2", [row("a", revision=2, **change)]))

    assert [seen(one) for one in await found(desk)] == [(1, True, False, [2])]
    assert await late_marks(desk, "a") == [False, True]


async def test_a_chain_of_late_corrections_leads_nowhere(desk: OrderDesk) -> None:
    away = {"worker": 2, "accepted": NINE - timedelta(days=3)}
    await desk.receipt(as_rows("b1", [row("a")]))
    await report(desk)
    await desk.receipt(as_rows("b2", [row("a", revision=2, **away)]))
    await desk.receipt(as_rows("b3", [row("a", revision=3, **REVERSED, **away)]))

    assert [seen(one) for one in await found(desk)] == [(1, True, False, [2, 3])]
    assert await late_marks(desk, "a") == [False, True, True]
    assert await found(desk, worker=2) == []


async def test_a_correction_before_the_report_decides(desk: OrderDesk) -> None:
    await desk.receipt(as_rows("b1", [row("a"), row("b")]))
    moved = [row("a", revision=2, worker=2), row("b", revision=2, ended=NINE + HOUR)]
    await desk.receipt(as_rows("b2", moved))
    await report(desk)

    assert [seen(one) for one in await found(desk)] == [(2, True, False, [])]
    assert [seen(one) for one in await found(desk, worker=2)] == [(2, True, False, [])]


async def test_a_record_that_names_the_worker_only_later_is_found_and_marked(
    desk: OrderDesk,
) -> None:
    await desk.receipt(as_rows("b1", [row("moved", worker=2)]))
    await report(desk)
    await desk.receipt(as_rows("b2", [row("moved", revision=2), row("first")]))
    gone = [row("first", revision=2, worker=3), row("moved", revision=3, **REVERSED)]
    await desk.receipt(as_rows("b3", gone))

    assert [seen(one) for one in await found(desk)] == [(1, True, True, [2]), (2, True, True, [3])]
    assert await late_marks(desk, "first") == [True, True]
    # To worker 2, of whom no accident was reported, the first revision still counts.
    assert [seen(one) for one in await found(desk, worker=2)] == [(1, True, False, [2, 3])]


async def test_an_order_that_a_later_revision_leads_under_a_report_was_not_late_before(
    desk: OrderDesk,
) -> None:
    await report(desk, worker=3)
    await desk.receipt(as_rows("b1", [row("a")]))
    await desk.receipt(as_rows("b2", [row("a", revision=2, worker=3)]))

    assert await late_marks(desk, "a") == [False, True]
    assert [seen(one) for one in await found(desk)] == [(1, True, False, [2])]


@pytest.mark.parametrize(("received", "under_way"), [(ACCIDENT - HOUR / 20, False), (NOW, True)])
async def test_an_order_reversed_before_the_report_is_found_as_reversed(
    desk: OrderDesk, received: Any, *, under_way: bool
) -> None:
    clock = desk.context.clock
    assert isinstance(clock, SetClock)
    clock.set(received)
    open_order = row("a", state=pb.ACCEPTED, ended=None)
    await desk.receipt(as_rows("b1", [open_order]))
    await desk.receipt(as_rows("b2", [row("a", revision=2, ended=None, **REVERSED)]))
    await report(desk)

    (one,) = await found(desk)
    assert seen(one) == (2, under_way, False, [])
    assert one.record.row.state == pb.REVERSED


async def test_a_workers_day_shows_the_latest_revisions_with_their_marks(desk: OrderDesk) -> None:
    await desk.receipt(as_rows("b1", [row("a"), row("b"), row("c")]))
    await report(desk)
    changes = [row("a", revision=2, worker=2), row("b", revision=2, accepted=NINE + HOUR)]
    await desk.receipt(as_rows("b2", changes))
    tenth = {"year": 2025, "month": 7, "day": 10}

    async def day(worker: int) -> list[tuple[str, int, bool]]:
        answer = await desk.at("worker_agent").ListWorkerOrders(
            pb.ListWorkerOrdersRequest(worker=f"workers/{worker}", accept_date=tenth)
        )
        return [(one.row.order_no, one.row.revision, one.late) for one in answer.records]

    assert await day(1) == [("c", 1, False), ("b", 2, True)]
    assert await day(2) == [("a", 2, True)]
