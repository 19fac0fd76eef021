"""`oip restore` and `oip verify` against a database that was restored."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.service import restoration
from services.runtime.service.addresses import publish_addresses
from tests.support import command_line
from tests.support.databases import TOY_SERVICES, Databases
from tests.support.toy_stack import ToySettings, ToyStack, serve_toys


@pytest.fixture
async def restored(databases: Databases, nats_server: NatsServer, tmp_path: Path) -> Settings:
    """Settings with the toy's database of before its last ring."""
    settings = ToySettings(
        state_dir=tmp_path / "state",
        toy_database_url=await databases.fresh("toy", root=TOY_SERVICES),
        echo_database_url=await databases.fresh("echo", root=TOY_SERVICES),
        nats_url=nats_server.url,
        nats_monitor_url=nats_server.monitor_url,
        nats_key_dir=nats_server.key_dir,
    )
    copy = settings.toy_database_url
    for name in ("a", "b"):
        copy = await databases.copy(settings.toy_database_url)
        async with serve_toys(settings) as toys:
            await toys.ring(name)
            await toys.delivered()
    return settings.model_copy(update={"toy_database_url": copy})


async def oip(toys: ToyStack, *arguments: str) -> tuple[int, str]:
    with publish_addresses(toys.settings.state_dir, toys.addresses):
        done = await command_line.oip(toys.settings.state_dir, *arguments)
        stored = re.search(r"pendingActs/\w+", done.output)
        if stored is not None and done.exit_code == 0:
            await toys.sign("toy", stored.group())
    return done.exit_code, done.output


async def test_a_restored_service_is_brought_back_with_the_command_line(
    restored: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoration, "BEHIND_SECONDS", 0.2)
    monkeypatch.setattr("services.cli.verify.DELIVERY_SECONDS", 0.5)
    async with serve_toys(restored) as toys:
        code, shown = await oip(toys, "verify")
        assert code == 1
        assert "the database of toy is older than what it has published" in shown

        code, shown = await oip(toys, "restore", "show", "--service", "toy")
        assert (code, "ring 1 of b" in shown) == (0, True), shown
        (digest,) = re.findall(r"--digest ([0-9a-f]{64})", shown)

        begin = ("restore", "begin-epoch", "--service", "toy", "--reason", "disk lost")
        code, shown = await oip(toys, *begin, "--digest", "00")
        assert (code, "has changed since" in shown) == (2, True), shown
        code, shown = await oip(toys, *begin, "--digest", digest)
        assert (code, "pendingActs/" in shown) == (0, True), shown

        code, shown = await oip(toys, "lost-events", "list")
        assert (code, "ring 1 of b" in shown) == (0, True), shown
        subject = ("--subject", "oip.toy.v1.BellRang", "--reason", "bell undone")
        resolve = ("restore", "resolve", "--service", "toy", *subject)
        code, shown = await oip(toys, *resolve, "--as", "kept")
        assert (code, "cannot be kept" in shown) == (2, True), shown
        code, shown = await oip(toys, *resolve, "--as", "taken-back")
        assert (code, "pendingActs/" in shown) == (0, True), shown
        assert "There are none." in (await oip(toys, "lost-events", "list"))[1]
        code, shown = await oip(toys, "restore", "show", "--service", "toy")
        assert "holds all that was published" in shown
