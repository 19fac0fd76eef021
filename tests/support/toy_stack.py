"""Toy and echo with everything a service has: gRPC servers, relay, listener, audit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc
from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from sqlalchemy import text

from services.demo.second_persons import SigningChannels
from services.runtime.base.clock import SystemClock
from services.runtime.base.settings import Settings
from services.runtime.rpc.client import Channels, RemoteProblem
from services.runtime.rpc.tokens import Issuer
from services.runtime.service.context import Check, Guard, Invariant, Service, ServiceContext
from services.runtime.service.delivery import wait_until_delivered
from services.runtime.service.serve import serving_all
from services.runtime.storage.database import Transaction
from tests.support import toy
from tests.support.toy_delivery import migrate_toys

Stub: TypeAlias = "operations_pb2_grpc.OperationsServiceAsyncStub"
NAMES = ("toy", "echo")

FEW_RINGS = Invariant("T1", "bells are rung at most a hundred times")


def register_nothing(_server: grpc.aio.Server, _context: ServiceContext) -> None:
    """Toy and echo have no methods but those of OperationsService."""


async def verify_toy(tx: Transaction, _context: ServiceContext) -> list[Check]:
    total = (await tx.execute(text("select coalesce(sum(rings), 0) from bell"))).scalar_one()
    return [FEW_RINGS.result(holds=total <= 100, detail=str(total))]


async def verify_echo(_tx: Transaction, _context: ServiceContext) -> list[Check]:
    return []


GUARDS = {toy.BellRang: Guard("name", lambda event: f"ring {event.revision} of {event.name}")}
TOY = Service("toy", register_nothing, {}, (FEW_RINGS,), verify_toy, guards=GUARDS)
ECHO = Service("echo", register_nothing, toy.HANDLERS, (), verify_echo)


class ToySettings(Settings):
    """Settings in which each of the two has a database that can be restored by itself."""

    toy_database_url: str = ""
    echo_database_url: str = ""


class ToyStack:
    """Toy and echo while they run; `stub` gives their operations to a role."""

    def __init__(self, settings: Settings, contexts: dict[str, ServiceContext]) -> None:
        self.settings = settings
        self.contexts = contexts
        keys = settings.signing_key_path, settings.jwks_path
        self._issuer = Issuer.at(*keys, SystemClock())
        self._channels: list[Channels] = []

    @property
    def addresses(self) -> dict[str, str]:
        return {name: self.contexts[name].channels.addresses[name] for name in NAMES}

    def channels(self, role: str = "administrator", subject: str = "li") -> Channels:
        source = self._issuer.source(subject, [role])
        channels = SigningChannels(self.addresses, source, self._sign)
        self._channels.append(channels)
        return channels

    async def _sign(self, service: str, problem: RemoteProblem) -> bool:
        """Let another administrator sign the act that a refusal names."""
        await self.sign(service, problem.metadata["pending_act"])
        return True

    async def sign(self, service: str, name: str) -> None:
        """Sign a pending act as another administrator."""
        source = self._issuer.source("wu", ["administrator"])
        channels = Channels(self.addresses, source)
        self._channels.append(channels)
        stub = channels.stub(operations_pb2_grpc.OperationsServiceStub, service)
        act = await stub.GetPendingAct(operations_pb2.GetPendingActRequest(name=name))
        await stub.SignAct(
            operations_pb2.SignActRequest(
                request_id=name.replace("/", "-"), name=name, hash=act.hash
            )
        )

    def stub(self, service: str, role: str = "administrator") -> Stub:
        return self.channels(role).stub(operations_pb2_grpc.OperationsServiceStub, service)

    async def ring(self, name: str, times: int = 1) -> None:
        context = self.contexts["toy"]
        for _ in range(times):
            async with context.database.begin() as tx:
                await toy.ring(tx, name, context.clock.now())
        context.wake.set()

    async def delivered(self) -> None:
        await wait_until_delivered(self.channels(), NAMES)

    async def echo_counts(self) -> dict[str, int]:
        return await toy.echoes(self.contexts["echo"].database)

    async def execute(self, service: str, statement: str, **values: Any) -> None:
        """Change rows as the service itself might, without its code."""
        async with self.contexts[service].database.begin() as tx:
            await tx.execute(text(statement), values)

    async def close(self) -> None:
        for channels in self._channels:
            await channels.close()


@asynccontextmanager
async def serve_toys(
    settings: Settings, *services: Service, migrates: bool = True
) -> AsyncIterator[ToyStack]:
    """Serve toy and echo, or `services` in their place, while the block runs."""
    if migrates:
        await migrate_toys(settings)
    ports = dict.fromkeys(NAMES, "127.0.0.1:0")
    crashes: list[str] = []

    def on_crash(part: str, _error: BaseException) -> None:
        crashes.append(part)

    async with serving_all(
        services or (TOY, ECHO),
        settings,
        SystemClock(),
        addresses=ports,
        grace=1,
        on_crash=on_crash,
    ) as contexts:
        toys = ToyStack(settings, contexts)
        yield toys
        await toys.close()
    assert crashes == []


async def replayed(toys: ToyStack, **request: Any) -> list[operations_pb2.EventEnvelope]:
    call = toys.stub("toy", "service").Replay(operations_pb2.ReplayRequest(**request))
    return [event async for event in call]


async def dead_letters(toys: ToyStack, **request: Any) -> list[operations_pb2.DeadLetter]:
    answer = await toys.stub("echo").ListDeadLetters(
        operations_pb2.ListDeadLettersRequest(**request)
    )
    return list(answer.dead_letters)
