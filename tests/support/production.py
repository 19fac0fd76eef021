"""Enrolment alone in its process, as production runs it: mutual TLS, keys from files."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.runtime.base.clock import SystemClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.events.event_keys import load_or_make_signer
from services.runtime.events.jetstream import migrate_streams
from services.runtime.rpc.certificates import thumbprint
from services.runtime.rpc.client import Channels
from services.runtime.rpc.tokens import Issuer
from services.runtime.storage.key_file import load_or_make_keys
from tests.support.authorities import Authority
from tests.support.databases import Databases
from tests.support.issuers import issuers_file
from tests.support.ports import reserved_port


@dataclass
class ProductionService:
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

    def channels(
        self, authority: Authority | None = None, bound_to: bytes | None = None
    ) -> Channels:
        """With a new certificate, and a token that is bound to it or to `bound_to`."""
        key, certificate = (authority or self.authority).issue()
        credentials = grpc.ssl_channel_credentials(self.authority.pem, key, certificate)
        hash_of_certificate = thumbprint(certificate) if bound_to is None else bound_to
        source = self.issuer.source("li", ["administrator"], certificate=hash_of_certificate)
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


@asynccontextmanager
async def production_service(
    databases: Databases, nats_server: NatsServer, tmp_path: Path
) -> AsyncIterator[ProductionService]:
    """The service, not started yet, with a login of its own; killed at the end."""
    authority = Authority.new()
    key, certificate = authority.issue()
    files = {"key.pem": key, "certificate.pem": certificate, "authority.pem": authority.pem}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    load_or_make_keys(tmp_path / "columns.json")
    load_or_make_signer(tmp_path / "enrolment.pem", "enrolment", tmp_path / "trust")
    migration = Settings(
        nats_key_dir=nats_server.key_dir,
        nats_url=nats_server.url,
        nats_monitor_url=nats_server.monitor_url,
    )
    await migrate_streams(migration, {"enrolment": ("staff",)})
    issuer = Issuer.at(tmp_path / "signing.json", tmp_path / "jwks.json", SystemClock())
    bound = issuer.issue("services/enrolment", ["service"], certificate=thumbprint(certificate))
    (tmp_path / "token").write_text(bound)
    with reserved_port() as port, reserved_port() as health_port:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "OIP_ENVIRONMENT": "production",
            "OIP_STATE_DIR": str(tmp_path / "nothing"),
            "OIP_ENROLMENT_DATABASE_URL": await databases.login(
                await databases.fresh("enrolment"), "enrolment"
            ),
            "OIP_NATS_URL": nats_server.url,
            "OIP_NATS_MONITOR_URL": nats_server.monitor_url,
            "OIP_NATS_KEY_FILE": str(migration.nats_key_path("enrolment")),
            "OIP_ENROLMENT_ADDRESS": f"localhost:{port}",
            "OIP_HEALTH_PORT": str(health_port),
            "OIP_KEYS_FILE": str(tmp_path / "columns.json"),
            "OIP_EVENT_KEY_FILE": str(tmp_path / "enrolment.pem"),
            "OIP_EVENT_TRUST_DIR": str(tmp_path / "trust"),
            "OIP_ISSUERS_FILE": str(issuers_file(tmp_path / "jwks.json")),
            "OIP_TOKEN_FILE": str(tmp_path / "token"),
            "OIP_TLS_CERTIFICATE_FILE": str(tmp_path / "certificate.pem"),
            "OIP_TLS_KEY_FILE": str(tmp_path / "key.pem"),
            "OIP_TLS_CLIENT_AUTHORITY_FILE": str(tmp_path / "authority.pem"),
        }
        made = ProductionService(f"localhost:{port}", authority, issuer, environment)
        yield made
        if made.process is not None and made.process.returncode is None:
            made.process.kill()
            await made.process.wait()
