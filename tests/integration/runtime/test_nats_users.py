"""NATS knows each service: what a stolen key of claims cannot do."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nats.errors
import pytest
from nats.js.api import ConsumerConfig, StreamConfig
from structlog.testing import capture_logs

from services.runtime.base.nats_keys import NatsKeyError, load_key, load_or_make_key
from services.runtime.base.nats_users import KEYS_FILE, MIGRATION, keys_file, nats_users
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.embedded.nats import binary
from services.runtime.events.envelope import Envelope
from services.runtime.events.jetstream import Bus, connect, migrate_streams
from tests.support.stack_client import with_nats

DEPLOY = Path(__file__).parents[3] / "deploy"
CONSUMES = {"claims": (), "benefits": ("claims",), "fund": ("benefits",)}


@pytest.fixture
async def settings(stack: Settings, nats_server: NatsServer) -> Settings:
    filled = with_nats(stack, nats_server, stack.database_url)
    await migrate_streams(filled, CONSUMES)
    return filled


@pytest.fixture
async def claims(settings: Settings) -> AsyncIterator[Bus]:
    bus = await connect(settings, "claims", on_closed=lambda: None)
    yield bus
    await bus.close()


@pytest.fixture
async def migration(settings: Settings) -> AsyncIterator[Bus]:
    bus = await connect(settings, MIGRATION, on_closed=lambda: None)
    yield bus
    await bus.close()


async def violation(call: Awaitable[Any]) -> str:
    """What the server says about a call that it refuses; fails if it lets the call pass."""
    with capture_logs() as logged, pytest.raises((TimeoutError, nats.errors.TimeoutError)):
        await call
    (text,) = {entry["text"] for entry in logged if "text" in entry}
    assert "permissions violation" in text.lower()
    return str(text)


async def test_a_service_publishes_its_own_events_alone(claims: Bus, migration: Bus) -> None:
    await claims.publish(Envelope("claims", "e", 1, "oip.claims.v1.ClaimDetermined", b""))
    forged = Envelope("benefits", "e", 1, "oip.benefits.v1.PaymentInstructed", b"")

    assert "oip.benefits.v1.paymentinstructed" in await violation(claims.publish(forged))
    assert (await migration.js.stream_info("CLAIMS")).state.messages == 1
    assert (await migration.js.stream_info("BENEFITS")).state.messages == 0


CHANGES: dict[str, Callable[[Bus], Awaitable[Any]]] = {
    "create": lambda bus: bus.js.add_stream(StreamConfig(name="NEW", subjects=["new"])),
    "update": lambda bus: bus.js.update_stream(
        StreamConfig(name="CLAIMS", subjects=["oip.claims.v1.*"], max_age=1)
    ),
    "delete": lambda bus: bus.js.delete_stream("CLAIMS"),
    "purge": lambda bus: bus.js.purge_stream("CLAIMS"),
    "delete a message": lambda bus: bus.js.delete_msg("CLAIMS", 1),
    "read a message": lambda bus: bus.js.get_msg("BENEFITS", 1),
    "create a consumer": lambda bus: bus.js.add_consumer(
        "BENEFITS", ConsumerConfig(durable_name="claims")
    ),
    "create a named consumer": lambda bus: bus.js.add_consumer(
        "BENEFITS", ConsumerConfig(name="claims")
    ),
    "delete a consumer": lambda bus: bus.js.delete_consumer("CLAIMS", "benefits"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_service_changes_no_stream_and_no_consumer(
    claims: Bus, migration: Bus, change: Callable[[Bus], Awaitable[Any]]
) -> None:
    claims.js = claims.client.jetstream(timeout=1)
    before = await topology(migration)

    assert "$js.api." in await violation(change(claims))
    assert await topology(migration) == before


async def topology(migration: Bus) -> list[tuple[str, int, list[str]]]:
    streams = await migration.js.streams_info()
    found = []
    for info in streams:
        name = info.config.name or ""
        consumers = [consumer.name for consumer in await migration.js.consumers_info(name)]
        found.append((name, int(info.config.max_age or 0), consumers))
    return found


@pytest.mark.parametrize(
    "target", ["$JS.API.STREAM.DELETE.BENEFITS", "$JS.API.CONSUMER.DELETE.BENEFITS.fund"]
)
async def test_an_answer_sent_elsewhere_changes_nothing(
    settings: Settings, migration: Bus, target: str
) -> None:
    """The server does not check where it answers to; its answers must not count as requests."""
    benefits = await connect(settings, "benefits", on_closed=lambda: None)
    claims = await connect(settings, "claims", on_closed=lambda: None)
    await claims.publish(Envelope("claims", "e", 1, "oip.claims.v1.ClaimDetermined", b""))
    before = await topology(migration)

    await benefits.client.publish("$JS.API.STREAM.INFO.CLAIMS", b"", reply=target)
    pull = "$JS.API.CONSUMER.MSG.NEXT.CLAIMS.benefits"
    await benefits.client.publish(pull, b"1", reply=target)
    await benefits.client.publish("oip.benefits.v1.PaymentInstructed", b"", reply=target)
    await asyncio.sleep(0.5)

    assert await topology(migration) == before
    await benefits.close()
    await claims.close()


async def test_a_service_takes_nothing_from_the_consumer_of_another(
    claims: Bus, settings: Settings
) -> None:
    benefits = await connect(settings, "benefits", on_closed=lambda: None)
    await claims.publish(Envelope("claims", "e", 1, "oip.claims.v1.ClaimDetermined", b""))
    await benefits.publish(Envelope("benefits", "e", 1, "oip.benefits.v1.PaymentInstructed", b""))

    pulled = await claims.js.pull_subscribe_bind("fund", stream="BENEFITS")
    assert "msg.next.benefits.fund" in await violation(pulled.fetch(1, timeout=1))
    own = await benefits.js.pull_subscribe_bind("benefits", stream="CLAIMS")
    (message,) = await own.fetch(1, timeout=5)
    assert "$js.ack.claims.benefits." in await violation(
        claims.client.request(message.reply, b"+TERM", timeout=1)
    )
    await message.ack_sync(timeout=5)
    await benefits.close()


@pytest.mark.parametrize("subject", [">", "oip.>", "oip.claims.v1.*", "_INBOX_fund.>", "_INBOX.>"])
async def test_a_service_listens_on_its_own_inboxes_alone(claims: Bus, subject: str) -> None:
    with capture_logs() as logged:
        await claims.client.subscribe(subject)
        async with asyncio.timeout(5):
            while not logged:  # noqa: ASYNC110 - the server answers when it likes
                await asyncio.sleep(0.01)

    (text,) = {entry["text"] for entry in logged if entry["event"] == "bus_error"}
    assert "permissions violation for subscription" in text.lower()


async def test_the_migration_publishes_no_event(migration: Bus) -> None:
    forged = Envelope("benefits", "e", 1, "oip.benefits.v1.PaymentInstructed", b"")

    assert "oip.benefits" in await violation(migration.publish(forged))


async def connect_raw(settings: Settings, options: dict[str, str]) -> bytes:
    """What the server answers to a client with these options."""
    place = urlsplit(settings.nats_url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    await reader.readline()
    writer.write(f"CONNECT {json.dumps(options)}\r\nPING\r\n".encode())
    answer = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_connection_without_a_key_is_refused(settings: Settings) -> None:
    key = load_key(settings.nats_key_path("claims"))
    attempts: list[dict[str, str]] = [
        {},
        {"user": "oip", "pass": "oip"},
        {"nkey": key.public},
        {"nkey": key.public, "sig": key.sign("another nonce").decode()},
    ]

    for options in attempts:
        assert b"Authorization Violation" in await connect_raw(settings, options), options


async def test_a_key_that_the_server_does_not_know_is_named(
    settings: Settings, tmp_path: Path
) -> None:
    stranger = settings.model_copy(update={"nats_key_dir": tmp_path / "stranger"})

    with pytest.raises(NatsKeyError, match=r"refuses the key U[A-Z0-9]{55} of claims; add it"):
        await asyncio.wait_for(connect(stranger, "claims", on_closed=lambda: None), 20)


def test_the_servers_of_a_deployment_take_its_configuration(tmp_path: Path) -> None:
    for name in ("nats.conf", "nats-users.conf"):
        shutil.copy(DEPLOY / name, tmp_path)
    for user in nats_users():
        load_or_make_key(tmp_path / f"{user}.pem")
    (tmp_path / KEYS_FILE).write_text(keys_file(tmp_path, nats_users()))

    done = subprocess.run(
        [binary(), "-t", "-c", tmp_path / "nats.conf"], capture_output=True, text=True, check=False
    )
    (tmp_path / KEYS_FILE).write_text("NATS_CLAIMS: UNKNOWN\n")
    broken = subprocess.run(
        [binary(), "-t", "-c", tmp_path / "nats.conf"], capture_output=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert broken.returncode != 0


async def test_a_user_s_key_is_for_its_owner_alone(settings: Settings) -> None:
    for user in ("claims", MIGRATION):
        assert settings.nats_key_path(user).stat().st_mode & 0o777 == 0o600
