"""Health says whether a service does its work: what it lacks, in a sentence, until it has it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from oip.operations.v1 import operations_pb2
from sqlalchemy import text
from sqlalchemy.engine import make_url

from services.runtime.base.clock import SystemClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.rpc.tokens import Issuer
from services.runtime.service import health, host
from services.runtime.service.addresses import publish_addresses
from services.runtime.storage import database as database_module
from services.runtime.storage.migrate import Revisions, revisions_of
from tests.support import command_line
from tests.support.databases import TOY_SERVICES
from tests.support.tcp_proxy import Mode, TcpProxy, tcp_proxy
from tests.support.toy_stack import ToyStack, serve_toys

Until: TypeAlias = Callable[..., Awaitable[None]]
SERVING = health_pb2.HealthCheckResponse.SERVING
SECONDS = 0.5


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, seconds in (
        (database_module, "OPEN_SECONDS", SECONDS),
        (database_module, "END_SECONDS", SECONDS),
        (host, "ROUND_SECONDS", SECONDS),
        (host, "LISTENER_SECONDS", SECONDS),
        (health, "START_SECONDS", 0.1),
        (health, "CHECK_SECONDS", 0.2),
        (health, "RECHECK_SECONDS", 0.2),
    ):
        monkeypatch.setattr(module, name, seconds)


async def published(toys: ToyStack, service: str = "toy") -> dict[str, bool]:
    """The four names of the health service, without a token."""
    async with grpc.aio.insecure_channel(toys.contexts[service].health_address()) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        states = {}
        for name in ("", "liveness", "readiness", "delivery"):
            request = health_pb2.HealthCheckRequest(service=name)
            states[name] = (await stub.Check(request, timeout=5)).status == SERVING
        return states


def states(*, ready: bool, delivers: bool) -> dict[str, bool]:
    return {"": ready and delivers, "liveness": True, "readiness": ready, "delivery": delivers}


async def codes(toys: ToyStack, service: str = "toy") -> set[str]:
    answer = await toys.stub(service).GetHealth(operations_pb2.GetHealthRequest())
    return {fault.code for fault in answer.faults}


async def oip_health(toys: ToyStack) -> tuple[int, str]:
    with publish_addresses(toys.settings.state_dir, toys.addresses):
        done = await command_line.oip(toys.settings.state_dir, "health")
    return done.exit_code, done.output


def is_healthy(toys: ToyStack) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return all([not await codes(toys, name) for name in ("toy", "echo")])

    return check


def lacks(toys: ToyStack, code: str, service: str = "toy") -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return code in await codes(toys, service)

    return check


async def test_a_service_that_works_is_serving_by_every_name(
    toy_stack: ToyStack, until: Until
) -> None:
    await until(is_healthy(toy_stack))

    assert await published(toy_stack) == states(ready=True, delivers=True)
    code, shown = await oip_health(toy_stack)
    assert code == 0, shown
    assert shown.count("yes") == 4


@pytest.fixture
async def proxy(toy_settings: Settings) -> AsyncIterator[TcpProxy]:
    place = make_url(toy_settings.database_url)
    async with tcp_proxy(place.host or "", place.port or 0) as running:
        yield running


@pytest.fixture
async def proxied(toy_settings: Settings, proxy: TcpProxy) -> AsyncIterator[ToyStack]:
    """Toy and echo whose database can vanish without closing its connections."""
    address = make_url(toy_settings.database_url).set(host="127.0.0.1", port=proxy.port)
    settings = toy_settings.model_copy(
        update={"database_url": address.render_as_string(hide_password=False)}
    )
    async with serve_toys(settings) as toys:
        yield toys


async def test_a_database_that_vanishes_is_said_and_the_outbox_drains_when_it_is_back(
    proxied: ToyStack, proxy: TcpProxy, until: Until
) -> None:
    await until(is_healthy(proxied))
    # Whoever asks for the first time during the outage cannot be looked up.
    assert (await oip_health(proxied))[0] == 0
    await proxied.ring("a", 3)
    proxy.mode = Mode.BLACKHOLE

    await until(lacks(proxied, "DATABASE_SILENT"), 20)
    assert await published(proxied) == states(ready=False, delivers=False)
    code, shown = await oip_health(proxied)
    assert code == 1, shown
    assert "The database does not answer; check the server" in shown

    proxy.mode = Mode.PASS
    await until(is_healthy(proxied), 20)
    await proxied.ring("b", 2)
    await proxied.delivered()
    assert await proxied.echo_counts() == {"a": 3, "b": 2}
    assert await published(proxied) == states(ready=True, delivers=True)


async def test_a_lost_nats_stops_delivery_and_no_calls(
    toy_stack: ToyStack, nats_server: NatsServer, until: Until
) -> None:
    await until(is_healthy(toy_stack))
    await nats_server.kill()

    await until(lacks(toy_stack, "NATS_SILENT"))
    assert await published(toy_stack) == states(ready=True, delivers=False)

    await nats_server.start()
    await until(is_healthy(toy_stack), 30)
    assert await published(toy_stack) == states(ready=True, delivers=True)


async def test_events_that_wait_too_long_are_said_at_both_ends(
    toy_stack: ToyStack, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LATE_SECONDS", 1.0)
    await until(is_healthy(toy_stack))
    await toy_stack.ring("shy")  # its handler fails
    await until(lacks(toy_stack, "EVENTS_NOT_CONSUMED", "echo"))
    assert (await published(toy_stack, "echo"))["delivery"] is False
    assert await codes(toy_stack) == set()

    monkeypatch.setitem(os.environ, "TOY_BRAVE", "1")
    await until(is_healthy(toy_stack), 30)

    # Somebody's transaction keeps the relay's lock.
    context = toy_stack.contexts["toy"]
    async with context.database.begin() as tx:
        await tx.execute(text("select pg_advisory_xact_lock(hashtextextended('oip relay toy', 0))"))
        await toy_stack.ring("a")
        await until(lacks(toy_stack, "EVENTS_NOT_PUBLISHED"))
    await until(is_healthy(toy_stack), 30)


async def test_a_schema_that_is_older_than_the_program_is_said(
    toy_settings: Settings, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = revisions_of("toy", TOY_SERVICES)
    assert len(now.heads) == 1
    expected = {
        "toy": Revisions(now.known | {"next"}, frozenset({"next"})),
        # Migrated by a newer release already.
        "echo": Revisions(frozenset({"older"}), frozenset({"older"})),
    }
    monkeypatch.setattr(health, "revisions_of", expected.__getitem__)
    async with serve_toys(toy_settings) as toys:
        await until(lacks(toys, "SCHEMA_OLD"))
        assert await published(toys) == states(ready=False, delivers=False)
        assert "SCHEMA_OLD" not in await codes(toys, "echo")


async def test_keys_and_tokens_that_are_missing_are_said(
    toy_settings: Settings, until: Until, tmp_path: Path
) -> None:
    token = tmp_path / "service.token"
    settings = toy_settings.model_copy(update={"token_file": token})
    async with serve_toys(settings) as toys:
        await until(lacks(toys, "TOKEN"))
        _, shown = await oip_health(toys)
        assert f"the token file {token} cannot be read" in shown

        issuer = Issuer.at(settings.signing_key_path, settings.jwks_path, SystemClock())
        token.write_text(issuer.issue("services/toy", ["service"]), encoding="utf-8")
        await until(is_healthy(toys))

        for path, code, service in (
            (settings.keys_path, "COLUMN_KEYS", "toy"),
            (settings.event_key_path("toy"), "EVENT_KEY", "toy"),
            (settings.event_trust_path / "toy.pub", "EVENT_TRUST", "echo"),
        ):
            kept = path.read_bytes()
            path.unlink()
            await until(lacks(toys, code, service))
            path.write_bytes(kept)
            await until(is_healthy(toys))


async def test_a_service_that_does_not_answer_is_a_line_of_the_table(
    toy_stack: ToyStack, until: Until
) -> None:
    await until(is_healthy(toy_stack))
    with publish_addresses(
        toy_stack.settings.state_dir, toy_stack.addresses | {"echo": "127.0.0.1:1"}
    ):
        done = await command_line.oip(toy_stack.settings.state_dir, "health")
    assert done.exit_code == 3, done.output
    assert "echo: The service does not answer at 127.0.0.1:1; start it." in done.output
