"""Events that come one by one, faster or slower than they are asked for, are delivered once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from tests.support.pair import Pair, hears

Until = Callable[..., Any]


async def test_events_that_trickle_in_are_delivered_once_each(pair: Pair, until: Until) -> None:
    listener = pair.listener()
    pair.start(pair.relay(), listener)
    for number in range(24):
        await pair.ring("a")
        # Bursts and pauses: a message may come while others are taken, or while nobody asks.
        await asyncio.sleep(0.02 if number % 4 else 0.6)

    await until(hears(pair, {"a": 24}))
    await until(listener.settled)

    consumer = await pair.bus.js.consumer_info("TOY", "echo")
    assert consumer.num_redelivered == 0
    assert consumer.delivered.consumer_seq == 24


async def test_events_that_came_before_they_were_asked_for_are_not_lost(
    pair: Pair, until: Until
) -> None:
    """The client library answers a question with what an earlier one has brought."""
    listener = pair.listener()
    await pair.bus.declare_consumer("toy", "echo")
    subscription = await pair.bus.js.pull_subscribe_bind("echo", stream="TOY")
    question = json.dumps({"batch": 8, "expires": 4_000_000_000}).encode()
    await pair.bus.client.publish(subscription._nms, question, subscription._deliver)
    await pair.ring("a", 3)
    await pair.relay().once()

    async def came() -> bool:
        return subscription._sub._pending_queue.qsize() == 3

    await until(came)
    hearing = asyncio.create_task(listener._fetch_while_it_answers(subscription))
    try:
        await until(hears(pair, {"a": 3}))
    finally:
        hearing.cancel()
        await subscription.unsubscribe()

    consumer = await pair.bus.js.consumer_info("TOY", "echo")
    assert consumer.num_redelivered == 0
