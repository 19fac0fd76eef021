"""The programs of docs/client.md, as a platform's engineer runs them: with `oip-client` alone."""

from __future__ import annotations

import asyncio
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import cast

import grpc
import pytest

from services.runtime.base.settings import Settings
from services.runtime.rpc.certificates import thumbprint
from services.runtime.rpc.client import Channels
from services.runtime.service.stack import Stack
from tests.support.authorities import Authority
from tests.support.client_wheel import client_python
from tests.support.databases import Databases
from tests.support.enrolling import citizen_number, enrol_hints
from tests.support.platforms import SWIFT
from tests.support.upload_stack import enrolment_and_orders

# The second document has a wrong check character.
WORKERS = f"""number,document,phone
w-1,{citizen_number(1)},13900000001
w-8,110105194912310021,13900000008
"""
PAGE = (Path(__file__).parents[3] / "docs" / "client.md").read_text(encoding="utf-8")


class Secure:
    """Channels over TLS, where `enrol_hints` expects a stack."""

    def __init__(
        self, running: Stack, credentials: grpc.ChannelCredentials, certificate: bytes
    ) -> None:
        self._running = running
        self._credentials = credentials
        self._certificate = thumbprint(certificate)

    def channels(self, subject: str, *roles: str, platform: str = "") -> Channels:
        source = self._running.issuer.source(
            subject, roles, platform, certificate=self._certificate
        )
        return Channels(self._running.addresses, source, self._credentials)


async def run(python: Path, program: Path, environment: dict[str, str], *arguments: str) -> str:
    inherited = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-W", "error", str(program), *arguments),
        env={**inherited, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The programs, a list of workers, and the files that the agency issues."""
    send_day, enrol = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    authority = Authority.new()
    key, certificate = authority.issue()
    contents = {
        "send_day.py": send_day.encode(),
        "enrol.py": enrol.encode(),
        "workers.csv": WORKERS.encode(),
        "authority.pem": authority.pem,
        "key.pem": key,
        "certificate.pem": certificate,
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in (*contents, "token")}


async def test_the_programs_enrol_and_send_a_day_and_again_get_the_first_answers(
    stack: Settings,
    databases: Databases,
    files: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    python = client_python(tmp_path_factory.getbasetemp())
    tls = {
        "tls_certificate_file": files["certificate.pem"],
        "tls_key_file": files["key.pem"],
        "tls_client_authority_file": files["authority.pem"],
    }
    credentials = grpc.ssl_channel_credentials(
        *(files[name].read_bytes() for name in ("authority.pem", "key.pem", "certificate.pem"))
    )
    async with enrolment_and_orders(stack.model_copy(update=tls), databases) as running:
        certificate = files["certificate.pem"].read_bytes()
        secure = Secure(running, credentials, certificate)
        await enrol_hints(cast("Stack", secure), SWIFT, [])
        token = running.issuer.issue(
            "engineer",
            ["platform"],
            SWIFT,
            timedelta(minutes=5),
            certificate=thumbprint(certificate),
        )
        files["token"].write_text(token)
        environment = {
            "PLATFORM": SWIFT,
            "OIP_ORDERS_ADDRESS": running.addresses["orders"],
            "OIP_ENROLMENT_ADDRESS": running.addresses["enrolment"],
            "OIP_TOKEN_FILE": str(files["token"]),
            "OIP_TLS_AUTHORITY_FILE": str(files["authority.pem"]),
            "OIP_TLS_KEY_FILE": str(files["key.pem"]),
            "OIP_TLS_CERTIFICATE_FILE": str(files["certificate.pem"]),
        }

        arguments = (str(files["workers.csv"]), "2025-07-01")
        enrolled = await run(python, files["enrol.py"], environment, *arguments)
        enrolled_again = await run(python, files["enrol.py"], environment, *arguments)
        first = await run(python, files["send_day.py"], environment, "2025-07-10")
        again = await run(python, files["send_day.py"], environment, "2025-07-10")

    taken, wrong = enrolled.splitlines()
    assert taken == "w-1: CREATED"
    assert wrong.startswith("w-8: ")
    assert enrolled_again == enrolled
    count, refused = first.splitlines()
    assert count == "2 new, 0 stored before"
    assert refused.startswith("2025-07-10-2: ")
    assert again == first
