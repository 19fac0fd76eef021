"""A database that was restored from an earlier copy: found, refused, reconciled, and nothing twice.

A copy is made as a backup would be, and the services start again on it.
"""

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
from services.runtime.events.lost_events import LostEventsOpen
from services.runtime.rpc.client import problem_of
from services.runtime.service import restoration
from tests.support.databases import TOY_SERVICES, Databases
from tests.support.nats import NATS_USERS
from tests.support.toy_stack import ToySettings, ToyStack, replayed, serve_toys

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


async def ring_and_stop(settings: Settings, **bells: int) -> None:
    """Ring the bells, wait until echo has counted them, and stop both services."""
    async with serve_toys(settings) as toys:
        for name, times in bells.items():
            await toys.ring(name, times)
        await toys.delivered()


async def copied(settings: Settings, databases: Databases, *services: str) -> dict[str, str]:
    """Copies of the databases of services, by the name of the setting."""
    return {
        f"{name}_database_url": await databases.copy(settings.database_of(name))
        for name in services
    }


async def change_rows(url: str, *statements: str) -> None:
    """Change rows as the owner of the database."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        for statement in statements:
            await connection.execute(statement.encode())


async def is_behind(toys: ToyStack, service: str = "toy") -> bool:
    delivery = await toys.stub(service).GetDelivery(operations_pb2.GetDeliveryRequest())
    return delivery.database_behind


async def reconciliation(toys: ToyStack, service: str = "toy") -> operations_pb2.Reconciliation:
    return await toys.stub(service).GetReconciliation(operations_pb2.GetReconciliationRequest())


async def begin_epoch(
    toys: ToyStack, digest: bytes, *, reason: str = "copy of 10:00 restored", service: str = "toy"
) -> operations_pb2.Epoch:
    request = operations_pb2.BeginEpochRequest(request_id="b1", digest=digest, reason=reason)
    return await toys.stub(service).BeginEpoch(request)


async def serves_again(toys: ToyStack, until: Until) -> None:
    async def holds() -> bool:
        return not await is_behind(toys)

    await until(holds)


async def test_a_restored_service_reuses_no_number_and_publishes_nothing(
    toy_settings: Settings, databases: Databases
) -> None:
    await ring_and_stop(toy_settings, a=2)
    before = await copied(toy_settings, databases, "toy")
    await ring_and_stop(toy_settings, b=3)
    async with serve_toys(toy_settings.model_copy(update=before)) as toys:
        assert await is_behind(toys)
        await toys.ring("c")
        await asyncio.sleep(0.6)

        delivery = await toys.stub("toy").GetDelivery(operations_pb2.GetDeliveryRequest())
        assert (delivery.published_seq, delivery.written_count) == (2, 3)
        assert await toys.echo_counts() == {"a": 2, "b": 3}


async def test_a_reconciliation_lists_what_the_stream_and_the_consumers_hold(
    toy_settings: Settings, databases: Databases
) -> None:
    await ring_and_stop(toy_settings, a=2)
    before = await copied(toy_settings, databases, "toy")
    await ring_and_stop(toy_settings, b=1)
    async with serve_toys(toy_settings.model_copy(update=before)) as toys:
        answer = await reconciliation(toys)

    assert answer.database_behind
    assert [(event.summary, list(event.holders)) for event in answer.lost_events] == [
        ("ring 1 of b", ["echo", "stream"])
    ]
    assert answer.published_seq == 2
    assert len(answer.digest) == 32


async def test_a_new_epoch_takes_lost_events_back_and_what_is_made_again_is_not_published(
    toy_settings: Settings, databases: Databases, until: Until
) -> None:
    await ring_and_stop(toy_settings, a=2)
    before = await copied(toy_settings, databases, "toy")
    await ring_and_stop(toy_settings, b=2)
    async with serve_toys(toy_settings.model_copy(update=before)) as toys:
        await begin_epoch(toys, (await reconciliation(toys)).digest)
        await serves_again(toys, until)
        await toys.ring("b", 2)
        await toys.ring("c")
        await toys.delivered()

        assert await toys.echo_counts() == {"a": 2, "b": 2, "c": 1}
        answer = await toys.stub("toy").ListLostEvents(
            operations_pb2.ListLostEventsRequest(include_resolved=True)
        )
        assert {event.resolution for event in answer.lost_events} == {LOST.REDONE}
        checks = (await toys.stub("toy").Verify(operations_pb2.VerifyRequest())).checks
        assert [check.text for check in checks if not check.holds] == []


async def test_another_content_is_refused_until_an_administrator_resolves_the_lost_one(
    toy_settings: Settings, databases: Databases, until: Until
) -> None:
    await ring_and_stop(toy_settings, a=1)
    before = await copied(toy_settings, databases, "toy")
    await ring_and_stop(toy_settings, a=1)
    async with serve_toys(toy_settings.model_copy(update=before)) as toys:
        await begin_epoch(toys, (await reconciliation(toys)).digest)
        await serves_again(toys, until)
        # The bell was rung meanwhile by other means: its next ring is the third.
        await toys.execute("toy", "update bell set rings = 2")
        with pytest.raises(LostEventsOpen):
            await toys.ring("a")
        await toys.ring("other")
        (lost,) = (
            await toys.stub("toy").ListLostEvents(operations_pb2.ListLostEventsRequest())
        ).lost_events
        request = operations_pb2.ResolveLostEventsRequest(
            request_id="r1", names=[lost.name], resolution=LOST.KEPT, reason="heard"
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await toys.stub("toy").ResolveLostEvents(request)
        assert problem_of(caught.value).reason == "LOST_EVENT_MUST_BE_REDONE"
        request.resolution = LOST.TAKEN_BACK
        await toys.stub("toy").ResolveLostEvents(request)
        await toys.ring("a")
        await toys.delivered()


async def test_a_reconciliation_that_changed_in_between_is_refused(
    toy_settings: Settings, databases: Databases
) -> None:
    await ring_and_stop(toy_settings, a=1)
    first = await copied(toy_settings, databases, "toy")
    await ring_and_stop(toy_settings, a=1)
    second = await copied(toy_settings, databases, "toy")
    await ring_and_stop(toy_settings, a=1)
    async with serve_toys(toy_settings.model_copy(update=first)) as toys:
        old_digest = (await reconciliation(toys)).digest
    async with serve_toys(toy_settings.model_copy(update=second)) as toys:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await begin_epoch(toys, old_digest)

        assert problem_of(caught.value).reason == "RECONCILIATION_CHANGED"
        assert await is_behind(toys)


async def test_a_restore_of_all_services_gives_consumers_the_lost_events_again(
    toy_settings: Settings, databases: Databases, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = Listener.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "repair_seconds", 0.5)
    await ring_and_stop(toy_settings, a=2)
    before = await copied(toy_settings, databases, "toy", "echo")
    await ring_and_stop(toy_settings, b=2)
    async with serve_toys(toy_settings.model_copy(update=before)) as toys:
        assert await toys.echo_counts() == {"a": 2}
        assert await is_behind(toys)
        await begin_epoch(toys, (await reconciliation(toys)).digest)
        await serves_again(toys, until)
        await toys.ring("c")

        async def consumed_again() -> bool:
            return await toys.echo_counts() == {"a": 2, "b": 2, "c": 1}

        await until(consumed_again, 20)


async def test_a_replay_goes_on_from_an_earlier_epoch_through_its_lost_events(
    toy_settings: Settings, databases: Databases, until: Until
) -> None:
    await ring_and_stop(toy_settings, a=1)
    before = await copied(toy_settings, databases, "toy")
    await ring_and_stop(toy_settings, b=2)
    async with serve_toys(toy_settings.model_copy(update=before)) as toys:
        current = await reconciliation(toys)
        begun = await begin_epoch(toys, current.digest)
        await serves_again(toys, until)
        await toys.ring("c")
        await toys.delivered()

        events = await replayed(toys, epoch=current.epoch, from_seq=1)
        assert [(event.epoch, event.pub_seq) for event in events] == [
            (current.epoch, 1),
            (current.epoch, 2),
            (current.epoch, 3),
            (begun.epoch, 1),
        ]


async def test_a_standby_that_lost_nothing_serves_without_anybody(
    toy_settings: Settings, databases: Databases
) -> None:
    await ring_and_stop(toy_settings, a=3)
    standby = await copied(toy_settings, databases, "toy", "echo")
    async with serve_toys(toy_settings.model_copy(update=standby)) as toys:
        assert not await is_behind(toys)
        await toys.ring("a")
        await toys.delivered()
        assert await toys.echo_counts() == {"a": 4}
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await begin_epoch(toys, (await reconciliation(toys)).digest)
        assert problem_of(caught.value).reason == "DATABASE_NOT_BEHIND"


async def test_events_that_are_numbered_and_not_yet_published_are_no_difference(
    toy_settings: Settings,
) -> None:
    await ring_and_stop(toy_settings, a=1)
    async with serve_toys(toy_settings) as toys:
        await toys.ring("a")
        await toys.delivered()
        await toys.execute("toy", "update outbox set send_time = null where pub_seq = 2")
    async with serve_toys(toy_settings) as toys:
        assert not await is_behind(toys)
        await toys.delivered()
        assert await toys.echo_counts() == {"a": 2}


async def test_a_wiped_stream_leaves_the_consumers_as_witnesses(
    toy_settings: Settings, databases: Databases, until: Until
) -> None:
    await ring_and_stop(toy_settings, a=1)
    before = await copied(toy_settings, databases, "toy")
    await ring_and_stop(toy_settings, b=1)
    other_server = NatsServer(toy_settings.state_dir / "other", users=NATS_USERS)
    await other_server.start()
    elsewhere = toy_settings.model_copy(
        update={
            "nats_url": other_server.url,
            "nats_monitor_url": other_server.monitor_url,
            "nats_key_dir": other_server.key_dir,
            **before,
        }
    )
    async with serve_toys(elsewhere) as toys:
        assert await is_behind(toys)
        current = await reconciliation(toys)
        (lost,) = current.lost_events
        assert (lost.summary, list(lost.holders), lost.blocks) == ("", ["echo"], True)
        await begin_epoch(toys, current.digest)
        await serves_again(toys, until)
        # Another bell of the type is refused, since nobody knows which one was lost.
        with pytest.raises(LostEventsOpen):
            await toys.ring("c")
        await toys.ring("b")
        await toys.ring("c")
        await toys.delivered()
        assert await toys.echo_counts() == {"a": 1, "b": 1, "c": 1}
    await other_server.stop()


async def test_an_event_of_the_copy_that_was_not_numbered_then_is_not_published_twice(
    toy_settings: Settings, databases: Databases, until: Until
) -> None:
    await ring_and_stop(toy_settings, a=1, b=1)
    copy = await copied(toy_settings, databases, "toy")
    # As in a copy made between the commit of the second ring and its numbering.
    await change_rows(
        copy["toy_database_url"],
        "update toy.outbox_counter set next_seq = 2",
        "update toy.outbox set epoch = null, pub_seq = null, fingerprint = null, key_id = null,"
        " signature = null, send_time = null where pub_seq = 2",
    )
    async with serve_toys(toy_settings.model_copy(update=copy)) as toys:
        assert await is_behind(toys)
        await begin_epoch(toys, (await reconciliation(toys)).digest)
        await serves_again(toys, until)
        await toys.ring("c")
        await toys.delivered()
        assert await toys.echo_counts() == {"a": 1, "b": 1, "c": 1}


async def test_a_database_that_goes_back_while_its_service_runs_stops_it(
    toy_settings: Settings, until: Until
) -> None:
    async with serve_toys(toy_settings) as toys:
        await toys.ring("a", 2)
        await toys.delivered()
        # As after a failover to a standby that had not received the second ring.
        await change_rows(
            toy_settings.database_of("toy"),
            "delete from toy.outbox where pub_seq = 2",
            "update toy.outbox_counter set next_seq = 2, fingerprint ="
            " (select fingerprint from toy.outbox where pub_seq = 1)",
            "update toy.bell set rings = 7",
        )
        await toys.ring("a")

        async def stopped() -> bool:
            return await is_behind(toys)

        await until(stopped)


async def test_beginning_an_epoch_is_audited_with_its_reason(
    toy_settings: Settings, databases: Databases
) -> None:
    await ring_and_stop(toy_settings, a=1)
    before = await copied(toy_settings, databases, "toy")
    await ring_and_stop(toy_settings, a=1)
    async with serve_toys(toy_settings.model_copy(update=before)) as toys:
        digest = (await reconciliation(toys)).digest
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await begin_epoch(toys, digest, reason=" ")
        assert problem_of(caught.value).reason == "FIELD_MISSING"
        begun = await begin_epoch(toys, digest)
        again = await begin_epoch(toys, digest)
        assert begun == again
        async with toys.contexts["toy"].database.begin() as tx:
            rows = await tx.exec_driver_sql(
                "select actor, resource from audit where action like '%%BeginEpochRequest'"
            )
            assert [tuple(row) for row in rows] == [
                ("li", f"epochs/{begun.epoch} (copy of 10:00 restored)")
            ]
