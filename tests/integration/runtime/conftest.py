"""The toy services on databases and a nats-server of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from services.runtime import bus as buses
from services.runtime.bus import Bus
from services.runtime.database import Database
from services.runtime.embedded import NatsServer
from services.runtime.settings import Settings
from tests.support.databases import TOY_SERVICES, Databases
from tests.support.pair import Pair


@pytest.fixture
async def toys(databases: Databases) -> AsyncIterator[Database]:
    database = Database(await databases.fresh("toy", root=TOY_SERVICES), "toy", pool_size=4)
    yield database
    await database.close()


@pytest.fixture
async def echoes(databases: Databases) -> AsyncIterator[Database]:
    database = Database(await databases.fresh("echo", root=TOY_SERVICES), "echo", pool_size=6)
    yield database
    await database.close()


@pytest.fixture
def bus_settings(stack: Settings, nats_server: NatsServer) -> Settings:
    return stack.model_copy(
        update={"nats_url": nats_server.url, "nats_monitor_url": nats_server.monitor_url}
    )


@pytest.fixture
async def bus(bus_settings: Settings) -> AsyncIterator[Bus]:
    connected = await buses.connect(bus_settings, "toy", on_closed=lambda: None)
    await connected.declare_stream("toy")
    yield connected
    await connected.close()


@pytest.fixture
async def pair(toys: Database, echoes: Database, bus: Bus) -> AsyncIterator[Pair]:
    both = Pair(toys, echoes, bus)
    yield both
    await both.stop()


async def _until(holds: Callable[[], Any], seconds: float = 15.0) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not await holds():
        assert loop.time() < end, "it did not come to pass in time"
        await asyncio.sleep(0.05)


@pytest.fixture
def until() -> Callable[..., Any]:
    return _until
