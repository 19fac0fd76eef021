"""A failover that lost events and used their numbers again before anybody noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import psycopg
import pytest
from oip.operations.v1 import operations_pb2

from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.events.listener import Listener
from services.runtime.rpc.client import problem_of
from services.runtime.service import restoration
from tests.support.databases import TOY_SERVICES, Databases
from tests.support.toy_stack import NAMES, ToySettings, ToyStack, serve_toys

Until: TypeAlias = Callable[..., Any]

# As after a failover to a standby that had not received the second event.
LOSE_THE_SECOND = (
    "delete from outbox where pub_seq = 2",
    (
        "update outbox_counter set next_seq = 2,"
        " fingerprint = (select fingerprint from outbox where pub_seq = 1)"
    ),
    "update bell set rings = 1",
)


@pytest.fixture
async def toy_settings(databases: Databases, nats_server: NatsServer, tmp_path: Path) -> Settings:
    return ToySettings(
        state_dir=tmp_path / "state",
        toy_database_url=await databases.fresh("toy", root=TOY_SERVICES),
        echo_database_url=await databases.fresh("echo", root=TOY_SERVICES),
        nats_url=nats_server.url,
        nats_monitor_url=nats_server.monitor_url,
        nats_key_dir=nats_server.key_dir,
    )


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BEHIND_SECONDS", "SILENT_SECONDS", "ROUND_SECONDS"):
        monkeypatch.setattr(restoration, name, 1.0)
    defaults = Listener.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "repair_seconds", 0.5)


async def fail_over(settings: Settings) -> None:
    """Take the second event from the database while the service runs."""
    url = settings.database_of("toy")
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(b"set search_path to toy")
        for statement in LOSE_THE_SECOND:
            await connection.execute(statement.encode())


async def used_again(toys: ToyStack, until: Until) -> operations_pb2.Reconciliation:
    """Two rings, a failover that loses the second, and others before anybody notices."""
    await toys.ring("a", 2)
    await toys.delivered()
    await fail_over(toys.settings)
    await toys.ring("z")
    await toys.ring("y")

    async def is_behind() -> bool:
        delivery = await toys.stub("toy").GetDelivery(operations_pb2.GetDeliveryRequest())
        return delivery.database_behind

    await until(is_behind)
    return await toys.stub("toy").GetReconciliation(operations_pb2.GetReconciliationRequest())


async def begin_epoch(toys: ToyStack, request_id: str, digest: bytes) -> operations_pb2.Epoch:
    request = operations_pb2.BeginEpochRequest(
        request_id=request_id, digest=digest, reason="standby"
    )
    return await toys.stub("toy").BeginEpoch(request)


async def serves(toys: ToyStack, until: Until) -> None:
    async def is_current() -> bool:
        delivery = await toys.stub("toy").GetDelivery(operations_pb2.GetDeliveryRequest())
        return not delivery.database_behind

    await until(is_current)


async def broken(toys: ToyStack) -> list[str]:
    checks = [
        check
        for name in NAMES
        for check in (await toys.stub(name).Verify(operations_pb2.VerifyRequest())).checks
    ]
    return [check.invariant for check in checks if not check.holds]


async def test_an_event_under_a_number_used_again_is_published_under_a_new_one(
    toy_settings: Settings, until: Until
) -> None:
    async with serve_toys(toy_settings) as toys:
        found = await used_again(toys, until)
        assert "z" not in await toys.echo_counts()
        await begin_epoch(toys, "b1", found.digest)
        await serves(toys, until)
        await toys.ring("a")

        async def all_counted() -> bool:
            return await toys.echo_counts() == {"a": 2, "z": 1, "y": 1}

        await until(all_counted)
        await toys.delivered()
        assert await broken(toys) == []


async def test_an_event_that_a_consumer_holds_keeps_a_number_used_again(
    toy_settings: Settings, until: Until
) -> None:
    async with serve_toys(toy_settings) as toys:
        await used_again(toys, until)
        # As if echo had asked the producer for the second event after the failover.
        async with toys.contexts["toy"].database.begin() as tx:
            rows = await tx.exec_driver_sql(
                "select sha256(convert_to(subject, 'UTF8') || '\\x00' || payload) from outbox"
                " where pub_seq = 2"
            )
            own_hash = rows.scalar_one()
        url = toy_settings.database_of("echo")
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute(b"set session_replication_role = replica")
            await connection.execute(
                b"update echo.inbox set content_hash = %s where pub_seq = 2", [own_hash]
            )
            await connection.execute(b"delete from echo.inbox_mark")
            await connection.execute(b"insert into echo.echo values ('z', 1, 1)")
        found = await toys.stub("toy").GetReconciliation(operations_pb2.GetReconciliationRequest())
        await begin_epoch(toys, "b1", found.digest)
        await serves(toys, until)
        await toys.ring("a")
        await toys.delivered()

        assert (await toys.echo_counts())["z"] == 1
        assert await broken(toys) == ["I6-lost"]


async def test_of_two_epochs_begun_at_once_one_begins(toy_settings: Settings, until: Until) -> None:
    async with serve_toys(toy_settings) as toys:
        digest = (await used_again(toys, until)).digest
        answers = await asyncio.gather(
            *(begin_epoch(toys, f"b{number}", digest) for number in range(4)),
            return_exceptions=True,
        )

        begun = [answer for answer in answers if isinstance(answer, operations_pb2.Epoch)]
        refused = [answer for answer in answers if isinstance(answer, grpc.RpcError)]
        assert len(begun) == 1
        assert {problem_of(error).reason for error in refused} <= {
            "RECONCILIATION_CHANGED",
            "DATABASE_NOT_BEHIND",
        }
        async with toys.contexts["toy"].database.begin() as tx:
            rows = await tx.exec_driver_sql("select count(*) from outbox_counter")
            assert rows.scalar_one() == 2
