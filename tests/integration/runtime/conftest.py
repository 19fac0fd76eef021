"""The toy services on databases and a nats-server of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.runtime import bus as buses
from services.runtime.bus import Bus
from services.runtime.clock import SystemClock
from services.runtime.database import Database
from services.runtime.embedded import NatsServer
from services.runtime.listener import Listener
from services.runtime.outbox import Relay
from services.runtime.settings import Settings
from tests.support import toy
from tests.support.databases import TOY_SERVICES, Databases


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


@dataclass
class Pair:
    """Toy and echo, wired together; parts run when a test starts them."""

    toys: Database
    echoes: Database
    bus: Bus
    clock: SystemClock = field(default_factory=SystemClock)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def relay(self, publish: Any = None) -> Relay:
        return Relay(self.toys, publish or self.bus.publish, self.clock, self.wake)

    def listener(self, **options: Any) -> Listener:
        settings: dict[str, Any] = {
            "handlers": toy.HANDLERS,
            "replay": toy.replay_from(self.toys),
            "retry_seconds": (0.1, 0.1, 0.1, 0.1),
            "repair_seconds": 3600,
            "gap_seconds": 0.2,
        }
        return Listener(
            self.echoes,
            self.bus,
            clock=self.clock,
            wake=asyncio.Event(),
            **(settings | options),
        )

    def start(self, *parts: Relay | Listener) -> None:
        self.tasks += [asyncio.create_task(part.run()) for part in parts]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()

    async def ring(self, name: str, times: int = 1) -> None:
        for _ in range(times):
            async with self.toys.begin() as tx:
                await toy.ring(tx, name, self.clock.now())
            self.wake.set()

    async def heard(self) -> dict[str, int]:
        return await toy.echoes(self.echoes)


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
