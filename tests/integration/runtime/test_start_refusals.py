"""Production does not start with a risk that nobody accepted, and says in one sentence why."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.runtime.embedded import NatsServer
from services.runtime.embedded.nats import binary
from services.runtime.embedded.processes import free_port
from tests.support.databases import Databases
from tests.support.production import ProductionService, production_service

OPEN_NATS = """
listen: 127.0.0.1:{port}
http: 127.0.0.1:{monitor}
jetstream {{ store_dir: "{folder}", sync_interval: always }}
"""


@pytest.fixture
async def service(
    databases: Databases, nats_server: NatsServer, tmp_path: Path
) -> AsyncIterator[ProductionService]:
    async with production_service(databases, nats_server, tmp_path) as prepared:
        yield prepared


async def refusal(service: ProductionService, **environment: str) -> str:
    """The one sentence with which the service does not start."""
    service.environment |= environment
    await service.start()
    code, shown = await service.stop_by_itself()
    assert code == 1, shown
    assert "Traceback" not in shown
    # Without the log lines, ours and those of gRPC.
    lines = [line for line in shown.splitlines() if not re.match(r"\{|[IWE]\d{4} ", line)]
    assert len(lines) == 1, shown
    return lines[0]


async def accepted(service: ProductionService, **environment: str) -> list[str]:
    """The risks that the service says it was told to take."""
    service.environment |= environment
    await service.start()
    assert service.process is not None
    assert service.process.stderr is not None
    risks = []
    async with asyncio.timeout(60):
        while (line := await service.process.stderr.readline()).startswith(b"{"):
            said = json.loads(line)
            if said["event"] == "risk_accepted":
                risks.append(said["risk"])
            if said["event"] == "serving":
                break
    assert (await service.stop())[0] == 0
    return risks


WITHOUT_TLS = {
    "OIP_TLS_CERTIFICATE_FILE": "",
    "OIP_TLS_KEY_FILE": "",
    "OIP_TLS_CLIENT_AUTHORITY_FILE": "",
    "OIP_LISTEN_HOST": "0.0.0.0",
}


async def test_calls_in_the_clear_are_refused_unless_accepted(service: ProductionService) -> None:
    said = await refusal(service, **WITHOUT_TLS)

    assert "OIP_TLS_CERTIFICATE_FILE" in said
    assert "clear-calls" in said
    assert await accepted(service, OIP_ACCEPTED_RISKS="clear-calls") == ["clear-calls"]


async def test_half_of_a_certificate_does_not_mean_none(service: ProductionService) -> None:
    assert "Set both" in await refusal(service, OIP_TLS_KEY_FILE="")


async def test_a_certificate_with_another_key_is_named(
    service: ProductionService, tmp_path: Path
) -> None:
    key, _ = service.authority.issue()
    (tmp_path / "key.pem").write_bytes(key)

    assert "no certificate with its key" in await refusal(service)


async def test_a_superuser_is_refused_unless_accepted(
    service: ProductionService, databases: Databases
) -> None:
    url = await databases.fresh("enrolment")

    said = await refusal(service, OIP_ENROLMENT_DATABASE_URL=url)

    assert "whom no privilege bounds" in said
    risks = await accepted(service, OIP_ACCEPTED_RISKS="database-superuser")
    assert risks == ["database-superuser"]


async def test_a_login_that_is_another_service_too_is_refused(
    service: ProductionService, databases: Databases
) -> None:
    url = await databases.fresh("enrolment", "claims")
    shared = await databases.login(url, "enrolment", "claims")

    said = await refusal(service, OIP_ENROLMENT_DATABASE_URL=shared)

    assert "who is also oip_claims" in said
    assert "shared-database-login" in said


async def test_a_server_that_lets_anybody_connect_is_refused(
    service: ProductionService, tmp_path: Path
) -> None:
    with open_nats(tmp_path) as addresses:
        said = await refusal(service, **addresses)

    assert "lets anybody connect" in said
    assert "open-nats" in said


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_an_authority_that_cannot_be_read_is_named_and_not_the_server(
    service: ProductionService, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "nats-authority.pem"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    said = await refusal(service, OIP_NATS_AUTHORITY_FILE=str(path))

    assert str(path) in said
    assert "OIP_NATS_AUTHORITY_FILE" in said


@contextmanager
def open_nats(folder: Path) -> Any:
    """A nats-server without users."""
    port, monitor = free_port(), free_port()
    configuration = folder / "open.conf"
    configuration.write_text(
        OPEN_NATS.format(port=port, monitor=monitor, folder=folder / "open"), encoding="utf-8"
    )
    process = subprocess.Popen([binary(), "-c", configuration], stderr=subprocess.DEVNULL)
    try:
        yield {
            "OIP_NATS_URL": f"nats://127.0.0.1:{port}",
            "OIP_NATS_MONITOR_URL": f"http://127.0.0.1:{monitor}",
        }
    finally:
        process.kill()
        process.wait()


async def test_a_risk_that_is_none_is_named(service: ProductionService) -> None:
    said = await refusal(service, OIP_ACCEPTED_RISKS="clear-calls, everything")

    assert "names everything; the risks are clear-calls" in said


async def test_a_server_that_does_not_answer_is_not_called_unsynced(
    service: ProductionService,
) -> None:
    """Nobody listens at the monitoring."""
    said = await refusal(service, OIP_NATS_MONITOR_URL=f"http://127.0.0.1:{free_port()}")

    assert "does not answer" in said
    assert "sync_interval" not in said


async def test_each_missing_file_or_server_is_named(
    service: ProductionService, tmp_path: Path
) -> None:
    usual = dict(service.environment)
    missing = str(tmp_path / "missing")
    for name in (
        "OIP_ISSUERS_FILE",
        "OIP_NATS_KEY_FILE",
        "OIP_EVENT_KEY_FILE",
        "OIP_KEYS_FILE",
        "OIP_TLS_CERTIFICATE_FILE",
    ):
        service.environment = dict(usual)
        said = await refusal(service, **{name: missing})
        assert name in said or missing in said, said
    service.environment = dict(usual)
    assert "OIP_TOKEN_FILE" in await refusal(service, OIP_TOKEN_FILE="")
    service.environment = dict(usual)
    (tmp_path / "columns.json").write_text("{}")
    assert "OIP_KEYS_FILE" in await refusal(service)


async def test_a_login_that_postgresql_refuses_is_named(service: ProductionService) -> None:
    url = service.environment["OIP_ENROLMENT_DATABASE_URL"]
    start, _, rest = url.partition("://")
    wrong = f"{start}://nobody:x@{rest.partition('@')[2]}"

    said = await refusal(service, OIP_ENROLMENT_DATABASE_URL=wrong)

    assert "refuses the login" in said
    assert "OIP_ENROLMENT_DATABASE_URL" in said


async def test_an_address_that_is_taken_and_one_that_is_elsewhere(
    service: ProductionService,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert "stop the process" in await refusal(service, OIP_ENROLMENT_ADDRESS=address)

    said = await refusal(service, OIP_LISTEN_HOST="192.0.2.1")
    assert "OIP_LISTEN_HOST" in said


async def test_a_setting_without_a_possible_value_is_named() -> None:
    done = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.enrolment",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OIP_POOL_SIZE": "many"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, shown = await asyncio.wait_for(done.communicate(), 30)

    assert done.returncode == 1
    assert shown.decode().startswith("OIP_POOL_SIZE cannot be used")
    assert shown.count(b"\n") == 1
