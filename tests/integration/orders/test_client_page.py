"""The program of docs/client.md, as a platform's engineer runs it: with `oip-client` alone."""

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
from tests.support.enrolling import enrol_hints
from tests.support.platforms import SWIFT
from tests.support.upload_stack import enrolment_and_orders

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


async def run(python: Path, program: Path, environment: dict[str, str]) -> str:
    inherited = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-W", "error", str(program), "2025-07-10"),
        env={**inherited, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The program, and the files that the agency issues."""
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    authority = Authority.new()
    key, certificate = authority.issue()
    contents = {
        "send_day.py": program.encode(),
        "authority.pem": authority.pem,
        "key.pem": key,
        "certificate.pem": certificate,
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in (*contents, "token")}


async def test_the_program_sends_a_day_and_again_gets_the_first_receipt(
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
        await enrol_hints(cast("Stack", secure), SWIFT, ["w-1"])
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

        first = await run(python, files["send_day.py"], environment)
        again = await run(python, files["send_day.py"], environment)

    count, refused = first.splitlines()
    assert count == "2 new, 0 stored before"
    assert refused.startswith("2025-07-10-2: ")
    assert again == first
