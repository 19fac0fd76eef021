"""Events that arrive one by one, before or after the fetch, are delivered once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from tests.support.toy_delivery import ToyDelivery, consumed

Until = Callable[..., Any]


async def test_events_that_trickle_in_are_delivered_once_each(
    delivery: ToyDelivery, until: Until
) -> None:
    listener = delivery.listener()
    delivery.start(delivery.relay(), listener)
    for number in range(24):
        await delivery.ring("a")
        # Bursts and pauses: messages arrive during a transaction or between two fetches.
        await asyncio.sleep(0.02 if number % 4 else 0.6)

    await until(consumed(delivery, {"a": 24}))
    await until(listener.is_idle)

    consumer = await delivery.echo_bus.js.consumer_info("TOY", "echo")
    assert consumer.num_redelivered == 0
    assert consumer.delivered.consumer_seq == 24


async def test_events_that_came_before_they_were_asked_for_are_not_lost(
    delivery: ToyDelivery, until: Until
) -> None:
    """The client library answers a fetch with messages of an earlier one."""
    listener = delivery.listener()
    subscription = await delivery.echo_bus.js.pull_subscribe_bind("echo", stream="TOY")
    question = json.dumps({"batch": 8, "expires": 4_000_000_000}).encode()
    await delivery.echo_bus.client.publish(subscription._nms, question, subscription._deliver)
    await delivery.ring("a", 3)
    await delivery.relay().once()

    async def came() -> bool:
        return subscription._sub._pending_queue.qsize() == 3

    await until(came)
    fetching = asyncio.create_task(listener._fetch_while_it_answers(subscription))
    try:
        await until(consumed(delivery, {"a": 3}))
    finally:
        fetching.cancel()
        await subscription.unsubscribe()

    consumer = await delivery.echo_bus.js.consumer_info("TOY", "echo")
    assert consumer.num_redelivered == 0
