"""Events from commit to effect: a backlog published and consumed, and one event on an idle machine.

The toy producer and the toy consumer use real servers; the handler writes a row per event, and the
consumer links its audit chain meanwhile, as every service does. `OIP_BENCH_EVENTS` sets the backlog
(default 100,000); the target is a rate, so a smaller one shows the same.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from services.runtime.base.settings import Settings
from services.runtime.base.tasks import end as end_tasks
from services.runtime.embedded import NatsServer
from services.runtime.events import jetstream
from services.runtime.storage import audit
from services.runtime.storage.database import Database
from tests.support import toy
from tests.support.bench import keep
from tests.support.databases import TOY_SERVICES, Databases
from tests.support.toy_delivery import ToyDelivery, consumed_numbers, migrate_toys

BACKLOG = int(os.environ.get("OIP_BENCH_EVENTS", "100000"))
BACKLOG_SECONDS_MAX = 90.0
EFFECT_MS_MAX = 15.0
SINGLES = 200
PAUSE_SECONDS = 0.05
POLL_SECONDS = 0.2
PATIENCE_SECONDS = 1200


@pytest.fixture
async def delivery(
    stack: Settings, databases: Databases, nats_server: NatsServer
) -> AsyncIterator[ToyDelivery]:
    """Toy and echo on databases of their own, connected over a nats-server of their own."""
    settings = stack.model_copy(
        update={
            "nats_url": nats_server.url,
            "nats_monitor_url": nats_server.monitor_url,
            "nats_key_dir": nats_server.key_dir,
        }
    )
    await migrate_toys(settings)
    toys = Database(await databases.fresh("toy", root=TOY_SERVICES), "toy")
    echoes = Database(await databases.fresh("echo", root=TOY_SERVICES), "echo")
    connect = partial(jetstream.connect, settings, on_closed=lambda: None)
    bus = await connect("toy")
    delivery = ToyDelivery(toys, echoes, bus, await connect("echo"), await connect("drum"))
    yield delivery
    await delivery.stop()
    await bus.close()
    await toys.close()
    await echoes.close()


async def test_a_backlog_is_published_and_consumed(delivery: ToyDelivery) -> None:
    await write_backlog(delivery.toys, BACKLOG)
    async with running(delivery.relay().run()):
        publishing = await seconds_until(delivery.toys, "outbox where send_time is not null")
    listener = delivery.listener()
    async with running(listener.run(), audit.keep_linking(delivery.echoes)):
        consuming = await seconds_until(delivery.echoes, "echo")
        linking = await seconds_until(delivery.echoes, "audit where seq is not null")

    assert await consumed_numbers(delivery.echoes) == [(BACKLOG, BACKLOG)]
    assert set((await delivery.echo_counts()).values()) == {1}
    keep(
        "event_backlog",
        f"a backlog of {BACKLOG:,} events published, then consumed with a row per event, and the"
        " audit chain linked behind",
        {
            "backlog_events": BACKLOG,
            "published_per_second": BACKLOG / publishing,
            "consumed_per_second": BACKLOG / consuming,
            "linked_seconds_later": linking,
            "hundred_thousand_consumed_seconds": consuming * 100_000 / BACKLOG,
        },
        at_most={"hundred_thousand_consumed_seconds": BACKLOG_SECONDS_MAX},
    )


async def test_an_event_takes_effect_soon_after_its_commit(delivery: ToyDelivery) -> None:
    effect = asyncio.Event()
    receiver = delivery.receiver(wake=effect)
    seconds = []
    async with running(
        delivery.relay().run(),
        delivery.listener(receiver).run(),
        audit.keep_linking(delivery.echoes),
    ):
        for number in range(SINGLES + 1):
            effect.clear()
            async with delivery.toys.begin() as tx:
                await toy.ring(tx, f"b{number}", delivery.clock.now())
            start = time.perf_counter()
            delivery.wake.set()
            await asyncio.wait_for(effect.wait(), PATIENCE_SECONDS)
            seconds.append(time.perf_counter() - start)
            await asyncio.sleep(PAUSE_SECONDS)
    # The first one waits for the consumer to be declared.
    milliseconds = sorted(one * 1000 for one in seconds[1:])

    keep(
        "event_effect",
        f"from the commit of a change to the commit of its effect in another service, {SINGLES}"
        " events one after the other",
        {
            "commit_to_effect_p50_ms": milliseconds[SINGLES // 2],
            "commit_to_effect_p99_ms": milliseconds[SINGLES * 99 // 100],
        },
        at_most={"commit_to_effect_p50_ms": EFFECT_MS_MAX},
    )


async def write_backlog(toys: Database, count: int) -> None:
    """Events as `outbox.add` writes them, each for a bell of its own."""
    async with toys.begin(seconds=600) as tx:
        for start in range(0, count, 10_000):
            payloads = [
                toy.BellRang(name=f"bell-{number:09}", revision=1).SerializeToString()
                for number in range(start, min(start + 10_000, count))
            ]
            await tx.execute(
                text(
                    "insert into outbox (subject, payload, create_time)"
                    " select 'oip.toy.v1.BellRang', payload, now()"
                    " from unnest(cast(:payloads as bytea[])) as fresh (payload)"
                ),
                {"payloads": payloads},
            )


@asynccontextmanager
async def running(*parts: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run parts of services while the block runs."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        yield
    finally:
        await end_tasks(tasks)


async def seconds_until(database: Database, rows: str) -> float:
    """Seconds from now until a table has a row for each event of the backlog."""
    start = time.perf_counter()
    while True:
        async with database.begin() as tx:
            result = await tx.execute(text(f"select count(*) from {rows}"))
            if result.scalar_one() >= BACKLOG:
                return time.perf_counter() - start
        assert time.perf_counter() - start < PATIENCE_SECONDS
        await asyncio.sleep(POLL_SECONDS)
