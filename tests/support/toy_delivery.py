"""The two toy services connected over a bus, without gRPC servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from services.runtime.base.clock import SystemClock
from services.runtime.base.settings import Settings
from services.runtime.events import event_alarms, inbox, rejected_messages
from services.runtime.events.envelope import Envelope
from services.runtime.events.event_alarms import EventAlarm
from services.runtime.events.event_keys import load_or_make_signer
from services.runtime.events.jetstream import (
    EPOCH_HEADER,
    KEY_HEADER,
    PRODUCER_HEADER,
    SEQ_HEADER,
    SIGNATURE_HEADER,
    Bus,
    migrate_streams,
)
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
    # The connections of toy, which publishes, of echo, which listens, and of drum.
    bus: Bus
    echo_bus: Bus
    drum_bus: Bus
    clock: SystemClock = field(default_factory=SystemClock)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def relay(self, publish: Any = None) -> Relay:
        return Relay(self.toys, publish or self.bus.publish, toy.SIGNER, self.clock, self.wake)

    def receiver(self, **options: Any) -> Receiver:
        settings: dict[str, Any] = {
            "handlers": toy.HANDLERS,
            # The toy's handler asks nothing of its context.
            "command": lambda actor, _: actor,
            "trust": toy.TRUST,
            "cipher": toy.CIPHER,
            "share": toy.share_nothing,
            "wake": asyncio.Event(),
        }
        return Receiver(self.echoes, clock=self.clock, **(settings | options))

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
            self.echo_bus,
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
        await self.echo_bus.close()
        await self.drum_bus.close()

    async def send(self, envelope: Envelope, **headers: str) -> None:
        """Send a message under a subject of toy or drum, with other headers if any are given.

        Without the id by which JetStream would drop a second message of a number.
        """
        sent = {
            PRODUCER_HEADER: envelope.producer,
            EPOCH_HEADER: envelope.epoch,
            SEQ_HEADER: str(envelope.pub_seq),
            KEY_HEADER: envelope.key_id,
            SIGNATURE_HEADER: envelope.signature.hex(),
        } | {f"Oip-{name.title()}": value for name, value in headers.items()}
        bus = self.drum_bus if envelope.subject.startswith("oip.drum.") else self.bus
        await bus.js.publish(envelope.subject, envelope.payload, headers=sent)

    async def ring(self, name: str, times: int = 1) -> None:
        for _ in range(times):
            async with self.toys.begin() as tx:
                await toy.ring(tx, name, self.clock.now())
            self.wake.set()

    async def rejected(self) -> dict[str, int]:
        """How many messages were rejected, by reason."""
        async with self.echoes.begin() as tx:
            rows = await rejected_messages.list_rejected(tx)
        return {row.reason: row.message_count for row in rows}

    async def alarms(self) -> list[EventAlarm]:
        async with self.echoes.begin() as tx:
            return await event_alarms.list_alarms(tx, size=100)

    async def echo_counts(self) -> dict[str, int]:
        return await toy.echoes(self.echoes)


async def migrate_toys(settings: Settings) -> None:
    """Create or correct the streams and consumers of the toy services, and the key of staff."""
    load_or_make_signer(settings.event_key_path("staff"), "staff", settings.event_trust_path)
    await migrate_streams(
        settings, {"toy": ("staff",), "drum": (), "echo": ("toy", "drum", "staff")}
    )


def consumed(delivery: ToyDelivery, expected: dict[str, int]) -> Callable[[], Any]:
    async def holds() -> bool:
        return await delivery.echo_counts() == expected

    return holds


async def consumed_numbers(echoes: Database) -> list[tuple[int, int]]:
    async with echoes.begin() as tx:
        return [(row.event_count, row.max_seq) for row in await inbox.list_consumed(tx)]
