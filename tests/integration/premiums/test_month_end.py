"""Premiums end a month once it is assessed, also of nothing; later facts belong to later months."""

from __future__ import annotations

import asyncio
from datetime import date

from oip.premiums.v1 import events_pb2

from services.kernel.periods import Month
from services.runtime.rpc.wire import month_from_wire
from tests.integration.premiums.builders import SWIFT, assess, july_of_swift, receive
from tests.support.stack_client import StackClient

JULY, AUGUST, SEPTEMBER = Month(2025, 7), Month(2025, 8), Month(2025, 9)
ASSESSED, RECEIVED = "oip.premiums.v1.PremiumAssessed", "oip.premiums.v1.PremiumReceived"


async def ended(client: StackClient, count: int) -> dict[Month, dict[str, tuple[int, int]]]:
    """The events and fen of each ended month by kind, once `count` months have ended."""
    loop = asyncio.get_running_loop()
    latest = loop.time() + 15
    while len(events := await client.published("premiums", events_pb2.MonthEnded)) < count:
        assert loop.time() < latest, "the months did not end"
        await asyncio.sleep(0.05)
    return {
        month_from_wire(event.summary.month, "month"): {
            each.event: (each.event_count, each.sum_fen) for each in event.summary.events
        }
        for event in events
    }


async def test_a_month_ends_when_it_is_assessed_and_not_before(client: StackClient) -> None:
    await july_of_swift(client)
    client.set_day(date(2025, 8, 25))
    await asyncio.sleep(1)
    assert await client.published("premiums", events_pb2.MonthEnded) == []

    assessed = await assess(client, 2025, 7)
    months = await ended(client, 1)

    assert months[JULY] == {ASSESSED: (1, assessed.premium_fen)}
    assert await client.broken("premiums") == []


async def test_months_of_nothing_end_too_and_none_is_left_out(client: StackClient) -> None:
    await july_of_swift(client)
    await assess(client, 2025, 7)
    await ended(client, 1)
    client.set_day(date(2025, 10, 2))
    await assess(client, 2025, 9)

    months = await ended(client, 3)

    assert list(months)[-2:] == [AUGUST, SEPTEMBER]
    assert (months[AUGUST], months[SEPTEMBER]) == ({}, {})


async def test_money_of_an_ended_month_belongs_to_the_next_one(client: StackClient) -> None:
    await july_of_swift(client)
    assessed = await assess(client, 2025, 7)
    await ended(client, 1)
    client.set_day(date(2025, 9, 3))
    await assess(client, 2025, 8)
    await ended(client, 2)

    await receive(
        client, SWIFT, "2025-07", date(2025, 8, 14), assessed.premium_fen, reference="B-1"
    )
    client.set_day(date(2025, 10, 3))
    await assess(client, 2025, 9)
    months = await ended(client, 3)

    (receipt,) = await client.published("premiums", events_pb2.PremiumReceived)
    assert month_from_wire(receipt.accounting_month, "month") == SEPTEMBER
    assert months[SEPTEMBER] == {RECEIVED: (1, assessed.premium_fen)}
