"""The key of the logs: one for all replicas, supplied in production and never created there."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from services.orderlog.signer import VERIFIER_FILE, new_key
from services.orders.__main__ import SERVICE
from services.orders.commands.log_key import read_signer
from services.runtime.base.clock import SetClock, SystemClock
from services.runtime.base.settings import Settings
from services.runtime.events.event_keys import load_or_make_signer
from services.runtime.rpc.tokens import Issuer
from services.runtime.storage.key_file import load_or_make_keys
from tests.support.databases import Databases
from tests.support.issuers import issuers_file
from tests.support.platforms import SWIFT
from tests.support.stack_client import StackClient, stack_client
from tests.support.uploads import (
    NOW,
    as_rows,
    enrol,
    execute,
    row,
    upload_one,
    upload_refused,
    violations,
)


def key_file(path: Path, *earlier: Path) -> Path:
    """A new key; after it the public keys of earlier files."""
    content = new_key()
    for file in earlier:
        content += (
            read_signer(file, "440000")
            .key.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
    path.write_bytes(content)
    return path


@asynccontextmanager
async def replica(
    settings: Settings, url: str, key: Path, folder: Path
) -> AsyncIterator[StackClient]:
    await asyncio.to_thread(folder.mkdir)
    own = settings.model_copy(update={"database_url": url, "state_dir": folder})
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OIP_ORDER_LOG_KEY_FILE", str(key))
        async with stack_client([SERVICE], own, SetClock(NOW), compares=False) as client:
            await enrol(client, 1)
            yield client


async def test_two_services_with_one_key_write_one_log(
    stack: Settings, databases: Databases, tmp_path: Path
) -> None:
    url, key = await databases.fresh("orders"), key_file(tmp_path / "log.pem")

    async with (
        replica(stack, url, key, tmp_path / "a") as first,
        replica(stack, url, key, tmp_path / "b") as second,
    ):
        for number in range(3):
            await upload_one(first, as_rows(f"a{number}", [row(f"a{number}")]))
            await upload_one(second, as_rows(f"b{number}", [row(f"b{number}")]))
        heads = await execute(
            first, "select note, log_size, root from orders.checkpoint order by log_size"
        )
        signer = read_signer(key, "440000")

        assert [size for _, size, _ in heads] == [1, 2, 3, 4, 5, 6]
        assert all(signer.opens(note, SWIFT, size, root) for note, size, root in heads)
        assert await violations(second) == []
        written = {(tmp_path / name / VERIFIER_FILE).read_text() for name in "ab"}
        assert written == {f"{signer.verifier_key}\n"}


async def test_a_service_with_another_key_adds_nothing_to_the_log(
    stack: Settings, databases: Databases, tmp_path: Path
) -> None:
    url = await databases.fresh("orders")
    old, other = key_file(tmp_path / "log.pem"), key_file(tmp_path / "other.pem")
    following = key_file(tmp_path / "following.pem", old)
    async with replica(stack, url, old, tmp_path / "old") as client:
        await upload_one(client, as_rows("b1", [row("o-1")]))

    async with replica(stack, url, other, tmp_path / "other") as client:
        _, reason, _ = await upload_refused(client, as_rows("b2", [row("o-2")]))
        assert reason == "LOG_BROKEN"

    async with replica(stack, url, following, tmp_path / "following") as client:
        await upload_one(client, as_rows("b2", [row("o-2")]))
        assert await violations(client) == []


async def test_production_does_not_start_without_the_key(
    stack: Settings, databases: Databases, tmp_path: Path
) -> None:
    load_or_make_keys(tmp_path / "columns.json")
    load_or_make_signer(tmp_path / "orders.pem", "orders", tmp_path / "trust")
    issuer = Issuer.at(tmp_path / "signing.json", tmp_path / "jwks.json", SystemClock())
    (tmp_path / "token").write_text(issuer.issue("services/orders", ["service"]))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OIP_ENVIRONMENT": "production",
        "OIP_STATE_DIR": str(tmp_path / "nothing"),
        "OIP_ORDERS_DATABASE_URL": await databases.login(await databases.fresh("orders"), "orders"),
        "OIP_NATS_URL": stack.nats_url,
        "OIP_NATS_MONITOR_URL": stack.nats_monitor_url,
        "OIP_NATS_KEY_FILE": str(stack.nats_key_path("orders")),
        "OIP_KEYS_FILE": str(tmp_path / "columns.json"),
        "OIP_EVENT_KEY_FILE": str(tmp_path / "orders.pem"),
        "OIP_EVENT_TRUST_DIR": str(tmp_path / "trust"),
        "OIP_ISSUERS_FILE": str(issuers_file(tmp_path / "jwks.json")),
        "OIP_TOKEN_FILE": str(tmp_path / "token"),
    }

    for setting in ("", str(tmp_path / "missing.pem"), str(tmp_path / "columns.json")):
        environment["OIP_ORDER_LOG_KEY_FILE"] = setting
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.orders", env=environment, stderr=asyncio.subprocess.PIPE
        )
        _, shown = await asyncio.wait_for(process.communicate(), 60)

        assert process.returncode == 1
        assert b"OIP_ORDER_LOG_KEY_FILE" in shown
    assert not (tmp_path / "nothing").exists()
