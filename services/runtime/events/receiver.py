"""Applies events: each counts once, is its producer's own, and commits with its effect.

An event, its inbox row, its effect and its audit row commit together. What is not signed by its
producer is rejected and counted; another content under a consumed number raises an alarm, which
stops the producer's events until a person resolves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

import structlog
from google.protobuf.message import DecodeError, Message
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from services.kernel.problems import Kind, NotFound, Problem
from services.runtime.base.clock import Clock
from services.runtime.base.failpoints import failpoint
from services.runtime.events import (
    dead_letters,
    event_alarms,
    inbox,
    personal_fields,
    producer_keys,
    rejected_messages,
)
from services.runtime.events.dead_letters import DeadLetter
from services.runtime.events.envelope import Envelope, producer_of, stream_of
from services.runtime.events.event_alarms import ProducerAlarmedError
from services.runtime.events.event_keys import EventKeyError, EventTrust
from services.runtime.events.inbox import Receipt
from services.runtime.events.producer_keys import ProducerKey, SharedKeys
from services.runtime.storage import audit
from services.runtime.storage.crypto import ColumnCipher, DataKeyErased
from services.runtime.storage.data_keys import PersonErased
from services.runtime.storage.database import Database, Transaction, retrying

# The last argument is the command context that the service makes for an actor.
Handler: TypeAlias = Callable[[Transaction, Any, Any], Awaitable[None]]
Handlers: TypeAlias = Mapping[type[Message], Handler]
# Asks a producer for data keys.
ShareKeys: TypeAlias = Callable[[str, Sequence[str]], Awaitable[SharedKeys]]

T = TypeVar("T")

# Of the audit row of an event about a person who was erased meanwhile.
WITHOUT_EFFECT = "without effect"

# How far a number may lie beyond the highest consumed one before its producer has to confirm it.
AHEAD_MAX = 10_000

log = structlog.get_logger(part="listener")


class DifferentContentError(RuntimeError):
    """An event has another content than the one consumed under its number."""


class FarAheadError(RuntimeError):
    """An event's number lies far beyond those consumed; its producer has to confirm it."""


class KeysNotFetchedError(RuntimeError):
    """The producer of events did not answer when asked for the data keys that they name."""


# What an event is not to blame for: an open alarm, a silent producer, a key file.
_OUTAGES = ProducerAlarmedError | FarAheadError | EventKeyError | KeysNotFetchedError


@dataclass(frozen=True)
class Outcome:
    """What became of the next `count` events of a batch: all applied, or none because of `error`.

    `new_count` of them were not applied before.
    """

    count: int
    new_count: int = 0
    error: Exception | None = None


class Receiver:
    """Applies the events of other services to one service's database.

    `command(actor, envelope)` gives the context in which a handler runs; `on_applied` gets each
    batch with new events once it is committed. `share` asks a producer for the data keys that its
    events name; they are kept in this service, wrapped with its own key file.
    """

    def __init__(
        self,
        database: Database,
        *,
        handlers: Handlers,
        command: Callable[[str, Envelope], Any],
        trust: EventTrust,
        cipher: ColumnCipher,
        share: ShareKeys,
        clock: Clock,
        wake: asyncio.Event,
        on_applied: Callable[[Sequence[Envelope]], None] = lambda _batch: None,
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
        self._cipher = cipher
        self._share = share
        self._clock = clock
        self._wake = wake
        self._on_applied = on_applied

    async def receive(self, envelope: Envelope, *, is_confirmed: bool = False) -> bool:
        """Apply one event; False if it was applied before. Raises what the handler raises."""
        (outcome,) = [
            part async for part in self.receive_all([envelope], is_confirmed=is_confirmed)
        ]
        if outcome.error is not None:
            raise outcome.error
        return outcome.new_count == 1

    async def receive_all(
        self, batch: Sequence[Envelope], *, is_confirmed: bool = False
    ) -> AsyncGenerator[Outcome, None]:
        """Apply events, in one transaction if none fails; gives the outcomes from first to last.

        If an event fails, those before it are applied without it, and then those after it. An
        event fails with what its handler raises, or with NotAuthenticError, DifferentContentError,
        ProducerAlarmedError, and FarAheadError unless the producer has confirmed the numbers. An
        event about a person who was erased is recorded without effect.
        """
        parts = [batch] if batch else []
        while parts:
            part, place = parts.pop(), _Place()
            try:
                new_count = await self._apply_together(part, place, is_confirmed=is_confirmed)
            except Exception as error:  # noqa: BLE001 - the caller decides about each event
                before = len(part) // 2 if place.index is None else place.index
                if _concerns_all(error):
                    yield Outcome(len(part), error=error)
                elif before:
                    parts += [part[before:], part[:before]]
                elif isinstance(error, PersonErased | DataKeyErased):
                    await self._record_without_effect(part[0])
                    yield Outcome(1, 1)
                    parts += [part[1:]] if part[1:] else []
                else:
                    yield Outcome(1, error=error)
                    parts += [part[1:]] if part[1:] else []
            else:
                yield Outcome(len(part), new_count)

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
        if await self._handle(tx, dead_letter.envelope):
            await self._audit(tx, [dead_letter.envelope])
        return replace(dead_letter, resolve_time=now)

    async def _apply_together(
        self, batch: Sequence[Envelope], place: _Place, *, is_confirmed: bool
    ) -> int:
        """Apply events in one transaction, all or none; returns how many are new."""
        for envelope in place.each(batch):
            self._trust.require_authentic(envelope)
        await self._fetch_keys(batch)

        async def work() -> int:
            place.index = None
            async with self.database.begin() as tx:
                await self._require_trusted(tx, batch, place, is_confirmed=is_confirmed)
                new_count = await self._apply(tx, batch, place)
                await failpoint("listener.before_commit")
            return new_count

        new_count = await retrying(work)
        if new_count:
            self._wake.set()
            self._on_applied(batch)
        return new_count

    async def _record_without_effect(self, envelope: Envelope) -> None:
        """Consume an event about a person of whom nothing may be stored any more."""
        now = self._clock.now()
        async with self.database.begin() as tx:
            if await inbox.record(tx, envelope, now) is Receipt.FIRST:
                await audit.append(
                    tx,
                    now=now,
                    actor=_actor(envelope),
                    action=f"{envelope.subject} {WITHOUT_EFFECT}",
                    resource=f"events/{envelope.name}",
                    request_hash=envelope.content_hash,
                )
        log.warning("event_of_erased_person", service=self.service, envelope=envelope.name)

    async def _fetch_keys(self, batch: Sequence[Envelope]) -> None:
        """Ask producers for the data keys of events, outside of the transaction that applies them.

        Raises KeysNotFetchedError if one does not answer.
        """
        named = {key for envelope in batch if (key := self._key_of(envelope)) is not None}
        if not named:
            return
        async with self.database.begin() as tx:
            missing = await producer_keys.find_missing(tx, named)
        for producer, ids in producer_keys.by_producer(missing).items():
            shared = await self._share(producer, ids)
            async with self.database.begin() as tx:
                await producer_keys.insert(tx, self._cipher, producer, shared.keys)
                await producer_keys.drop(tx, producer, shared.erased)

    def _key_of(self, envelope: Envelope) -> ProducerKey | None:
        """The data key that an event names, if this service handles it."""
        entry = self._handlers.get(envelope.subject)
        if entry is None or not personal_fields.names_of(entry[0].DESCRIPTOR):
            return None
        try:
            key_id = personal_fields.key_of(entry[0].FromString(envelope.payload))
        except DecodeError:
            return None
        return ProducerKey(envelope.producer, key_id) if key_id else None

    async def _opened(self, tx: Transaction, producer: str, message: Message) -> Message:
        """A message with its personal fields; raises KeyNotSharedError or DataKeyErased."""
        key_id = personal_fields.key_of(message)
        if not key_id:
            return message
        key = await producer_keys.find(tx, self._cipher, ProducerKey(producer, key_id))
        return personal_fields.open_sealed(self._cipher.knowing([key]), message)

    async def _require_trusted(
        self, tx: Transaction, batch: Sequence[Envelope], place: _Place, *, is_confirmed: bool
    ) -> None:
        """Raise ProducerAlarmedError or FarAheadError for a batch that may not be applied."""
        for producer in {envelope.producer for envelope in batch}:
            if await event_alarms.open_count(tx, producer):
                raise ProducerAlarmedError(producer)
        highest: dict[tuple[str, str], int] = {}
        for envelope in place.each(batch):
            sequence = envelope.producer, envelope.epoch
            if sequence not in highest:
                highest[sequence] = await inbox.highest_seq(tx, *sequence)
            if not is_confirmed and envelope.pub_seq > highest[sequence] + AHEAD_MAX:
                raise FarAheadError(envelope.name)
            highest[sequence] = max(highest[sequence], envelope.pub_seq)

    async def _apply(self, tx: Transaction, batch: Sequence[Envelope], place: _Place) -> int:
        """Record events, run the handlers of the new ones and audit them; how many are new."""
        receipts = await inbox.record_all(tx, batch, self._clock.now())
        for envelope, receipt in place.each(list(zip(batch, receipts, strict=True))):
            if receipt is Receipt.DIFFERENT:
                raise DifferentContentError(envelope.name)
        effects = []
        for envelope, receipt in place.each(list(zip(batch, receipts, strict=True))):
            if receipt is Receipt.FIRST and await self._handle(tx, envelope):
                effects.append(envelope)
        await self._audit(tx, effects)
        return receipts.count(Receipt.FIRST)

    async def _handle(self, tx: Transaction, envelope: Envelope) -> bool:
        """Run the handler of an event; whether it has one."""
        if envelope.void_hash:
            return False
        entry = self._handlers.get(envelope.subject)
        if entry is None or producer_of(envelope.subject) != envelope.producer:
            return False
        message_type, handler = entry
        context = self._command(_actor(envelope), envelope)
        message = message_type.FromString(envelope.payload)
        await handler(tx, await self._opened(tx, envelope.producer, message), context)
        return True

    async def _audit(self, tx: Transaction, effects: Sequence[Envelope]) -> None:
        entries = [
            audit.Entry(
                actor=_actor(envelope),
                action=envelope.subject,
                resource=f"events/{envelope.name}",
                request_hash=envelope.content_hash,
            )
            for envelope in effects
        ]
        if entries:
            await audit.append_all(tx, self._clock.now(), entries)


class _Place:
    """The index of the event of a batch that is in progress; None between two passes."""

    index: int | None = None

    def each(self, items: Sequence[T]) -> Iterator[T]:
        """Iterate over the events of a batch, or over what belongs to each."""
        for self.index, item in enumerate(items):
            yield item
        self.index = None


def is_outage(error: BaseException) -> bool:
    """Whether an event failed for another cause than its content; it must be tried again."""
    if isinstance(error, Problem):
        return error.kind is Kind.OVERLOADED
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or not getattr(error.orig, "sqlstate", None)
    return isinstance(error, PoolTimeoutError | OSError | _OUTAGES)


def _concerns_all(error: Exception) -> bool:
    """Whether no event of a batch could be applied, with or without any of the others."""
    if isinstance(error, ProducerAlarmedError | KeysNotFetchedError):
        return True
    return isinstance(error.__cause__, PoolTimeoutError)


def _actor(envelope: Envelope) -> str:
    return f"services/{envelope.producer}"
