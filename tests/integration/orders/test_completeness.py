"""Completeness: declared totals, gaps, silence, and the events about them."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import grpc
import pytest
from google.type import date_pb2
from oip.orders.v1 import events_pb2
from oip.orders.v1 import orders_pb2 as pb
from oip.type.v1 import type_pb2

from services.kernel.scope import Scope
from services.orders.commands.gaps import compare_days
from services.runtime.rpc.client import problem_of
from services.runtime.rpc.wire import enum_number
from tests.support.killed_orders import until
from tests.support.platforms import PEARL, SWIFT
from tests.support.stack_client import StackClient
from tests.support.uploads import NINE, NOW, as_rows, enrol, execute, row, upload_one

JULY = type_pb2.Month(year=2025, month=7)
TENTH = date(2025, 7, 10)
ONE_DAY = timedelta(days=1)


def totals(
    request_id: str, lines: dict[int, int], day: date = TENTH, industry: int = 1
) -> pb.DeclareOrderTotalsRequest:
    return pb.DeclareOrderTotalsRequest(
        request_id=request_id,
        platform=f"platforms/{SWIFT}",
        service_date=date_pb2.Date(year=day.year, month=day.month, day=day.day),
        order_count=sum(lines.values()),
        tallies=[
            pb.OrderTally(pooling_area=str(area), industry=enum_number(industry), order_count=count)
            for area, count in lines.items()
        ],
    )


async def declare(
    client: StackClient, request_id: str, lines: dict[int, int], day: date = TENTH
) -> pb.OrderTotals:
    stub = client.orders("platform", platform=SWIFT)
    return await stub.DeclareOrderTotals(totals(request_id, lines, day))


Shown = tuple[int, str, int, int, int, str]


async def gaps(client: StackClient, month: type_pb2.Month = JULY) -> list[Shown]:
    answer = await client.orders("fund_officer").ListOrderGaps(
        pb.ListOrderGapsRequest(month=month, page_size=1000)
    )
    return [shown(one) for one in answer.gaps]


def shown(gap: pb.OrderGap) -> Shown:
    return (
        gap.service_date.day,
        gap.pooling_area,
        gap.declared_count,
        gap.held_count,
        gap.late_count,
        pb.OrderGap.Kind.Name(gap.kind),
    )


async def published(client: StackClient) -> list[events_pb2.OrderGapFound]:
    return await client.published("orders", events_pb2.OrderGapFound)


async def test_gaps_between_declared_and_held_orders_are_listed_and_published(
    new_client: StackClient,
) -> None:
    new_client.clock.set(NINE + 4 * ONE_DAY)
    await upload_one(
        new_client,
        as_rows("b1", [row("a"), row("b"), row("far", accepted=NINE + timedelta(days=3))]),
    )
    first = await declare(new_client, "t1", {440100: 3, 440600: 1})

    assert first.revision == 1
    assert await gaps(new_client) == [
        (10, "440100", 3, 2, 2, "MISSING"),
        (10, "440600", 1, 0, 0, "MISSING"),
        (11, "", 0, 0, 0, "SILENCE"),
        (12, "", 0, 0, 0, "SILENCE"),
        (13, "440100", 0, 1, 0, "UNDECLARED"),
    ]

    await upload_one(
        new_client,
        as_rows("b2", [row("c"), row("d", place_of_acceptance=440600), row("e", worker=2)]),
    )
    assert (10, "440100", 3, 4, 4, "SURPLUS") in await gaps(new_client)

    await declare(new_client, "t2", {440100: 4, 440600: 1})
    # An event may come twice; each revision says one thing.
    events = list({one.revision: one for one in await published(new_client)}.values())
    assert [one.revision for one in events] == [1, 2, 3]
    kinds = [[pb.OrderGap.Kind.Name(gap.kind) for gap in one.gaps] for one in events]
    assert kinds == [["MISSING"] * 2, ["SURPLUS", "LATE_ARRIVALS"], ["LATE_ARRIVALS"] * 2]


async def test_what_came_after_the_declaration_is_late_though_the_counts_agree(
    new_client: StackClient,
) -> None:
    new_client.clock.set(NINE + timedelta(hours=2))
    await upload_one(new_client, as_rows("b1", [row("a")]))
    await declare(new_client, "t1", {440100: 2})
    new_client.clock.set(NINE + timedelta(hours=3))
    await upload_one(new_client, as_rows("b2", [row("b")]))
    assert await gaps(new_client) == [(10, "440100", 2, 2, 1, "LATE_ARRIVALS")]

    await declare(new_client, "t2", {440100: 2})
    assert await gaps(new_client) == []
    assert [len(one.gaps) for one in await published(new_client)] == [1, 1, 0]


async def test_a_platform_that_stops_is_silent_in_every_month_since(client: StackClient) -> None:
    await enrol(client, 1, platform=PEARL)
    await upload_one(client, as_rows("b1", [row("a", accepted=NINE - timedelta(days=60))]))
    await upload_one(client, as_rows("b1", [row("a")], PEARL), PEARL)

    listed = await client.orders("fund_officer").ListOrderGaps(
        pb.ListOrderGapsRequest(month=type_pb2.Month(year=2025, month=6), page_size=1000)
    )
    silent = [(one.platform, one.service_date.day) for one in listed.gaps]
    assert silent == [(f"platforms/{SWIFT}", day) for day in range(1, 31)]
    listed = await client.orders("fund_officer").ListOrderGaps(
        pb.ListOrderGapsRequest(month=JULY, page_size=1000)
    )
    days = [one.service_date.day for one in listed.gaps if one.platform == f"platforms/{PEARL}"]
    assert days == list(range(10, 32))
    # It is the morning of the first of August: that day is not over.
    august = type_pb2.Month(year=2025, month=8)
    assert await gaps(client, august) == []


async def test_orders_taken_back_leave_silence(client: StackClient) -> None:
    await upload_one(client, as_rows("b1", [row("a"), row("b", accepted=NINE + ONE_DAY)]))
    gone = row("b", revision=2, accepted=NINE + ONE_DAY, state=pb.REVERSED, reason="test")
    await upload_one(client, as_rows("b2", [gone]))

    assert (11, "", 0, 0, 0, "SILENCE") in await gaps(client)


async def test_gaps_are_paged(client: StackClient) -> None:
    await enrol(client, 1, platform=PEARL)
    await upload_one(client, as_rows("b1", [row("a"), row("b", place_of_acceptance=440600)]))
    await upload_one(client, as_rows("b1", [row("a", accepted=NINE + 15 * ONE_DAY)], PEARL), PEARL)
    stub, seen, token = client.orders("administrator"), list[pb.OrderGap](), ""
    while True:
        page = await stub.ListOrderGaps(
            pb.ListOrderGapsRequest(month=JULY, page_size=7, page_token=token)
        )
        seen += page.gaps
        token = page.next_page_token
        if not token:
            break
    whole = await stub.ListOrderGaps(pb.ListOrderGapsRequest(month=JULY, page_size=1000))

    assert seen == list(whole.gaps)
    assert len(seen) == 7 + 23
    own = await client.orders("platform", platform=PEARL).ListOrderGaps(
        pb.ListOrderGapsRequest(month=JULY)
    )
    assert list(own.gaps) == [one for one in seen if one.platform == f"platforms/{PEARL}"]
    with pytest.raises(grpc.RpcError) as refused:
        await stub.ListOrderGaps(pb.ListOrderGapsRequest(month=JULY, page_token="YWJj"))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_silence_is_published_when_a_day_is_over_and_withdrawn_by_orders(
    new_client: StackClient,
) -> None:
    new_client.clock.set(NINE + timedelta(hours=1))
    await upload_one(new_client, as_rows("b1", [row("a")]))
    await declare(new_client, "t1", {440100: 1})
    assert await published(new_client) == []

    midnight = NINE - timedelta(hours=9)
    new_client.clock.set(midnight + 2 * ONE_DAY - timedelta(seconds=1))
    await asyncio.sleep(2.5)
    assert await published(new_client) == []
    new_client.clock.set(midnight + 2 * ONE_DAY)

    async def is_published(count: int = 1) -> bool:
        return len(await published(new_client)) == count

    await until(is_published, 10)
    (silence,) = await published(new_client)
    assert (silence.platform, silence.service_date.day, silence.revision) == (
        f"platforms/{SWIFT}",
        11,
        1,
    )
    assert [shown(one) for one in silence.gaps] == [(11, "", 0, 0, 0, "SILENCE")]

    new_client.clock.set(midnight + 2 * ONE_DAY + timedelta(hours=10))
    await upload_one(new_client, as_rows("b2", [row("b", accepted=NINE + ONE_DAY)]))
    (_, undeclared) = await published(new_client)
    assert [shown(one) for one in undeclared.gaps] == [(11, "440100", 0, 1, 0, "UNDECLARED")]
    await upload_one(new_client, as_rows("b3", [row("c", accepted=NINE + ONE_DAY)]))
    await asyncio.sleep(1.5)
    assert await is_published(2)


async def test_a_restarted_comparison_publishes_nothing_twice(client: StackClient) -> None:
    await upload_one(client, as_rows("b1", [row("a")]))

    async def compare(day: date) -> int:
        async with client.database("orders").begin(Scope(platform=SWIFT)) as tx:
            return await compare_days(tx, SWIFT, day, NOW)

    assert [await compare(date(2025, 8, 1)) for _ in range(2)] == [22, 0]
    assert [await compare(date(2025, 8, 2)) for _ in range(2)] == [1, 0]
    assert await compare(date(2026, 8, 1)) == 62


async def test_declarations_and_batches_side_by_side_leave_one_true_comparison(
    client: StackClient,
) -> None:
    await upload_one(client, as_rows("b0", [row("a")]))
    declared = [declare(client, f"t{n}", {440100: n}) for n in range(5, 15)]
    batches = [upload_one(client, as_rows(f"u{n}", [row(f"u-{n}")])) for n in range(7)]

    answers = await asyncio.gather(*declared, *batches)

    assert sorted(one.revision for one in answers[:10] if isinstance(one, pb.OrderTotals)) == list(
        range(1, 11)
    )
    ((newest, count),) = await execute(
        client,
        "select revision, order_count from orders.order_totals order by revision desc limit 1",
    )
    assert newest == 10
    last = (await published(client))[-1]
    kind = "MISSING" if count > 8 else "SURPLUS" if count < 8 else "LATE_ARRIVALS"
    assert [shown(one) for one in last.gaps] == [(10, "440100", count, 8, 8, kind)]
    assert [one for one in await gaps(client) if one[0] == 10] == [shown(one) for one in last.gaps]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (totals("a", {440100: 5}, date(2099, 1, 1)), "OUT_OF_RANGE"),
        (totals("a", {440100: 5}, date(2025, 8, 2)), "TOTALS_DAY_OUTSIDE"),
        (totals("a", {440100: 5}, date(1999, 1, 1)), "OUT_OF_RANGE"),
        (totals("a", {440100: 5}, date(2022, 6, 30)), "OUT_OF_RANGE"),
        (totals("a", {999999: 5}), "TOTALS_AREA_UNKNOWN"),
        (totals("a", {440106: 5}), "TOTALS_AREA_UNKNOWN"),
        (totals("a", {440100: 5}, industry=77), "UNKNOWN_CHOICE"),
        (totals("a", {440100: 5}, industry=0), "TOTALS_INDUSTRY_UNKNOWN"),
        (totals("a", {440100: -5}), "OUT_OF_RANGE"),
        (
            pb.DeclareOrderTotalsRequest(
                request_id="a",
                platform=f"platforms/{SWIFT}",
                service_date=date_pb2.Date(year=2025, month=7, day=10),
                order_count=5,
            ),
            "MALFORMED",
        ),
    ],
)
async def test_totals_that_cannot_be_are_refused(
    client: StackClient, request_: pb.DeclareOrderTotalsRequest, reason: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.orders("platform", platform=SWIFT).DeclareOrderTotals(request_)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert problem_of(refused.value).reason == reason
    assert await execute(client, "select count(*) from orders.order_totals") == [(0,)]


async def test_totals_of_the_first_day_of_the_scheme_and_of_today_are_taken(
    client: StackClient,
) -> None:
    for day in (date(2022, 7, 1), date(2025, 8, 1)):
        assert (await declare(client, f"t-{day}", {440100: 1}, day)).revision == 1
