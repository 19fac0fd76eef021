"""The toy services, on new databases and a nats-server for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import grpc
import pytest

from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.events import jetstream
from services.runtime.events.jetstream import Bus
from services.runtime.service.delivery import wait_until_delivered
from services.runtime.service.operations import envelope_from_wire
from services.runtime.storage.database import Database
from tests.support.databases import TOY_SERVICES, Databases
from tests.support.echo import EchoStub
from tests.support.echo_server import EchoServer
from tests.support.stack_client import with_nats
from tests.support.toy_delivery import ToyDelivery, migrate_toys
from tests.support.toy_stack import NAMES, ToyStack, replayed, serve_toys


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
    return with_nats(stack, nats_server, stack.database_url)


@pytest.fixture
async def bus(bus_settings: Settings) -> AsyncIterator[Bus]:
    """The connection of toy; streams and consumers of the toy services are migrated."""
    await migrate_toys(bus_settings)
    connected = await jetstream.connect(bus_settings, "toy", on_closed=lambda: None)
    yield connected
    await connected.close()


@pytest.fixture
async def delivery(
    toys: Database, echoes: Database, bus: Bus, bus_settings: Settings
) -> AsyncIterator[ToyDelivery]:
    connect = partial(jetstream.connect, bus_settings, on_closed=lambda: None)
    connected = ToyDelivery(toys, echoes, bus, await connect("echo"), await connect("drum"))
    yield connected
    await connected.stop()


@pytest.fixture
async def toy_settings(databases: Databases, nats_server: NatsServer, tmp_path: Path) -> Settings:
    return Settings(
        state_dir=tmp_path / "state",
        nats_key_dir=nats_server.key_dir,
        database_url=await databases.fresh(*NAMES, root=TOY_SERVICES),
        nats_url=nats_server.url,
        nats_monitor_url=nats_server.monitor_url,
    )


@pytest.fixture
async def toy_stack(toy_settings: Settings) -> AsyncIterator[ToyStack]:
    async with serve_toys(toy_settings) as toys:
        yield toys


@pytest.fixture
async def with_dead_letter(toy_stack: ToyStack) -> ToyStack:
    """Toy and echo with the dead letter of a ring of the bell `shy`."""
    await toy_stack.ring("shy")
    await wait_until_delivered(toy_stack.channels(), ["toy"])
    (event,) = await replayed(toy_stack, from_seq=1)
    # Five deliveries take a minute with their pauses; write what the listener writes after them.
    key = {"producer": event.producer, "epoch": event.epoch, "seq": event.pub_seq}
    content_hash = envelope_from_wire(event).content_hash
    await toy_stack.execute(
        "echo",
        "insert into inbox (producer, epoch, pub_seq, subject, content_hash, consume_time)"
        " values (:producer, :epoch, :seq, :subject, :content_hash, now()) on conflict do nothing",
        **key,
        subject=event.subject,
        content_hash=content_hash,
    )
    await toy_stack.execute(
        "echo",
        "insert into dead_letter"
        " values (:producer, :epoch, :seq, :subject, :payload, 'NotFound', now())",
        **key,
        subject=event.subject,
        payload=event.payload,
    )
    return toy_stack


@pytest.fixture
async def echo_server() -> AsyncIterator[EchoServer]:
    server = EchoServer()
    server.port = await server.server.start("127.0.0.1:0")
    yield server
    await server.server.stop(grace=0)


@pytest.fixture
async def stub(echo_server: EchoServer) -> AsyncIterator[EchoStub]:
    async with grpc.aio.insecure_channel(echo_server.address) as channel:
        yield EchoStub(channel)
