"""The toy services on databases and a nats-server of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from sqlalchemy import text

from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.events import jetstream as buses
from services.runtime.events.jetstream import Bus
from services.runtime.service.delivery import settled
from services.runtime.storage.database import Database
from tests.support.databases import TOY_SERVICES, Databases
from tests.support.echo import EchoStub
from tests.support.echo_server import EchoServer
from tests.support.pair import Pair
from tests.support.served import NAMES, ServedPair, replayed, served


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


@pytest.fixture
async def both_settings(databases: Databases, nats_server: NatsServer, tmp_path: Path) -> Settings:
    return Settings(
        state_dir=tmp_path / "state",
        database_url=await databases.fresh(*NAMES, root=TOY_SERVICES),
        nats_url=nats_server.url,
        nats_monitor_url=nats_server.monitor_url,
    )


@pytest.fixture
async def both(both_settings: Settings) -> AsyncIterator[ServedPair]:
    async with served(both_settings) as made:
        yield made


@pytest.fixture
async def poisoned(both: ServedPair) -> ServedPair:
    await both.ring("shy")
    async with both.running["toy"].database.begin() as tx:
        await tx.execute(text("select 1"))
    await settled(both.channels(), ["toy"])
    (event,) = await replayed(both, from_seq=1)
    # Five deliveries take a minute with their pauses; put it aside as the listener then would.
    async with both.running["echo"].database.begin() as tx:
        where = {"p": event.producer, "e": event.epoch, "s": event.pub_seq}
        await tx.execute(
            text(
                "insert into inbox (producer, epoch, pub_seq, subject, content_hash, consume_time)"
                " values (:p, :e, :s, 'x', 'x', now()) on conflict do nothing"
            ),
            where,
        )
        await tx.execute(
            text(
                "insert into dead_letter values (:p, :e, :s, :subject, :payload, 'NotFound', now())"
            ),
            {**where, "subject": event.subject, "payload": event.payload},
        )
    return both


@pytest.fixture
async def echo_server() -> AsyncIterator[EchoServer]:
    made = EchoServer()
    made.port = await made.server.start("127.0.0.1:0")
    yield made
    await made.server.stop(grace=0)


@pytest.fixture
async def stub(echo_server: EchoServer) -> AsyncIterator[EchoStub]:
    async with grpc.aio.insecure_channel(echo_server.address) as channel:
        yield EchoStub(channel)
