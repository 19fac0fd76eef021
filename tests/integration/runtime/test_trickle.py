"""Events that come one by one, faster or slower than they are handled, are delivered once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.support.pair import Pair, hears

Until = Callable[..., Any]


async def test_events_that_trickle_in_are_delivered_once_each(pair: Pair, until: Until) -> None:
    listener = pair.listener()
    pair.start(pair.relay(), listener)
    for number in range(60):
        await pair.ring("a")
        # Bursts and pauses: a message may come while others are taken, or while nobody asks.
        await asyncio.sleep(0.01 if number % 7 else 0.15)

    await until(hears(pair, {"a": 60}))
    await until(listener.settled)

    consumer = await pair.bus.js.consumer_info("TOY", "echo")
    assert consumer.num_redelivered == 0
    assert consumer.delivered.consumer_seq == 60
