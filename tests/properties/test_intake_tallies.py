"""Whatever a platform sends, in whatever order and however often: the tallies are the recount."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.orders.__main__ import SERVICE
from services.runtime.clock import SetClock
from services.runtime.settings import Settings
from services.runtime.stack import stack as run_stack
from tests.support.databases import Databases
from tests.support.uploading import NINE, NOW, OrderDesk, as_rows, row

EXAMPLES = 25


@pytest.fixture(scope="module")
async def desk(stack: Settings, databases: Databases) -> AsyncIterator[OrderDesk]:
    url = await databases.fresh("orders")
    filled = stack.model_copy(update={"database_url": url})
    async with run_stack([SERVICE], filled, clock=SetClock(NOW), any_port=True, grace=1) as running:
        desk = OrderDesk(running)
        await desk.enrol(1, 2)
        yield desk
        await desk.close()


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    state = draw(st.integers(1, 4))
    accepted = NINE + timedelta(days=draw(st.integers(0, 2)), hours=draw(st.sampled_from((0, 14))))
    return row(
        f"o-{draw(st.integers(0, 6))}",
        revision=draw(st.integers(1, 4)),
        worker=draw(st.integers(1, 3)),
        state=state,
        accepted=accepted,
        ended=None if state == 1 else accepted + timedelta(hours=1),
        place_of_acceptance=draw(st.sampled_from((440100, 440606, 110105))),
        reason="test" if state == 4 else "",
        industry=draw(st.integers(1, 2)),
    )


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    batches=st.lists(st.lists(rows(), min_size=1, max_size=8), min_size=1, max_size=5),
    again=st.lists(st.integers(0, 4), max_size=3),
    number=st.integers(0, 2**62),
)
def test_tallies_are_the_recount(
    desk: OrderDesk, batches: list[list[dict[str, Any]]], again: list[int], number: int
) -> None:
    import asyncio

    loop = asyncio.get_event_loop_policy().get_event_loop()
    loop.run_until_complete(_check(desk, batches, again, number))


async def _check(
    desk: OrderDesk, batches: list[list[dict[str, Any]]], again: list[int], number: int
) -> None:
    for sent in batches:
        for one in sent:
            one["order_no"] = f"{number}-{one['order_no']}"
    resent = [batches[index] for index in again if index < len(batches)]
    requests = [
        as_rows(f"b-{number}-{place}", sent) for place, sent in enumerate([*batches, *resent])
    ]
    for answer in await desk.upload(*requests):
        receipt = answer.receipt
        assert receipt.received_count == (
            receipt.created_count
            + receipt.exists_count
            + receipt.conflict_count
            + receipt.rejected_count
        )
    async with desk.running.running["orders"].database.begin() as tx:
        checks = await SERVICE.verify(tx)
    assert [one for one in checks if not one.holds] == []
