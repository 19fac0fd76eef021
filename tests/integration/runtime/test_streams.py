"""Streams and consumers: made and corrected by the migration alone, watched by their service."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamConfig
from nats.js.errors import NotFoundError
from oip.benefits.v1 import benefits_pb2, events_pb2
from oip.operations.v1 import operations_pb2
from structlog.testing import capture_logs

from services.__main__ import all_services
from services.kernel.periods import Month
from services.runtime.base.nats_keys import load_or_make_key
from services.runtime.base.nats_users import MIGRATION
from services.runtime.base.settings import Settings
from services.runtime.embedded.nats import CONFIGURATION
from services.runtime.events import patience, streams
from services.runtime.events.envelope import Envelope
from services.runtime.events.jetstream import Bus, StreamFullError, connect, migrate_streams
from services.runtime.events.streams import GIB, NotMigratedError, StreamUsage, stream_config
from services.runtime.rpc.wire import date_to_wire, enum_number, moment_to_wire, month_to_wire
from services.runtime.service.addresses import publish_addresses
from services.runtime.service.host import event_signer
from tests.support import command_line
from tests.support.databases import Databases
from tests.support.toy_delivery import ToyDelivery, consumed, migrate_toys
from tests.support.toy_stack import ToyStack, serve_toys

Until = Callable[..., Any]

AWARDS_PER_INDEXATION = 1_000_000
INDEXATIONS = 3
ROOM = 40_000


@pytest.fixture
async def migration(bus_settings: Settings) -> AsyncIterator[Bus]:
    bus = await connect(bus_settings, MIGRATION, on_closed=lambda: None)
    yield bus
    await bus.close()


async def configurations(migration: Bus) -> dict[str, Any]:
    """Streams and consumers by name, without what the server counts."""
    found: dict[str, Any] = {}
    for stream in await migration.js.streams_info():
        name = stream.config.name or ""
        found[name] = stream.config
        for consumer in await migration.js.consumers_info(name):
            found[f"{name} {consumer.name}"] = (consumer.config, consumer.created)
    return found


async def test_the_migration_is_idempotent(bus_settings: Settings, migration: Bus) -> None:
    await asyncio.gather(migrate_toys(bus_settings), migrate_toys(bus_settings))
    before = await configurations(migration)
    with capture_logs() as logged:
        await migrate_toys(bus_settings)

    assert set(before) == {
        *("TOY", "DRUM", "ECHO", "STAFF"),
        *("TOY echo", "DRUM echo", "STAFF echo", "STAFF toy"),
    }
    assert await configurations(migration) == before
    assert logged == []


async def test_the_migration_corrects_what_was_changed(
    bus_settings: Settings, migration: Bus
) -> None:
    await migration.js.add_stream(
        StreamConfig(name="TOY", subjects=["oip.toy.v1.*"], max_bytes=1000, max_age=60)
    )
    await migration.js.add_consumer(
        "TOY",
        ConsumerConfig(
            durable_name="echo",
            deliver_policy=DeliverPolicy.NEW,
            ack_policy=AckPolicy.EXPLICIT,
            max_ack_pending=1,
        ),
    )
    echo = await connect(bus_settings, "echo", on_closed=lambda: None)
    with pytest.raises(NotMigratedError, match="differs in deliver_policy"):
        await echo.require_consumer("toy", "echo")
    with pytest.raises(NotMigratedError, match="TOY differs in discard, max_bytes, max_age"):
        await streams.require_stream(echo, "toy")

    await migrate_toys(bus_settings)

    await echo.require_consumer("toy", "echo")
    await streams.require_stream(echo, "toy")
    await echo.close()


async def test_the_migration_of_a_deployment_makes_schemas_streams_and_consumers(
    databases: Databases, bus_settings: Settings, migration: Bus, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OIP_ENVIRONMENT": "production",
        "OIP_QUIET": "true",
        "OIP_DATABASE_URL": await databases.empty(),
        "OIP_NATS_URL": bus_settings.nats_url,
        "OIP_NATS_MONITOR_URL": bus_settings.nats_monitor_url,
        "OIP_NATS_KEY_FILE": str(bus_settings.nats_key_path(MIGRATION)),
    }

    assert await run_migration(environment) == (0, "")
    before = await configurations(migration)
    assert await run_migration(environment) == (0, "")
    assert "BENEFITS fund" in before
    assert await configurations(migration) == before

    stranger = tmp_path / "stranger.pem"
    load_or_make_key(stranger)
    code, said = await run_migration(environment | {"OIP_NATS_KEY_FILE": str(stranger)})
    assert code == 1
    assert "refuses the key U" in said
    code, said = await run_migration(environment | {"OIP_NATS_KEY_FILE": "missing.pem"})
    assert (code, "OIP_NATS_KEY_FILE" in said, said.count("\n")) == (1, True, 1)
    code, said = await run_migration(environment | {"OIP_NATS_URL": ""})
    assert (code, "OIP_NATS_URL" in said, said.count("\n")) == (1, True, 1)


async def run_migration(environment: dict[str, str]) -> tuple[int, str]:
    """The exit code of the migration, and what it says on stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.migrate",
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_a_consumer_exists_for_each_producer_of_a_service_s_handlers(
    bus_settings: Settings, migration: Bus
) -> None:
    await migrate_streams(bus_settings, {each.name: each.producers for each in all_services()})

    consumers = {name for name in await configurations(migration) if " " in name}
    assert consumers == {
        f"{producer.upper()} {each.name}" for each in all_services() for producer in each.producers
    }
    assert "BENEFITS fund" in consumers


async def test_a_service_makes_no_stream_and_says_what_to_do(
    toy_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "API_PATIENCE_SECONDS", 0.5)
    with capture_logs() as logged, pytest.raises(NotMigratedError) as refusal:
        async with serve_toys(toy_settings, migrates=False):
            pass

    sentence = (
        "the NATS stream TOY is missing; run `python -m services.migrate`, as before each release"
    )
    assert str(refusal.value) == sentence
    assert sentence in [entry["text"] for entry in logged if entry["event"] == "not_migrated"]
    migration = await connect(toy_settings, MIGRATION, on_closed=lambda: None)
    assert await migration.js.streams_info() == []
    await migration.close()


async def test_a_service_that_started_before_the_migration_waits_for_it(
    toy_settings: Settings,
) -> None:
    async def migrate_later() -> None:
        await asyncio.sleep(1)
        await migrate_toys(toy_settings)

    later = asyncio.create_task(migrate_later())
    async with serve_toys(toy_settings, migrates=False) as toys:
        await toys.ring("a")
        await toys.delivered()
    await later


async def test_a_listener_without_its_consumer_waits_for_the_migration(
    delivery: ToyDelivery, migration: Bus, bus_settings: Settings, until: Until
) -> None:
    await migration.js.delete_consumer("TOY", "echo")
    with capture_logs() as logged:
        delivery.start(delivery.relay(), delivery.listener())
        await delivery.ring("a", 3)
        await asyncio.sleep(1.5)
    assert any("services.migrate" in str(entry.get("error")) for entry in logged)
    with pytest.raises(NotFoundError):
        await migration.js.consumer_info("TOY", "echo")

    await migrate_toys(bus_settings)

    await until(consumed(delivery, {"a": 3}))


async def show_delivery(toys: ToyStack) -> tuple[int, str]:
    """The exit code and the output of `oip delivery`."""
    with publish_addresses(toys.settings.state_dir, toys.addresses):
        done = await command_line.oip(toys.settings.state_dir, "delivery")
    return done.exit_code, done.output


async def test_a_nearly_full_stream_is_reported_and_a_full_one_resumes(
    toy_settings: Settings, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(streams.STREAM_BYTES_MAX, "toy", ROOM)
    monkeypatch.setattr(streams, "WATCH_SECONDS", 0.1)
    with capture_logs() as logged:
        async with serve_toys(toy_settings) as toys:

            async def usage() -> StreamUsage:
                answer = await toys.stub("toy").GetDelivery(operations_pb2.GetDeliveryRequest())
                return StreamUsage(answer.stream_bytes, answer.stream_bytes_max)

            def has_logged(event: str) -> Callable[[], Any]:
                async def holds() -> bool:
                    return any(entry["event"] == event for entry in logged)

                return holds

            await toys.ring("a", 10)
            await toys.delivered()

            async def is_reported() -> bool:
                return (await usage()).bytes > 0

            await until(is_reported)
            assert (await usage()).bytes_max == ROOM
            assert not await has_logged("stream_nearly_full")()
            assert (await show_delivery(toys))[0] == 0

            await toys.ring("a", 150)
            await until(has_logged("stream_nearly_full"))
            await until(has_logged("stream_full"))
            code, shown = await show_delivery(toys)
            assert code == 1, shown
            assert "The stream of toy is nearly full" in shown

            monkeypatch.setitem(streams.STREAM_BYTES_MAX, "toy", 10 * ROOM)
            await migrate_toys(toy_settings)

            await toys.delivered()
            assert await toys.echo_counts() == {"a": 160}
            await until(has_logged("stream_has_room"))
            assert (await show_delivery(toys))[0] == 0


async def test_a_full_stream_refuses_and_keeps_what_it_has(
    bus_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(streams.STREAM_BYTES_MAX, "toy", 2_000)
    await migrate_toys(bus_settings)
    bus = await connect(bus_settings, "toy", on_closed=lambda: None)

    for number in range(1, 6):
        await bus.publish(Envelope("toy", "e", number, "oip.toy.v1.BellRang", b"x" * 50))
    large = Envelope("toy", "e", 6, "oip.toy.v1.BellRang", b"x" * 1_500)
    with pytest.raises(StreamFullError, match="stream TOY is full: its events wait in the outbox"):
        await bus.publish(large)

    state = (await bus.js.stream_info("TOY")).state
    assert (state.first_seq, state.messages) == (1, 5)
    await bus.close()


async def test_three_indexations_of_a_million_awards_leave_the_stream_below_the_warning(
    bus_settings: Settings,
) -> None:
    """Each publishes a changed award and its back pay; every field is set to a long value."""
    claim = "claims/0f8fad5b-d9cb-469f-a165-70867728950e"
    award = benefits_pb2.Award(
        name=f"awards/{'x' * 50}",
        claim=claim,
        kind=enum_number(3),
        state=enum_number(2),
        beneficiary="workers/123456789012",
        periodic=True,
        amount_fen=345_678,
        first_month=month_to_wire(Month(2025, 8)),
        last_month=month_to_wire(Month(2025, 8)),
        pooling_area="440100",
        industry=enum_number(2),
        event_date=date_to_wire(date(2025, 7, 16)),
        revision=12,
        provisional=True,
        adjusts=f"awards/{'x' * 50}",
        create_time=moment_to_wire(datetime(2025, 7, 16, 1, 2, 3, 456_789, tzinfo=UTC)),
    )
    event = events_pb2.AwardGranted(award=award)
    await migrate_streams(bus_settings, {"benefits": ()})
    bus = await connect(bus_settings, "benefits", on_closed=lambda: None)
    envelope = Envelope(
        "benefits",
        "0123456789abcdef",
        10_000_000,
        event.DESCRIPTOR.full_name,
        event.SerializeToString(),
    )
    await bus.publish(event_signer(bus_settings, "benefits").sign(envelope))
    usage = await bus.usage("benefits")
    await bus.close()

    whole = usage.bytes * 2 * AWARDS_PER_INDEXATION * INDEXATIONS
    assert usage.bytes <= 660
    assert not StreamUsage(whole, usage.bytes_max).is_nearly_full


def test_all_streams_together_fit_into_the_store() -> None:
    sizes = [stream_config(each.name, 1).max_bytes or 0 for each in all_services()]

    assert sum(sizes) <= 16 * GIB
    assert "max_file_store: 32GB" in CONFIGURATION
