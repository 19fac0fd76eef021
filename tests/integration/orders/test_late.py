"""Records that arrive after an accident report can neither hide nor change the order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from oip.orders.v1 import orders_pb2 as pb

from services.runtime.rpc.wire import moment_from_wire, moment_to_wire
from tests.support.platforms import SWIFT
from tests.support.stack_client import StackClient
from tests.support.uploads import NINE, as_rows, row, upload_one

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
    """The revision by which the order is found, whether it is late, and the later revisions."""
    later = [record.row.revision for record in order.later_revisions]
    return order.record.row.revision, order.record.late, later


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


async def test_a_correction_before_the_report_stands_if_it_leaves_the_moment_to_the_worker(
    client: StackClient,
) -> None:
    await upload_one(client, as_rows("b1", [row("a"), row("b")]))
    moved = [row("a", revision=2, worker=2), row("b", revision=2, ended=NINE + HOUR)]
    await upload_one(client, as_rows("b2", moved))
    await report(client)

    assert [seen(one) for one in await find(client)] == [(1, False, [2]), (2, False, [])]
    assert [seen(one) for one in await find(client, worker=2)] == [(2, False, [])]


@pytest.mark.parametrize(
    "change",
    [
        {"worker": 2, "accepted": NINE + timedelta(minutes=4)},
        {"ended": NINE + timedelta(minutes=9)},
        {"accepted": NINE + timedelta(minutes=11)},
        REVERSED,
    ],
)
async def test_no_correction_before_the_report_takes_the_moment_away(
    new_client: StackClient, change: dict[str, Any]
) -> None:
    """Cases 1 and 2: known before the accident, changed after it, reported after three days."""
    new_client.clock.set(NINE + timedelta(minutes=1))
    await upload_one(new_client, as_rows("b1", [row("a", state=pb.ACCEPTED, ended=None)]))
    new_client.clock.set(NINE + HOUR)
    await upload_one(new_client, as_rows("b2", [row("a", revision=2)]))
    new_client.clock.set(NINE + 24 * HOUR)
    await upload_one(new_client, as_rows("b3", [row("a", revision=3, **change)]))
    new_client.clock.set(NINE + 72 * HOUR)
    await report(new_client)

    assert [seen(one) for one in await find(new_client)] == [(2, False, [3])]


async def test_an_order_handed_over_before_the_accident_has_ended_for_the_first_worker(
    new_client: StackClient,
) -> None:
    taken = row("a", state=pb.ACCEPTED, ended=None)
    accepted = NINE + timedelta(minutes=4)
    handed = row("a", revision=2, worker=2, state=pb.ACCEPTED, accepted=accepted, ended=None)
    new_client.clock.set(NINE + timedelta(minutes=5))
    await upload_one(new_client, as_rows("b1", [taken]))
    await upload_one(new_client, as_rows("b2", [handed]))
    new_client.clock.set(NINE + HOUR)
    await upload_one(new_client, as_rows("b3", [{**row("a", revision=3), "worker": 2}]))
    await report(new_client)

    (of_first,) = await find(new_client)
    assert seen(of_first) == (1, False, [3])
    assert moment_from_wire(of_first.leg_end_time, "leg_end_time") == accepted
    (of_second,) = await find(new_client, worker=2)
    assert seen(of_second) == (3, False, [])


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


async def test_an_order_reversed_before_the_accident_is_found_as_reversed(
    new_client: StackClient,
) -> None:
    new_client.clock.set(ACCIDENT - HOUR / 20)
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
        answer = await client.orders("worker_agent", person=f"workers/{worker}").ListWorkerOrders(
            pb.ListWorkerOrdersRequest(worker=f"workers/{worker}", accept_date=tenth)
        )
        return [(one.row.order_no, one.row.revision, one.late) for one in answer.records]

    assert await day(1) == [("a", 1, False), ("c", 1, False), ("b", 2, True)]
    assert await day(2) == [("a", 2, True)]
