"""A service alone in its process, as production runs it: mutual TLS, keys and tokens from files."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.runtime.base.clock import SystemClock
from services.runtime.embedded import NatsServer
from services.runtime.embedded.processes import free_port
from services.runtime.events.event_keys import load_or_make_signer
from services.runtime.rpc.client import Channels, problem_of
from services.runtime.rpc.tokens import Issuer
from services.runtime.storage.crypto import load_or_make_keys
from tests.support.authorities import Authority
from tests.support.databases import Databases


@dataclass
class Service:
    """The enrolment service in a separate process."""

    address: str
    authority: Authority
    issuer: Issuer
    environment: dict[str, str]
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.enrolment",
            env=self.environment,
            stderr=asyncio.subprocess.PIPE,
        )

    async def stop(self) -> tuple[int | None, str]:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        _, shown = await asyncio.wait_for(self.process.communicate(), 30)
        return self.process.returncode, shown.decode()

    async def stop_by_itself(self) -> tuple[int | None, str]:
        assert self.process is not None
        _, shown = await asyncio.wait_for(self.process.communicate(), 60)
        return self.process.returncode, shown.decode()

    def channels(self, authority: Authority | None = None) -> Channels:
        key, certificate = (authority or self.authority).issue()
        credentials = grpc.ssl_channel_credentials(self.authority.pem, key, certificate)
        source = self.issuer.source("li", ["administrator"])
        return Channels({"enrolment": self.address}, source, credentials)

    async def ask(self, channels: Channels, seconds: float = 5.0) -> operations_pb2.Delivery:
        stub = channels.stub(operations_pb2_grpc.OperationsServiceStub, "enrolment")
        try:
            return await stub.GetDelivery(operations_pb2.GetDeliveryRequest(), timeout=seconds)
        finally:
            await channels.close()

    async def until_it_answers(self) -> operations_pb2.Delivery:
        assert self.process is not None
        for _ in range(60):
            try:
                return await self.ask(self.channels())
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or self.process.returncode:
                    raise
                await asyncio.sleep(0.3)
        raise AssertionError("it did not answer")


@pytest.fixture
async def service(
    databases: Databases, nats_server: NatsServer, tmp_path: Path
) -> AsyncIterator[Service]:
    authority = Authority.new()
    key, certificate = authority.issue()
    files = {"key.pem": key, "certificate.pem": certificate, "authority.pem": authority.pem}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    load_or_make_keys(tmp_path / "columns.json")
    load_or_make_signer(tmp_path / "enrolment.pem", "enrolment", tmp_path / "trust")
    issuer = Issuer.at(tmp_path / "signing.json", tmp_path / "jwks.json", SystemClock())
    (tmp_path / "token").write_text(issuer.issue("services/enrolment", ["service"]))
    address = f"localhost:{free_port()}"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OIP_ENVIRONMENT": "production",
        "OIP_STATE_DIR": str(tmp_path / "nothing"),
        "OIP_ENROLMENT_DATABASE_URL": await databases.fresh("enrolment"),
        "OIP_NATS_URL": nats_server.url,
        "OIP_NATS_MONITOR_URL": nats_server.monitor_url,
        "OIP_ENROLMENT_ADDRESS": address,
        "OIP_KEYS_FILE": str(tmp_path / "columns.json"),
        "OIP_EVENT_KEY_FILE": str(tmp_path / "enrolment.pem"),
        "OIP_EVENT_TRUST_DIR": str(tmp_path / "trust"),
        "OIP_JWKS_FILE": str(tmp_path / "jwks.json"),
        "OIP_TOKEN_FILE": str(tmp_path / "token"),
        "OIP_TLS_CERTIFICATE_FILE": str(tmp_path / "certificate.pem"),
        "OIP_TLS_KEY_FILE": str(tmp_path / "key.pem"),
        "OIP_TLS_CLIENT_AUTHORITY_FILE": str(tmp_path / "authority.pem"),
    }
    made = Service(address, authority, issuer, environment)
    yield made
    if made.process is not None and made.process.returncode is None:
        made.process.kill()
        await made.process.wait()


async def test_it_serves_over_mutual_tls_and_stops_in_order(service: Service) -> None:
    await service.start()
    assert (await service.until_it_answers()).epoch

    code, shown = await service.stop()

    assert code == 0, shown
    events = [json.loads(line)["event"] for line in shown.splitlines() if line.startswith("{")]
    assert {"serving", "stopped"} <= set(events)
    assert "Traceback" not in shown


async def test_a_client_without_a_certificate_of_our_authority_does_not_get_in(
    service: Service,
) -> None:
    await service.start()
    await service.until_it_answers()

    with pytest.raises(grpc.aio.AioRpcError) as stranger:
        await service.ask(service.channels(Authority.new()), seconds=3)
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub = operations_pb2_grpc.OperationsServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as plain:
            await stub.GetDelivery(operations_pb2.GetDeliveryRequest(), timeout=3)

    assert problem_of(stranger.value).is_unreachable
    assert problem_of(plain.value).is_unreachable
    assert (await service.stop())[0] == 0


async def test_it_does_not_make_keys_of_its_own(service: Service, tmp_path: Path) -> None:
    (tmp_path / "columns.json").unlink()
    await service.start()

    code, shown = await service.stop_by_itself()

    assert code == 1
    assert "OIP_KEYS_FILE" in shown


async def test_it_does_not_start_without_the_key_that_signs_its_events(
    service: Service, tmp_path: Path
) -> None:
    (tmp_path / "enrolment.pem").unlink()
    await service.start()

    code, shown = await service.stop_by_itself()

    assert code == 1
    assert "OIP_EVENT_KEY_FILE" in shown


async def test_it_does_not_start_on_a_nats_server_that_may_forget(
    service: Service, tmp_path: Path
) -> None:
    forgetful = NatsServer(tmp_path / "forgetful", sync_interval="2m")
    await forgetful.start()
    service.environment |= {
        "OIP_NATS_URL": forgetful.url,
        "OIP_NATS_MONITOR_URL": forgetful.monitor_url,
    }
    await service.start()

    code, shown = await service.stop_by_itself()

    assert code == 1
    assert "sync_interval: always" in shown
    await forgetful.stop()
