"""The gateway alone in its process, as production runs it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.runtime.embedded import NatsServer
from services.runtime.embedded.processes import free_port
from services.runtime.rpc.certificates import thumbprint
from tests.integration.gateway.conftest import PACKAGE
from tests.support.databases import Databases
from tests.support.production import ProductionService, production_service

KEPT = ("PATH", "PYTHONPATH", "OIP_ENVIRONMENT", "OIP_STATE_DIR", "OIP_ENROLMENT_ADDRESS")


@dataclass
class GatewayProcess:
    """`python -m services.gateway`."""

    process: asyncio.subprocess.Process
    port: int
    health_port: int

    async def stop(self) -> tuple[int | None, str]:
        self.process.send_signal(signal.SIGTERM)
        return await self.stop_by_itself()

    async def stop_by_itself(self) -> tuple[int | None, str]:
        _, shown = await asyncio.wait_for(self.process.communicate(), 30)
        return self.process.returncode, shown.decode()

    async def state(self, name: str) -> int:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.health_port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service=name)
            answer = await stub.Check(request, timeout=30, wait_for_ready=True)
            return int(answer.status)


async def start(environment: dict[str, str], **settings: str) -> GatewayProcess:
    port, health_port = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.gateway",
        env={
            **{name: environment[name] for name in KEPT if name in environment},
            "PATH": os.environ["PATH"],
            "OIP_GATEWAY_ADDRESS": f"localhost:{port}",
            "OIP_HEALTH_PORT": str(health_port),
            **settings,
        },
        stderr=asyncio.subprocess.PIPE,
    )
    return GatewayProcess(process, port, health_port)


@pytest.fixture
async def service(
    databases: Databases, nats_server: NatsServer, tmp_path: Path
) -> AsyncIterator[ProductionService]:
    async with production_service(databases, nats_server, tmp_path) as prepared:
        yield prepared


def tls(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith("OIP_TLS_")}


def ask(url: str, token: str, authority: bytes) -> tuple[int, Any]:
    context = ssl.create_default_context(cadata=authority.decode())
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    request = urllib.request.Request(url, b"{}", headers)
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


async def test_it_serves_over_tls_with_tokens_that_are_bound_to_its_certificate(
    service: ProductionService, tmp_path: Path
) -> None:
    await service.start()
    await service.until_it_answers()
    gateway = await start(service.environment, **tls(service.environment))
    assert await gateway.state("readiness") == health_pb2.HealthCheckResponse.SERVING
    url = f"https://localhost:{gateway.port}{PACKAGE}/ListPlatforms"
    own = thumbprint((tmp_path / "certificate.pem").read_bytes())
    other = thumbprint(service.authority.issue()[1])
    tokens = [
        service.issuer.issue("li", ["administrator"], certificate=bound)
        for bound in (own, other, b"")
    ]
    answers = [await asyncio.to_thread(ask, url, token, service.authority.pem) for token in tokens]
    code, shown = await gateway.stop()

    assert [status for status, _ in answers] == [200, 401, 401], answers
    reasons = [answer["details"][0]["debug"]["reason"] for _, answer in answers[1:]]
    assert reasons == ["UNAUTHENTICATED"] * 2
    assert code == 0, shown
    events = [json.loads(line)["event"] for line in shown.splitlines() if line.startswith("{")]
    assert {"http_serving", "http_stopped"} <= set(events)
    assert "Traceback" not in shown
    assert (await service.stop())[0] == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"OIP_LISTEN_HOST": "0.0.0.0"}, "add clear-calls to OIP_ACCEPTED_RISKS"),
        ({"OIP_GATEWAY_ADDRESS": "127.0.0.1:TAKEN"}, "set OIP_GATEWAY_ADDRESS"),
        ({"OIP_GATEWAY_ADDRESS": "192.0.2.1:21080", "OIP_LISTEN_HOST": "::zz"}, "cannot listen"),
        ({"OIP_GATEWAY_CALLS": "0"}, "OIP_GATEWAY_CALLS cannot be used"),
        ({"OIP_TLS_KEY_FILE": "/nowhere/key.pem"}, "Set both OIP_TLS_CERTIFICATE_FILE"),
    ],
)
async def test_a_reason_not_to_start_is_one_sentence(settings: dict[str, str], said: str) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "OIP_ENVIRONMENT": "production"}
    settings = {name: value.replace("TAKEN", str(port)) for name, value in settings.items()}
    accepted = "" if "clear-calls" in said else "clear-calls"
    gateway = await start(environment, OIP_ACCEPTED_RISKS=accepted, **settings)
    code, shown = await gateway.stop_by_itself()
    taken.close()

    (sentence,) = [line for line in shown.splitlines() if not line.startswith("{")]
    assert code == 1
    assert said in sentence
    assert "Traceback" not in shown
