"""Benefits end a month that is over and has its payment run, also of nothing."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest
from oip.benefits.v1 import events_pb2

from services.benefits.__main__ import SERVICE
from services.kernel.periods import Month
from services.runtime.base.failpoints import VARIABLE, FailpointError
from services.runtime.rpc.wire import month_from_wire
from services.runtime.service.month_end import end_next
from tests.integration.benefits.builders import concluded, consume, determined, run_payments
from tests.support.stack_client import StackClient

JULY, AUGUST, SEPTEMBER = Month(2025, 7), Month(2025, 8), Month(2025, 9)
INSTRUCTED = "oip.benefits.v1.PaymentInstructed"


async def ended(client: StackClient, count: int) -> dict[Month, dict[str, tuple[int, int]]]:
    """The events and fen of each ended month by kind, once `count` months have ended."""
    loop = asyncio.get_running_loop()
    latest = loop.time() + 15
    while len(events := await client.published("benefits", events_pb2.MonthEnded)) < count:
        assert loop.time() < latest, "the months did not end"
        await asyncio.sleep(0.05)
    return {
        month_from_wire(event.summary.month, "month"): {
            each.event: (each.event_count, each.sum_fen)
            for each in event.summary.events
            if each.event == INSTRUCTED
        }
        for event in events
    }


async def test_a_month_ends_after_its_run_once_it_is_over(client: StackClient) -> None:
    client.set_day(date(2025, 8, 31))
    await consume(client, determined())
    await consume(client, concluded(9))
    run = await run_payments(client, AUGUST)
    assert AUGUST not in await ended(client, 1)

    client.set_day(date(2025, 9, 1))
    months = await ended(client, 2)

    assert months == {JULY: {}, AUGUST: {INSTRUCTED: (1, run.sum_fen)}}
    assert await client.broken("benefits") == []


async def test_a_month_without_its_run_does_not_end(client: StackClient) -> None:
    client.set_day(date(2025, 10, 2))
    await asyncio.sleep(1)
    assert await client.published("benefits", events_pb2.MonthEnded) == []

    await run_payments(client, AUGUST)

    assert set(await ended(client, 2)) == {JULY, AUGUST}


async def test_what_a_run_adds_to_an_ended_month_belongs_to_the_next_one(
    client: StackClient,
) -> None:
    await run_payments(client, AUGUST)
    client.set_day(date(2025, 9, 10))
    await ended(client, 2)
    await consume(client, determined())
    await consume(client, concluded(9))

    added = await run_payments(client, AUGUST, "once-more")
    await run_payments(client, SEPTEMBER)
    client.set_day(date(2025, 10, 1))
    months = await ended(client, 3)

    (event,) = await client.published("benefits", events_pb2.PaymentInstructed)
    assert event.payment_run == "paymentRuns/2025-08"
    assert month_from_wire(event.accounting_month, "month") == SEPTEMBER
    assert (months[AUGUST], months[SEPTEMBER]) == ({}, {INSTRUCTED: (1, added.sum_fen)})


async def test_a_service_killed_between_a_run_and_the_end_of_its_month_ends_it_later(
    client: StackClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run_payments(client, AUGUST)
    await ended(client, 1)
    monkeypatch.setenv(VARIABLE, "month_end.before_commit:raise")
    client.set_day(date(2025, 9, 1))
    assert SERVICE.month_end is not None
    with pytest.raises(FailpointError):
        await end_next(client.context("benefits"), SERVICE.month_end)
    assert list(await ended(client, 1)) == [JULY]

    monkeypatch.delenv(VARIABLE)

    assert list(await ended(client, 2)) == [JULY, AUGUST]
