"""An event that is missing and that nobody sends is said, though JetStream has delivered all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from oip.operations.v1 import operations_pb2

from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.service import health
from tests.support.databases import TOY_SERVICES, Databases
from tests.support.toy_stack import ToySettings, ToyStack, serve_toys

Until: TypeAlias = Callable[..., Awaitable[None]]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("START_SECONDS", "CHECK_SECONDS", "RECHECK_SECONDS"):
        monkeypatch.setattr(health, name, 0.2)
    monkeypatch.setattr(health, "LATE_SECONDS", 1.0)


@pytest.fixture
async def settings(databases: Databases, nats_server: NatsServer, tmp_path: Path) -> Settings:
    return ToySettings(
        state_dir=tmp_path / "state",
        toy_database_url=await databases.fresh("toy", root=TOY_SERVICES),
        echo_database_url=await databases.fresh("echo", root=TOY_SERVICES),
        nats_url=nats_server.url,
        nats_monitor_url=nats_server.monitor_url,
        nats_key_dir=nats_server.key_dir,
    )


async def execute(settings: Settings, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(settings.database_of("echo")) as connection:
        await connection.execute(b"set session_replication_role = replica")
        await connection.execute(b"set search_path to echo")
        await connection.execute(statement.encode())


async def faults(toys: ToyStack, service: str = "echo") -> list[str]:
    answer = await toys.stub(service).GetHealth(operations_pb2.GetHealthRequest())
    return [fault.code for fault in answer.faults]


@pytest.mark.parametrize("missing", [1, 3])
async def test_an_event_that_stays_missing_is_a_fault_of_delivery(
    settings: Settings, until: Until, missing: int
) -> None:
    """Of an epoch that toy does not know: it cannot send what is missing of it."""
    async with serve_toys(settings) as toys:
        await toys.ring("a", 2)
        await toys.delivered()
        await execute(
            settings,
            "insert into inbox select 'toy', 'lost', place, 'x', 'x', now()"
            f" from generate_series(1, 4) as place where place <> {missing}",
        )

        async def is_said() -> bool:
            return await faults(toys) == ["EVENTS_MISSING"]

        async def is_over() -> bool:
            return await faults(toys) == []

        await until(is_said)
        row = f"('toy', 'lost', {missing}, 'x', 'x', now())"
        await execute(settings, f"insert into inbox values {row}")
        await until(is_over)


async def test_a_database_that_is_behind_is_a_fault_of_delivery_and_not_of_readiness(
    settings: Settings, databases: Databases, until: Until
) -> None:
    before = await databases.copy(settings.database_of("toy"))
    async with serve_toys(settings) as toys:
        await toys.ring("a")
        await toys.delivered()
    restored = settings.model_copy(update={"toy_database_url": before})
    async with serve_toys(restored) as toys:

        async def is_said() -> bool:
            return await faults(toys, "toy") == ["DATABASE_BEHIND"]

        await until(is_said)
        async with grpc.aio.insecure_channel(toys.contexts["toy"].health_address()) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            states = {}
            for name in ("", "liveness", "readiness", "delivery"):
                request = health_pb2.HealthCheckRequest(service=name)
                states[name] = (await stub.Check(request, timeout=5)).status
    serving = health_pb2.HealthCheckResponse.SERVING
    assert [name for name, state in states.items() if state == serving] == [
        "liveness",
        "readiness",
    ]
