"""Toy and echo served for real: gRPC servers, relay and listener, on servers of a test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc
from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from sqlalchemy import text

from services.runtime.base.clock import SystemClock
from services.runtime.base.settings import Settings
from services.runtime.events import jetstream as buses
from services.runtime.rpc.client import Channels
from services.runtime.rpc.tokens import Issuer
from services.runtime.service.context import Check, Service, ServiceContext
from services.runtime.service.serve import serving_all
from services.runtime.storage.database import Transaction
from tests.support import toy

Stub: TypeAlias = "operations_pb2_grpc.OperationsServiceAsyncStub"
NAMES = ("toy", "echo")


def register_nothing(_server: grpc.aio.Server, _running: ServiceContext) -> None:
    """Toy and echo have no methods but those of OperationsService."""


async def bells_are_counted(tx: Transaction) -> list[Check]:
    total = (await tx.execute(text("select coalesce(sum(rings), 0) from bell"))).scalar_one()
    return [Check("T1", "Bells are not rung more than a hundred times.", total <= 100, str(total))]


async def nothing_to_check(_tx: Transaction) -> list[Check]:
    return []


TOY = Service("toy", register_nothing, {}, bells_are_counted)
ECHO = Service("echo", register_nothing, toy.HANDLERS, nothing_to_check)


class ServedPair:
    """Toy and echo, served; `stub` gives their operations to a role."""

    def __init__(self, settings: Settings, running: dict[str, ServiceContext]) -> None:
        self.settings = settings
        self.running = running
        keys = settings.signing_key_path, settings.jwks_path
        self._issuer = Issuer.at(*keys, SystemClock())
        self._channels: list[Channels] = []

    @property
    def addresses(self) -> dict[str, str]:
        return {name: self.running[name].channels.addresses[name] for name in NAMES}

    def channels(self, role: str = "administrator") -> Channels:
        made = Channels(self.addresses, self._issuer.source("li", [role]))
        self._channels.append(made)
        return made

    def stub(self, service: str, role: str = "administrator") -> Stub:
        return self.channels(role).stub(operations_pb2_grpc.OperationsServiceStub, service)

    async def ring(self, name: str, times: int = 1) -> None:
        one = self.running["toy"]
        for _ in range(times):
            async with one.database.begin() as tx:
                await toy.ring(tx, name, one.clock.now())
        one.wake.set()

    async def close(self) -> None:
        for made in self._channels:
            await made.close()


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[ServedPair]:
    bus = await buses.connect(settings, "pair", on_closed=lambda: None)
    ports = dict.fromkeys(NAMES, "127.0.0.1:0")
    crashes: list[str] = []

    def on_crash(part: str, _error: BaseException) -> None:
        crashes.append(part)

    async with serving_all(
        (TOY, ECHO), settings, SystemClock(), bus, addresses=ports, grace=1, on_crash=on_crash
    ) as running:
        pair = ServedPair(settings, running)
        yield pair
        await pair.close()
    await bus.close()
    assert crashes == []


async def replayed(both: ServedPair, **request: Any) -> list[operations_pb2.EventEnvelope]:
    call = both.stub("toy", "service").Replay(operations_pb2.ReplayRequest(**request))
    return [event async for event in call]


async def letters(both: ServedPair, **request: Any) -> list[operations_pb2.DeadLetter]:
    answer = await both.stub("echo").ListDeadLetters(
        operations_pb2.ListDeadLettersRequest(**request)
    )
    return list(answer.dead_letters)
