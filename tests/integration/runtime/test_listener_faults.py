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
from services.runtime.storage.database import Database
from tests.support.toy_delivery import ToyDelivery, consumed, consumed_numbers

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


async def test_both_sides_recover_when_the_store_is_gone(
    delivery: ToyDelivery, nats_server: NatsServer, until: Until
) -> None:
    delivery.start(delivery.relay(), delivery.listener(repair_seconds=1.0))
    await delivery.ring("a", 5)
    await until(consumed(delivery, {"a": 5}))
    await nats_server.kill()
    shutil.rmtree(nats_server._folder / "jetstream")
    await delivery.ring("a", 5)
    await nats_server.start()

    await until(consumed(delivery, {"a": 10}), 40)
    await delivery.ring("b")
    await until(consumed(delivery, {"a": 10, "b": 1}), 20)


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
            "OIP_NATS_URL": settings.nats_url,
            "OIP_NATS_MONITOR_URL": settings.nats_monitor_url,
            "OIP_FAILPOINT": failpoint,
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


def url_of(database: Database) -> str:
    return database._engine.url.render_as_string(hide_password=False)
