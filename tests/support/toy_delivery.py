"""The two toy services connected over a bus, without gRPC servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from services.runtime.base.clock import SystemClock
from services.runtime.events import inbox
from services.runtime.events.jetstream import Bus
from services.runtime.events.listener import Listener, Replay
from services.runtime.events.outbox import Relay
from services.runtime.events.receiver import Receiver
from services.runtime.storage.database import Database
from tests.support import toy


@dataclass
class ToyDelivery:
    """Relay and listener of toy and echo; each runs once a test starts it."""

    toys: Database
    echoes: Database
    bus: Bus
    clock: SystemClock = field(default_factory=SystemClock)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def relay(self, publish: Any = None) -> Relay:
        return Relay(self.toys, publish or self.bus.publish, toy.SIGNER, self.clock, self.wake)

    def receiver(self, **options: Any) -> Receiver:
        settings: dict[str, Any] = {
            "handlers": toy.HANDLERS,
            # The toy's handler asks nothing of its context.
            "command": str,
            "trust": toy.TRUST,
        }
        return Receiver(self.echoes, clock=self.clock, wake=asyncio.Event(), **(settings | options))

    def listener(
        self, receiver: Receiver | None = None, replay: Replay | None = None, **options: Any
    ) -> Listener:
        settings: dict[str, Any] = {
            "retry_seconds": (0.1, 0.1, 0.1, 0.1),
            "repair_seconds": 3600,
            "gap_seconds": 0.2,
        }
        return Listener(
            receiver or self.receiver(),
            self.bus,
            replay or toy.replay_from(self.toys),
            **(settings | options),
        )

    def start(self, *parts: Relay | Listener) -> None:
        self.tasks += [asyncio.create_task(part.run()) for part in parts]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()

    async def ring(self, name: str, times: int = 1) -> None:
        for _ in range(times):
            async with self.toys.begin() as tx:
                await toy.ring(tx, name, self.clock.now())
            self.wake.set()

    async def echo_counts(self) -> dict[str, int]:
        return await toy.echoes(self.echoes)


def consumed(delivery: ToyDelivery, expected: dict[str, int]) -> Callable[[], Any]:
    async def holds() -> bool:
        return await delivery.echo_counts() == expected

    return holds


async def consumed_numbers(echoes: Database) -> list[tuple[int, int]]:
    async with echoes.begin() as tx:
        return [(row.event_count, row.max_seq) for row in await inbox.list_consumed(tx)]
