"""A claim is decided on what was known of the orders at the accident; what came later is shown.

Each history is on days of its own, because the batches of a platform never go back in time.
"""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from typing import Any

import pytest
from oip.claims.v1 import claims_pb2
from oip.orders.v1 import orders_pb2
from oip.type.v1 import type_pb2

from tests.integration.claims.conftest import (
    DAY,
    A,
    accept,
    at,
    determine,
    enrol,
    file,
    report,
    send,
)
from tests.support.stack_client import StackClient, refused

Judgement = claims_pb2.DetermineClaimRequest.Judgement
CONFIRMED = claims_pb2.Determination.CONFIRMED
REFUSED = claims_pb2.Determination.REFUSED
NOT_EXECUTING = (
    Judgement(finding="order_execution", met=False, reason="He had gone home long before."),
    Judgement(finding="way_home", met=False, reason="He was on his way to a friend."),
)
DAYS = (DAY + timedelta(days=number) for number in itertools.count(7, 7))
ACCEPTED, COMPLETED, REVERSED = orders_pb2.ACCEPTED, orders_pb2.COMPLETED, orders_pb2.REVERSED
REPORTED = pytest.mark.parametrize("reported", [timedelta(minutes=25), timedelta(days=3)])


def us(text: str, day: date) -> int:
    return int(at(text, day).timestamp() * 1_000_000)


class History:
    """The revisions of one order on a day, each sent when the clock says so."""

    def __init__(self, client: StackClient, day: date) -> None:
        self._client, self.day, self._number = client, day, client.new_id()
        self._revisions = itertools.count(1)

    async def send(
        self, when: str, worker: int, start: str, end: str = "", *, days: int = 0, **changes: Any
    ) -> None:
        self._client.clock.set(at(when, self.day + timedelta(days=days)))
        await send(
            self._client,
            A,
            worker,
            (self._number, start, end or start),
            **{
                "revision": next(self._revisions),
                "state": COMPLETED if end else ACCEPTED,
                "accept_time_us": us(start, self.day),
                "end_time_us": us(end, self.day) if end else 0,
                **changes,
            },
        )

    async def claim(self, worker: int, reported: timedelta) -> claims_pb2.Claim:
        """The accident at 12:00 is reported, filed and accepted."""
        moment = at("12:00", self.day)
        self._client.clock.set(max(moment + reported, self._client.clock.now()))
        await report(self._client, worker, moment)
        return await accept(self._client, await file(self._client, worker, moment))

    async def counted(self) -> int:
        """The legs that premiums count on the day."""
        month = type_pb2.Month(year=self.day.year, month=self.day.month)
        answer = await self._client.orders("platform", platform=A).ListOrderTallies(
            orders_pb2.ListOrderTalliesRequest(platform=f"platforms/{A}", month=month)
        )
        return sum(
            one.order_count for one in answer.tallies if one.service_date.day == self.day.day
        )


def judge(*, met: bool) -> Judgement:
    return Judgement(finding="order_execution", met=met, reason="The dispatcher's call.")


@REPORTED
async def test_an_order_handed_over_after_the_fall_confirms_the_first_riders_claim(
    client: StackClient, reported: timedelta
) -> None:
    first, second = await enrol(client, A), await enrol(client, A)
    history = History(client, next(DAYS))
    await history.send("11:51", first, "11:50")
    await history.send("12:07", second, "12:06")
    await history.send("12:20", second, "12:06", "12:19")

    claim = await history.claim(first, reported)
    claim = await determine(client, claim)

    (order,) = claim.orders
    assert (order.revision, order.under_way) == (1, True)
    assert [one.other_worker for one in order.later_revisions] == [True, True]
    assert claim.determination.outcome == CONFIRMED
    assert await history.counted() == 2


@REPORTED
@pytest.mark.parametrize("outcome", [CONFIRMED, REFUSED])
async def test_an_order_given_to_another_rider_from_before_the_fall_is_for_a_person(
    client: StackClient, reported: timedelta, outcome: int
) -> None:
    first, second = await enrol(client, A), await enrol(client, A)
    history = History(client, next(DAYS))
    await history.send("11:51", first, "11:50")
    await history.send("12:06", second, "11:50")
    await history.send("12:20", second, "11:50", "12:19")

    claim = await history.claim(first, reported)
    problem = await refused(determine(client, claim))
    claim = await determine(client, claim, judgements=(judge(met=outcome == CONFIRMED),))

    assert (problem.reason, "order_execution" in problem.sentence) == ("FINDINGS_OPEN", True)
    assert claim.determination.outcome == outcome
    assert await history.counted() == 2


@pytest.mark.parametrize(
    ("start", "end", "changes"),
    [
        ("11:50", "11:58", {}),
        ("12:10", "12:40", {}),
        ("11:50", "12:40", {"state": REVERSED, "reason": "test order"}),
    ],
)
async def test_an_order_shortened_on_the_day_after_the_fall_is_for_a_person(
    client: StackClient, start: str, end: str, changes: dict[str, Any]
) -> None:
    worker = await enrol(client, A)
    history = History(client, next(DAYS))
    await history.send("11:51", worker, "11:50")
    await history.send("12:41", worker, "11:50", "12:40")
    await history.send("09:00", worker, start, end, days=1, **changes)

    claim = await history.claim(worker, timedelta(days=3))
    problem = await refused(determine(client, claim))
    claim = await determine(client, claim, judgements=(judge(met=True),))

    (order,) = claim.orders
    assert (order.revision, order.under_way, order.late) == (2, True, False)
    assert [(one.revision, one.late) for one in order.later_revisions] == [(3, False)]
    assert problem.reason == "FINDINGS_OPEN"
    assert claim.determination.outcome == CONFIRMED
    assert [one.charged for one in claim.orders] == [True]
    assert await history.counted() == (0 if "state" in changes else 1)


async def test_an_order_completed_or_handed_over_before_the_fall_is_no_order_under_way(
    client: StackClient,
) -> None:
    first, second = await enrol(client, A), await enrol(client, A)
    day = next(DAYS)
    completed, handed_over = History(client, day), History(client, day)
    await completed.send("11:01", first, "11:00")
    await handed_over.send("11:21", first, "11:20")
    await completed.send("11:31", first, "11:00", "11:30")
    await handed_over.send("11:41", second, "11:40")
    await handed_over.send("12:30", second, "11:40", "12:29")

    claim = await completed.claim(first, timedelta(hours=1))
    claim = await determine(client, claim, judgements=NOT_EXECUTING)

    assert [order.under_way for order in claim.orders] == [False, False]
    assert claim.determination.outcome == REFUSED
    assert await completed.counted() == 3
