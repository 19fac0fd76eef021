"""Consuming across crashes of the server, of its store, and of the consuming process."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.events import jetstream
from services.runtime.events.listener import FETCH_SECONDS
from services.runtime.events.streams import NotMigratedError
from services.runtime.storage import audit
from services.runtime.storage.database import Database
from tests.support.toy_delivery import ToyDelivery, consumed, consumed_numbers, migrate_toys
from tests.support.toy_stack import ToyStack

Until = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[3]


async def test_both_sides_recover_when_nats_is_killed(
    delivery: ToyDelivery, nats_server: NatsServer, until: Until
) -> None:
    delivery.start(delivery.relay(), delivery.listener())
    await delivery.ring("a", 5)
    await until(consumed(delivery, {"a": 5}))
    await nats_server.kill()
    await delivery.ring("a", 5)
    await asyncio.sleep(1)
    await nats_server.start()

    await until(consumed(delivery, {"a": 10}), 40)


async def test_what_was_on_its_way_when_nats_was_killed_takes_effect_within_seconds(
    toy_stack: ToyStack, nats_server: NatsServer, until: Until
) -> None:
    """NATS itself sends it again only after half a minute."""
    await toy_stack.ring("a")
    await toy_stack.delivered()
    bus = await jetstream.connect(toy_stack.settings, "echo", on_closed=lambda: None)
    subscription = await bus.js.pull_subscribe_bind("echo", stream="TOY")
    # Takes the message that the listener would have got, and loses it.
    lost = asyncio.create_task(subscription.fetch(1, timeout=30))
    await asyncio.sleep(FETCH_SECONDS + 1)
    await toy_stack.ring("b")
    assert len(await asyncio.wait_for(lost, 10)) == 1
    await nats_server.kill()
    await nats_server.start()

    async def is_consumed() -> bool:
        return await toy_stack.echo_counts() == {"a": 1, "b": 1}

    await until(is_consumed, 12)
    await bus.close()


async def test_both_sides_recover_when_the_store_is_gone(
    delivery: ToyDelivery, nats_server: NatsServer, bus_settings: Settings, until: Until
) -> None:
    delivery.start(delivery.relay(), delivery.listener(repair_seconds=1.0))
    await delivery.ring("a", 5)
    await until(consumed(delivery, {"a": 5}))
    await nats_server.kill()
    shutil.rmtree(nats_server._folder / "jetstream")
    await delivery.ring("a", 5)
    await nats_server.start()
    await asyncio.sleep(3)
    # Neither side makes the stream; what reached no stream is fetched by replay.
    with pytest.raises(NotMigratedError, match=r"services\.migrate"):
        await delivery.echo_bus.require_consumer("toy", "echo")
    await migrate_toys(bus_settings)

    await until(consumed(delivery, {"a": 10}), 40)
    await delivery.ring("b")
    await until(consumed(delivery, {"a": 10, "b": 1}), 20)
    assert (await delivery.bus.js.stream_info("TOY")).state.messages >= 6


async def test_a_frozen_server_is_noticed(
    delivery: ToyDelivery, nats_server: NatsServer, until: Until
) -> None:
    delivery.start(delivery.relay(), delivery.listener())
    await delivery.ring("a")
    await until(consumed(delivery, {"a": 1}))
    os.kill(nats_server.pid, signal.SIGSTOP)
    await delivery.ring("a")
    await asyncio.sleep(3)
    os.kill(nats_server.pid, signal.SIGCONT)

    await until(consumed(delivery, {"a": 2}), 20)


@pytest.mark.parametrize(
    "place",
    [
        "relay.after_number",
        "relay.after_publish",
        "relay.after_mark",
        "listener.before_commit",
        "listener.after_commit",
    ],
)
async def test_a_process_killed_anywhere_loses_and_doubles_nothing(
    delivery: ToyDelivery, bus_settings: Settings, until: Until, place: str
) -> None:
    await delivery.ring("a", 3)
    process = await toy_process(delivery, bus_settings, f"{place}:kill")
    assert await asyncio.wait_for(process.wait(), 30) == -9
    await delivery.ring("b", 2)
    process = await toy_process(delivery, bus_settings, "")
    try:
        await until(consumed(delivery, {"a": 3, "b": 2}), 45)
    finally:
        process.kill()
        await process.wait()

    assert await consumed_numbers(delivery.echoes) == [(5, 5)]


@pytest.mark.parametrize("place", ["listener.before_commit", "listener.after_commit"])
async def test_a_group_whose_process_is_killed_counts_once(
    delivery: ToyDelivery, bus_settings: Settings, until: Until, place: str
) -> None:
    await delivery.ring("a", 40)
    await delivery.relay().once()

    process = await toy_process(delivery, bus_settings, f"{place}:kill")
    assert await asyncio.wait_for(process.wait(), 30) == -9

    applied = (await delivery.echo_counts()).get("a", 0)
    if place == "listener.before_commit":
        assert applied == 0
    else:
        assert applied > 1
    delivery.start(delivery.listener(repair_seconds=1.0))
    await until(consumed(delivery, {"a": 40}), 45)
    assert await consumed_numbers(delivery.echoes) == [(40, 40)]
    async with delivery.echoes.begin() as tx:
        assert await audit.link(tx) == 40


async def toy_process(
    delivery: ToyDelivery, settings: Settings, failpoint: str
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.toy_process",
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'gen'}",
            "TOY_URL": url_of(delivery.toys),
            "ECHO_URL": url_of(delivery.echoes),
            "OIP_NATS_KEY_DIR": str(settings.nats_key_dir),
            "OIP_NATS_URL": settings.nats_url,
            "OIP_NATS_MONITOR_URL": settings.nats_monitor_url,
            "OIP_FAILPOINT": failpoint,
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


def url_of(database: Database) -> str:
    return database._engine.url.render_as_string(hide_password=False)
