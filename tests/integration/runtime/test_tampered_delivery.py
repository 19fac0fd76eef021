"""A row of the delivery of events changed by hand turns `oip verify` red, whoever changed it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from oip.operations.v1 import operations_pb2

from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from tests.support.databases import TOY_SERVICES, Databases
from tests.support.nats import NATS_USERS
from tests.support.toy_stack import NAMES, ToySettings, ToyStack, serve_toys


@pytest.fixture(scope="module")
async def toys(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ToyStack]:
    """Toy and echo with ten rings delivered, without a comparison that would stop them."""
    folder: Path = tmp_path_factory.mktemp("tampered")
    server = NatsServer(folder / "nats", users=NATS_USERS)
    await server.start()
    settings = ToySettings(
        state_dir=folder / "state",
        toy_database_url=await databases.fresh("toy", root=TOY_SERVICES),
        echo_database_url=await databases.fresh("echo", root=TOY_SERVICES),
        nats_url=server.url,
        nats_monitor_url=server.monitor_url,
        nats_key_dir=server.key_dir,
    )
    async with serve_toys(settings) as running:
        await running.ring("a", 10)
        await running.delivered()
        yield running
    await server.stop()


async def broken(toys: ToyStack) -> list[str]:
    checks = [
        check
        for name in NAMES
        for check in (await toys.stub(name).Verify(operations_pb2.VerifyRequest())).checks
    ]
    return [check.invariant for check in checks if not check.holds]


async def execute(settings: Settings, service: str, statement: str) -> None:
    """Change rows as the owner of the database can, around its triggers."""
    async with await psycopg.AsyncConnection.connect(settings.database_of(service)) as connection:
        await connection.execute(b"set session_replication_role = replica")
        await connection.execute(f"set search_path to {service}".encode())
        await connection.execute(statement.encode())


@pytest.mark.parametrize(
    ("service", "damage", "repair", "codes"),
    [
        (
            "toy",
            "update outbox set payload = payload || '\\x1801' where pub_seq = 4",
            "update outbox set payload = substr(payload, 1, length(payload) - 2) where pub_seq = 4",
            ["I6-published"],
        ),
        (
            "toy",
            "update outbox set subject = 'oip.toy.v1.BellTuned' where pub_seq = 10",
            "update outbox set subject = 'oip.toy.v1.BellRang' where pub_seq = 10",
            ["I6-published"],
        ),
        (
            "toy",
            "update outbox_counter set fingerprint = sha256(fingerprint)",
            (
                "update outbox_counter set fingerprint ="
                " (select fingerprint from outbox where pub_seq = 10)"
            ),
            ["I6-published"],
        ),
        (
            "echo",
            "update inbox set content_hash = sha256(content_hash) where pub_seq = 4",
            (
                "update inbox set content_hash = (select content_hash from inbox_before"
                " where pub_seq = 4) where pub_seq = 4"
            ),
            ["I6-consumed"],
        ),
        (
            "echo",
            "delete from inbox where pub_seq = 10",
            "insert into inbox select * from inbox_before where pub_seq = 10",
            ["I6-consumed"],
        ),
        (
            "toy",
            (
                "insert into lost_event select epoch, pub_seq, '\\x00', subject, payload, '', '',"
                " '', '', false, '', '', now(), now(), 2, '' from outbox where pub_seq = 4"
            ),
            "delete from lost_event",
            ["I6-lost"],
        ),
    ],
)
async def test_each_check_of_delivery_turns_red_for_its_own_damage(
    toys: ToyStack, service: str, damage: str, repair: str, codes: list[str]
) -> None:
    copy = "create table if not exists inbox_before as table inbox"
    await execute(toys.settings, "echo", copy)
    assert await broken(toys) == []

    await execute(toys.settings, service, damage)
    found = await broken(toys)
    await execute(toys.settings, service, repair)

    assert found == codes
    assert await broken(toys) == []
