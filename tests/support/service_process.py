"""One service as its own process, as a deployment runs it, for tests that kill or pause it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.demo.second_persons import SigningChannels
from services.runtime.base.clock import SystemClock
from services.runtime.base.settings import Settings
from services.runtime.rpc.client import CLIENT_OPTIONS, Channels, RemoteProblem
from services.runtime.rpc.server import READINESS
from services.runtime.rpc.tokens import Issuer
from tests.support.ports import reserved_port

START_SECONDS = 60


async def sign_as_second(
    addresses: Mapping[str, str], issuer: Issuer, service: str, problem: RemoteProblem
) -> bool:
    """Sign the act that a refusal names as a second person."""
    source = issuer.source("second", problem.metadata["roles"].split(", "))
    channels = Channels(addresses, source)
    try:
        stub = channels.stub(operations_pb2_grpc.OperationsServiceStub, service)
        name = problem.metadata["pending_act"]
        await stub.SignAct(
            operations_pb2.SignActRequest(
                request_id=f"sign-{name}",
                name=name,
                hash=bytes.fromhex(problem.metadata["hash"]),
            )
        )
    finally:
        await channels.close()
    return True


@dataclass
class ServiceProcess:
    """A running service; `channels` has a token of a role."""

    service: str
    address: str
    health_address: str
    process: asyncio.subprocess.Process
    issuer: Issuer
    _open: dict[tuple[tuple[str, ...], str], Channels] = field(default_factory=dict)

    def channels(self, *roles: str, platform: str = "") -> Channels:
        """Channels to the service, opened once."""
        key = roles, platform
        if key not in self._open:
            source = self.issuer.source("test", roles, platform)
            addresses = {self.service: self.address}
            sign = partial(sign_as_second, addresses, self.issuer)
            self._open[key] = SigningChannels(addresses, source, sign)
        return self._open[key]

    async def faults(self) -> set[str]:
        """The codes of what the service lacks."""
        stub = self.channels("administrator").stub(
            operations_pb2_grpc.OperationsServiceStub, self.service
        )
        answer = await stub.GetHealth(operations_pb2.GetHealthRequest(), timeout=30)
        return {fault.code for fault in answer.faults}

    async def broken(self) -> list[str]:
        """The codes of the invariants that do not hold."""
        stub = self.channels("administrator").stub(
            operations_pb2_grpc.OperationsServiceStub, self.service
        )
        answer = await stub.Verify(operations_pb2.VerifyRequest(), timeout=30)
        return [check.invariant for check in answer.checks if not check.holds]

    async def kill(self) -> None:
        """SIGKILL, and wait."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def close(self) -> None:
        """Close the channels; end the process if it runs, also if it is paused."""
        for channels in self._open.values():
            await channels.close()
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        await self.process.wait()


@asynccontextmanager
async def service_process(
    service: str, settings: Settings, **environment: str
) -> AsyncIterator[ServiceProcess]:
    """Run a service until the block ends; `environment` is added to that of the settings.

    The block begins when the service listens, or when it has ended: a failpoint may come first.
    """
    with reserved_port() as port, reserved_port() as health_port:
        address = f"127.0.0.1:{port}"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"services.{service}",
            stdout=asyncio.subprocess.DEVNULL,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "OIP_DATABASE_URL": settings.database_url,
                "OIP_NATS_URL": settings.nats_url,
                "OIP_NATS_MONITOR_URL": settings.nats_monitor_url,
                "OIP_NATS_KEY_DIR": str(settings.nats_key_dir or ""),
                "OIP_STATE_DIR": str(settings.state_dir),
                f"OIP_{service.upper()}_ADDRESS": address,
                "OIP_HEALTH_PORT": str(health_port),
                "OIP_QUIET": "true",
                **environment,
            },
        )
        issuer = Issuer.at(settings.signing_key_path, settings.jwks_path, SystemClock())
        running = ServiceProcess(service, address, f"127.0.0.1:{health_port}", process, issuer)
        try:
            await _wait_until_listening(running)
            yield running
        finally:
            await running.close()


async def wait_until_ready(process: asyncio.subprocess.Process, health_address: str) -> None:
    """Wait until a service takes changes, which is later than it listens, or until it has ended."""
    probe = health_pb2.HealthCheckRequest(service=READINESS)
    async with (
        asyncio.timeout(START_SECONDS),
        grpc.aio.insecure_channel(health_address, options=CLIENT_OPTIONS) as channel,
    ):
        while process.returncode is None:
            with suppress(grpc.aio.AioRpcError):
                answer = await health_pb2_grpc.HealthStub(channel).Check(probe)
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
            await asyncio.sleep(0.05)


async def _wait_until_listening(serving: ServiceProcess) -> None:
    async with grpc.aio.insecure_channel(serving.address, options=CLIENT_OPTIONS) as channel:
        ready = asyncio.ensure_future(channel.channel_ready())
        ended = asyncio.ensure_future(serving.process.wait())
        done, waiting = await asyncio.wait(
            {ready, ended}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert done, f"{serving.service} does not listen within {START_SECONDS} seconds"
