"""Applies events: each counts once, is its producer's own, and commits with its effect.

An event, its inbox row, its effect and its audit row commit together. What is not signed by its
producer is rejected and counted; another content under a consumed number raises an alarm, which
stops the producer's events until a person resolves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import structlog
from google.protobuf.message import Message
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from services.kernel.problems import Kind, NotFound, Problem
from services.runtime.base.clock import Clock
from services.runtime.base.failpoints import failpoint
from services.runtime.events import dead_letters, event_alarms, inbox, rejected_messages
from services.runtime.events.dead_letters import DeadLetter
from services.runtime.events.envelope import Envelope, producer_of, stream_of
from services.runtime.events.event_alarms import ProducerAlarmedError
from services.runtime.events.event_keys import EventKeyError, EventTrust
from services.runtime.events.inbox import Receipt
from services.runtime.storage import audit
from services.runtime.storage.database import Database, Transaction, retrying

# The last argument is the command context that the service makes for an actor.
Handler: TypeAlias = Callable[[Transaction, Any, Any], Awaitable[None]]
Handlers: TypeAlias = Mapping[type[Message], Handler]

# How far a number may lie beyond the highest consumed one before its producer has to confirm it.
AHEAD_MAX = 10_000

log = structlog.get_logger(part="listener")


class DifferentContentError(RuntimeError):
    """An event has another content than the one consumed under its number."""


class FarAheadError(RuntimeError):
    """An event's number lies far beyond those consumed; its producer has to confirm it."""


# What an event is not to blame for: an open alarm, a silent producer, a key file.
_OUTAGES = ProducerAlarmedError | FarAheadError | EventKeyError


class Receiver:
    """Applies the events of other services to one service's database.

    `command(actor)` gives the context in which a handler runs.
    """

    def __init__(
        self,
        database: Database,
        *,
        handlers: Handlers,
        command: Callable[[str], Any],
        trust: EventTrust,
        clock: Clock,
        wake: asyncio.Event,
    ) -> None:
        self.service = database.service
        self.database = database
        self._handlers = {
            message.DESCRIPTOR.full_name: (message, handler)
            for message, handler in handlers.items()
        }
        self.producers = tuple(dict.fromkeys(producer_of(subject) for subject in self._handlers))
        self._command = command
        self._trust = trust
        self._clock = clock
        self._wake = wake

    def require_authentic(self, envelope: Envelope) -> None:
        """Raise NotAuthenticError unless the event's producer signed it."""
        self._trust.require_authentic(envelope)

    async def receive(self, envelope: Envelope, *, is_confirmed: bool = False) -> bool:
        """Apply one event; False if it was applied before. Raises what the handler raises."""
        return await self.receive_all([envelope], is_confirmed=is_confirmed) == 1

    async def receive_all(self, batch: Sequence[Envelope], *, is_confirmed: bool = False) -> int:
        """Apply events in one transaction, all or none; returns how many are new.

        Raises NotAuthenticError, DifferentContentError, ProducerAlarmedError, and FarAheadError
        unless the producer has confirmed the numbers.
        """
        for envelope in batch:
            self.require_authentic(envelope)

        async def work() -> int:
            new_count = 0
            async with self.database.begin() as tx:
                await self._require_trusted(tx, batch, is_confirmed=is_confirmed)
                for envelope in batch:
                    new_count += await self._apply(tx, envelope)
                await failpoint("listener.before_commit")
            return new_count

        new_count = await retrying(work) if batch else 0
        if new_count:
            self._wake.set()
        return new_count

    async def reject(self, producer: str, reason: str, content_hash: bytes) -> None:
        """Count a message that is no event of its producer."""
        async with self.database.begin() as tx:
            await rejected_messages.insert(
                tx, stream_of(producer), reason, content_hash, self._clock.now()
            )
        log.error("message_rejected", service=self.service, producer=producer, reason=reason)

    async def raise_alarm(self, envelope: Envelope) -> None:
        """Keep that a number came with another content; its producer's events stop."""
        async with self.database.begin() as tx:
            stored = await inbox.stored_hash(tx, envelope)
            if stored is not None:
                await event_alarms.insert(tx, envelope, stored, self._clock.now())
        log.error("event_alarm", service=self.service, envelope=envelope.name)

    async def to_dead_letter(self, envelope: Envelope, error: BaseException) -> None:
        """Store an event that cannot be handled as a dead letter, and record it as consumed."""
        async with self.database.begin() as tx:
            now = self._clock.now()
            if await inbox.record(tx, envelope, now) is Receipt.FIRST:
                await dead_letters.insert(tx, envelope, type(error).__name__, now)
        log.error(
            "dead_letter",
            service=self.service,
            envelope=envelope.name,
            subject=envelope.subject,
            error=type(error).__name__,
        )

    async def retry(self, tx: Transaction, producer: str, epoch: str, pub_seq: int) -> DeadLetter:
        """Handle a dead letter once more, and mark it as resolved if the handler succeeds."""
        dead_letter = await dead_letters.find(tx, producer, epoch, pub_seq)
        if dead_letter is None:
            raise NotFound(name=f"deadLetters/{producer}-{epoch}-{pub_seq}")
        if dead_letter.resolve_time is not None:
            return dead_letter
        now = self._clock.now()
        await dead_letters.resolve(tx, dead_letter.envelope, now)
        await self._handle(tx, dead_letter.envelope)
        return replace(dead_letter, resolve_time=now)

    async def _require_trusted(
        self, tx: Transaction, batch: Sequence[Envelope], *, is_confirmed: bool
    ) -> None:
        """Raise ProducerAlarmedError or FarAheadError for a batch that may not be applied."""
        for producer in {envelope.producer for envelope in batch}:
            if await event_alarms.open_count(tx, producer):
                raise ProducerAlarmedError(producer)
        highest: dict[tuple[str, str], int] = {}
        for envelope in batch:
            sequence = envelope.producer, envelope.epoch
            if sequence not in highest:
                highest[sequence] = await inbox.highest_seq(tx, *sequence)
            if not is_confirmed and envelope.pub_seq > highest[sequence] + AHEAD_MAX:
                raise FarAheadError(envelope.name)
            highest[sequence] = max(highest[sequence], envelope.pub_seq)

    async def _apply(self, tx: Transaction, envelope: Envelope) -> bool:
        """Record an event and run its handler if it is new; whether it is."""
        receipt = await inbox.record(tx, envelope, self._clock.now())
        if receipt is Receipt.DIFFERENT:
            raise DifferentContentError(envelope.name)
        if receipt is Receipt.FIRST:
            await self._handle(tx, envelope)
        return receipt is Receipt.FIRST

    async def _handle(self, tx: Transaction, envelope: Envelope) -> None:
        entry = self._handlers.get(envelope.subject)
        if entry is None or producer_of(envelope.subject) != envelope.producer:
            return
        message, handler = entry
        actor = f"services/{envelope.producer}"
        await handler(tx, message.FromString(envelope.payload), self._command(actor))
        await audit.append(
            tx,
            now=self._clock.now(),
            actor=actor,
            action=envelope.subject,
            resource=f"events/{envelope.name}",
            request_hash=envelope.content_hash,
        )


def is_outage(error: BaseException) -> bool:
    """Whether an event failed for another cause than its content; it must be tried again."""
    if isinstance(error, Problem):
        return error.kind is Kind.OVERLOADED
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or not getattr(error.orig, "sqlstate", None)
    return isinstance(error, PoolTimeoutError | OSError | _OUTAGES)
