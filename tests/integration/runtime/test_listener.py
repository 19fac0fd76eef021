"""Consuming: once, in any order, with gaps repaired and failing events as dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import nats.js.errors
import pytest

from services.runtime.base.failpoints import FailpointError
from services.runtime.base.nats_users import MIGRATION
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.events import dead_letters, epochs, jetstream, outbox, patience
from services.runtime.events.envelope import Envelope
from services.runtime.events.jetstream import Bus
from services.runtime.events.listener import ForeignEnvelopeError
from services.runtime.events.sync_check import NatsUnreachableError, NotSyncedError
from services.runtime.storage import audit
from services.runtime.storage.database import Database
from tests.support import toy
from tests.support.stack_client import with_nats
from tests.support.toy_delivery import ToyDelivery, consumed, consumed_numbers

Until = Callable[..., Any]


async def letters(echoes: Database) -> list[dead_letters.DeadLetter]:
    async with echoes.begin() as tx:
        return await dead_letters.list_dead_letters(tx, size=100)


async def test_a_published_event_is_consumed_once(delivery: ToyDelivery, until: Until) -> None:
    listener = delivery.listener()
    delivery.start(delivery.relay(), listener)
    await delivery.ring("a", 20)

    await until(consumed(delivery, {"a": 20}))
    await until(listener.is_idle)

    assert await consumed_numbers(delivery.echoes) == [(20, 20)]


async def test_each_effect_has_its_audit_row(delivery: ToyDelivery, until: Until) -> None:
    delivery.start(delivery.relay(), delivery.listener())
    await delivery.ring("a", 3)
    await until(consumed(delivery, {"a": 3}))

    async with delivery.echoes.begin() as tx:
        assert await audit.link(tx) == 3
        chain = await audit.verify(tx)
    assert (chain.holds, chain.row_count) == (True, 3)


async def test_events_sent_twice_and_shuffled_count_once(delivery: ToyDelivery) -> None:
    sent: list[Envelope] = []

    async def keep(envelope: Envelope) -> None:
        sent.append(envelope)

    await delivery.ring("a", 10)
    await delivery.relay(keep).once()
    receiver = delivery.receiver()
    for envelope in [*reversed(sent), *sent]:
        await receiver.receive(envelope)

    assert await delivery.echo_counts() == {"a": 10}
    assert await consumed_numbers(delivery.echoes) == [(10, 10)]


async def test_an_event_without_a_handler_is_recorded_and_acknowledged(
    delivery: ToyDelivery, until: Until
) -> None:
    listener = delivery.listener()
    delivery.start(delivery.relay(), listener)
    async with delivery.toys.begin() as tx:
        await outbox.add(tx, toy.BellTuned(name="a", revision=1), delivery.clock.now())
    await delivery.ring("a")

    await until(consumed(delivery, {"a": 1}))
    await until(listener.is_idle)

    assert await consumed_numbers(delivery.echoes) == [(2, 2)]


@pytest.mark.parametrize("place", ["listener.before_commit", "listener.after_commit"])
async def test_a_failure_around_the_commit_doubles_and_loses_nothing(
    delivery: ToyDelivery, until: Until, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("OIP_FAILPOINT", f"{place}:raise")
    listener = delivery.listener()
    await delivery.ring("a")
    await delivery.relay().once()
    (message,) = await fetch_one(delivery.echo_bus)
    if place == "listener.after_commit":
        with pytest.raises(FailpointError):
            await listener._take([message])
    else:
        await listener._take([message])
    monkeypatch.delenv("OIP_FAILPOINT")
    (redelivered,) = (
        await fetch_one(delivery.echo_bus) if place == "listener.before_commit" else (message,)
    )
    await listener._take([redelivered])

    assert await delivery.echo_counts() == {"a": 1}
    await until(listener.is_idle)


async def fetch_one(bus: Bus) -> list[Any]:
    subscription = await bus.js.pull_subscribe_bind("echo", stream="TOY")
    return await subscription.fetch(1, timeout=5)


async def test_an_event_that_always_fails_becomes_a_dead_letter_and_others_are_consumed(
    delivery: ToyDelivery, until: Until
) -> None:
    listener = delivery.listener()
    delivery.start(delivery.relay(), listener)
    await delivery.ring("a")
    await delivery.ring("poison")
    await delivery.ring("a")

    await until(consumed(delivery, {"a": 2}))

    async def has_dead_letter() -> bool:
        return bool(await letters(delivery.echoes))

    await until(has_dead_letter)
    await until(listener.is_idle)
    (letter,) = await letters(delivery.echoes)
    assert (letter.envelope.pub_seq, letter.error) == (2, "ZeroDivisionError")
    assert await consumed_numbers(delivery.echoes) == [(3, 3)]


async def test_a_dead_letter_takes_effect_when_it_is_retried_and_only_once(
    delivery: ToyDelivery, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = delivery.listener()
    delivery.start(delivery.relay(), listener)
    await delivery.ring("shy")

    async def has_dead_letter() -> bool:
        return bool(await letters(delivery.echoes))

    await until(has_dead_letter)
    (letter,) = await letters(delivery.echoes)
    key = (letter.envelope.producer, letter.envelope.epoch, letter.envelope.pub_seq)
    monkeypatch.setenv("TOY_BRAVE", "1")
    for _ in range(2):
        async with delivery.echoes.begin() as tx:
            resolved = await delivery.receiver().retry(tx, *key)

    assert resolved.resolve_time is not None
    assert await delivery.echo_counts() == {"shy": 1}
    assert await letters(delivery.echoes) == []


async def test_a_dead_letter_that_fails_again_stays(delivery: ToyDelivery) -> None:
    receiver = delivery.receiver()
    await receiver.to_dead_letter(toy.rang(1, "poison"), ValueError())
    with pytest.raises(ZeroDivisionError):
        async with delivery.echoes.begin() as tx:
            await receiver.retry(tx, "toy", "e", 1)

    assert [letter.resolve_time for letter in await letters(delivery.echoes)] == [None]


async def test_bytes_that_are_no_event_become_a_dead_letter(
    delivery: ToyDelivery, until: Until
) -> None:
    listener = delivery.listener()
    delivery.start(listener)
    no_bell = Envelope("toy", "e", 1, "oip.toy.v1.BellRang", b"\xff\xff\xff")
    await delivery.bus.publish(toy.SIGNER.sign(no_bell))

    async def has_dead_letter() -> bool:
        return [letter.error for letter in await letters(delivery.echoes)] == ["DecodeError"]

    await until(has_dead_letter)


async def test_a_message_without_our_headers_is_dropped(
    delivery: ToyDelivery, until: Until
) -> None:
    listener = delivery.listener()
    await delivery.bus.js.publish("oip.toy.v1.BellRang", b"no envelope")
    delivery.start(delivery.relay(), listener)
    await delivery.ring("a")

    await until(consumed(delivery, {"a": 1}))
    await until(listener.is_idle)

    assert await consumed_numbers(delivery.echoes) == [(1, 1)]


async def test_a_gap_is_closed_from_the_producer(delivery: ToyDelivery, until: Until) -> None:
    async def lose_the_third(envelope: Envelope) -> None:
        if envelope.pub_seq != 3:
            await delivery.bus.publish(envelope)

    delivery.start(delivery.listener(), delivery.relay(lose_the_third))
    await delivery.ring("a", 6)

    await until(consumed(delivery, {"a": 6}))

    assert await consumed_numbers(delivery.echoes) == [(6, 6)]


async def test_the_end_of_a_sequence_that_the_bus_lost_is_asked_for(
    delivery: ToyDelivery, until: Until
) -> None:
    async def lose(envelope: Envelope) -> None:
        pass

    await delivery.ring("a", 4)
    await delivery.relay(lose).once()
    delivery.start(delivery.listener())

    await until(consumed(delivery, {"a": 4}))


async def test_a_new_epoch_that_the_bus_lost_is_found(delivery: ToyDelivery, until: Until) -> None:
    async def lose(envelope: Envelope) -> None:
        pass

    await delivery.ring("a", 2)
    await delivery.relay().once()
    listener = delivery.listener(repair_seconds=0.2)
    delivery.start(listener)
    await until(consumed(delivery, {"a": 2}))
    async with delivery.toys.begin() as tx:
        await epochs.begin_epoch(tx, "after the restore")
    await delivery.ring("a", 3)
    await delivery.relay(lose).once()

    await until(consumed(delivery, {"a": 5}))


async def test_an_event_of_another_producer_in_a_replay_is_refused(
    delivery: ToyDelivery,
) -> None:
    async def foreign(_producer: str, epoch: str, _from_seq: int) -> AsyncGenerator[Envelope, None]:
        yield Envelope("claims", epoch or "e", 1, "oip.claims.v1.ClaimDetermined", b"")

    with pytest.raises(ForeignEnvelopeError):
        await delivery.listener(replay=foreign).repair("toy")

    assert await consumed_numbers(delivery.echoes) == []


async def test_a_missing_producer_does_not_stop_the_listener(
    delivery: ToyDelivery, until: Until
) -> None:
    def unreachable(producer: str, _epoch: str, _from_seq: int) -> AsyncGenerator[Envelope, None]:
        raise ConnectionRefusedError(producer)

    delivery.start(delivery.relay(), delivery.listener(replay=unreachable, repair_seconds=0.2))
    await delivery.ring("a", 2)

    await until(consumed(delivery, {"a": 2}))


async def test_a_service_that_consumes_nothing_waits(delivery: ToyDelivery) -> None:
    listener = delivery.listener(delivery.receiver(handlers={}))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await listener.run()


async def test_a_backlog_with_a_failing_event_is_consumed_in_groups(
    delivery: ToyDelivery, until: Until
) -> None:
    await delivery.ring("a", 40)
    await delivery.ring("poison")
    await delivery.ring("a", 40)
    await delivery.relay().once()
    listener = delivery.listener()
    delivery.start(listener)

    await until(consumed(delivery, {"a": 80}))
    await until(listener.is_idle)

    assert [letter.envelope.pub_seq for letter in await letters(delivery.echoes)] == [41]
    assert await consumed_numbers(delivery.echoes) == [(81, 81)]


async def test_two_replicas_share_the_work_and_count_once(
    delivery: ToyDelivery, until: Until
) -> None:
    delivery.start(delivery.relay(), delivery.relay(), delivery.listener(), delivery.listener())
    await delivery.ring("a", 100)

    await until(consumed(delivery, {"a": 100}))
    assert await consumed_numbers(delivery.echoes) == [(100, 100)]


async def test_a_server_that_does_not_sync_always_is_refused(
    stack: Settings, tmp_path: Path
) -> None:
    server = NatsServer(tmp_path / "careless", sync_interval="2m")
    await server.start()
    settings = with_nats(stack, server, stack.database_url)
    try:
        with pytest.raises(NotSyncedError, match="sync_interval: always"):
            await jetstream.connect(settings, "orders")
    finally:
        await server.stop()


async def test_a_server_that_cannot_be_asked_is_refused(
    bus_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "API_PATIENCE_SECONDS", 0.5)
    settings = bus_settings.model_copy(update={"nats_monitor_url": "http://127.0.0.1:1"})

    with pytest.raises(NatsUnreachableError, match="OIP_NATS_MONITOR_URL"):
        await jetstream.connect(settings, "orders")


async def test_streams_refuse_rather_than_forget(bus: Bus, bus_settings: Settings) -> None:
    stream = await bus.js.stream_info("TOY")

    assert stream.config.subjects == ["oip.toy.v1.*"]
    assert stream.config.discard == "new"
    assert stream.config.storage == "file"
    assert (stream.config.deny_delete, stream.config.deny_purge) == (True, True)
    assert stream.config.duplicate_window == 600
    migration = await jetstream.connect(bus_settings, MIGRATION, on_closed=lambda: None)
    with pytest.raises(nats.js.errors.APIError):
        await migration.js.purge_stream("TOY")
    await migration.close()


async def test_the_same_event_published_twice_is_stored_once(bus: Bus) -> None:
    envelope = Envelope("toy", "e", 1, "oip.toy.v1.BellRang", b"")
    await bus.publish(envelope)
    await bus.publish(envelope)

    assert (await bus.js.stream_info("TOY")).state.messages == 1
