"""Consumers that were restored as well get all that a producer published in earlier epochs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
import pytest
from oip.operations.v1 import operations_pb2

from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.events.listener import Listener
from services.runtime.service import restoration
from services.runtime.service.delivery import deliveries, missing
from tests.support.databases import TOY_SERVICES, Databases
from tests.support.toy_stack import NAMES, ToySettings, ToyStack, serve_toys

Until: TypeAlias = Callable[..., Any]
LOST = operations_pb2.LostEvent


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
        monkeypatch.setattr(restoration, name, 0.3)


@pytest.fixture
def _frequent_repairs(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = Listener.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "repair_seconds", 0.5)


async def copied(settings: Settings, databases: Databases, service: str) -> dict[str, str]:
    return {f"{service}_database_url": await databases.copy(settings.database_of(service))}


async def ring(settings: Settings, **bells: int) -> None:
    async with serve_toys(settings) as toys:
        for name, times in bells.items():
            await toys.ring(name, times)
        await toys.delivered()


async def reconcile(toys: ToyStack, until: Until) -> operations_pb2.Reconciliation:
    """Begin an epoch of toy with all that is lost, and wait until toy serves again."""
    stub = toys.stub("toy")
    found = await stub.GetReconciliation(operations_pb2.GetReconciliationRequest())
    await stub.BeginEpoch(
        operations_pb2.BeginEpochRequest(request_id="b", digest=found.digest, reason="disk lost")
    )

    async def serves() -> bool:
        request = operations_pb2.GetDeliveryRequest()
        return not (await stub.GetDelivery(request)).database_behind

    await until(serves)
    return found


async def broken(toys: ToyStack) -> list[str]:
    checks = [
        check
        for name in NAMES
        for check in (await toys.stub(name).Verify(operations_pb2.VerifyRequest())).checks
    ]
    return [check.invariant for check in checks if not check.holds]


async def take_back(toys: ToyStack, *names: str) -> None:
    await toys.stub("toy").ResolveLostEvents(
        operations_pb2.ResolveLostEventsRequest(
            request_id="r", names=names, resolution=LOST.TAKEN_BACK, reason="undone"
        )
    )


@pytest.mark.usefixtures("_frequent_repairs")
async def test_an_event_that_was_taken_back_leaves_no_gap_in_a_restored_consumer(
    toy_settings: Settings, databases: Databases, until: Until
) -> None:
    await ring(toy_settings, a=1)
    before = await copied(toy_settings, databases, "toy")
    echo_before = await copied(toy_settings, databases, "echo")
    await ring(toy_settings, b=1, c=1)
    async with serve_toys(toy_settings.model_copy(update=before)) as toys:
        found = await reconcile(toys, until)
        await take_back(toys, found.lost_events[0].name)
        await toys.ring("c")
        await toys.ring("d")
        await toys.delivered()
    async with serve_toys(toy_settings.model_copy(update=before | echo_before)) as toys:

        async def caught_up() -> bool:
            return await toys.echo_counts() == {"a": 1, "c": 1, "d": 1}

        await until(caught_up, 20)
        await toys.delivered()
        assert await broken(toys) == []
        # The fingerprint of a number that only the consumers hold is known, too.
        request = operations_pb2.GetDeliveryRequest(epoch=found.epoch, pub_seq=2)
        assert (await toys.stub("toy").GetDelivery(request)).fingerprint_at


@pytest.mark.usefixtures("_frequent_repairs")
async def test_a_consumer_without_a_row_of_an_earlier_epoch_is_known_and_gets_it(
    toy_settings: Settings, databases: Databases, until: Until
) -> None:
    """As if it had been restored to nothing, and JetStream had delivered a newer event first."""
    await ring(toy_settings, a=1)
    before = await copied(toy_settings, databases, "toy")
    await ring(toy_settings, b=1)
    restored = toy_settings.model_copy(update=before)
    async with serve_toys(restored) as toys:
        found = await reconcile(toys, until)
        await toys.ring("b")
        await toys.ring("c")
        await toys.delivered()
    await forget_epoch(restored.database_of("echo"), found.epoch)
    async with serve_toys(restored) as toys:
        answers = await deliveries(toys.channels(), NAMES)
        assert [row.closed_seq for row in answers["toy"].closed_epochs] == [2]
        lacking = operations_pb2.Delivery()
        lacking.CopyFrom(answers["echo"])
        del lacking.consumed[:]
        lacking.consumed.add(
            producer="toy",
            epoch=answers["toy"].epoch,
            event_count=1,
            max_seq=1,
            fingerprint=answers["toy"].fingerprint,
        )
        assert list(map(str, missing({**answers, "echo": lacking}))) == [
            f"echo has consumed 0 of 2 of toy in its earlier epoch {found.epoch}"
        ]

        async def caught_up() -> bool:
            return await toys.echo_counts() == {"a": 1, "b": 1, "c": 1}

        await until(caught_up, 20)
        await toys.delivered()
        assert await broken(toys) == []


async def forget_epoch(url: str, epoch: str) -> None:
    """Remove what echo holds of an epoch."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(b"set session_replication_role = replica")
        await connection.execute(b"set search_path to echo")
        await connection.execute(b"delete from echo where name <> 'c'")
        await connection.execute(b"delete from inbox where epoch = %s", [epoch])
        await connection.execute(b"delete from inbox_mark where epoch = %s", [epoch])
