"""Consumes the events of other services: each counts once, in whatever order they come.

An event, its inbox row, its effect and its audit row commit together, and only then is it
acknowledged. What fails comes again later, because what it builds on may still be on its way; after
the fifth time it becomes a dead letter. What JetStream lost shows as a gap in the numbers
and is asked for from the producer itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeAlias

import nats.errors
import nats.js.errors
import structlog
from google.protobuf.message import Message
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from services.kernel.problems import Kind, NotFound, Problem
from services.runtime.base.clock import Clock
from services.runtime.base.failpoints import failpoint
from services.runtime.base.tasks import side_by_side
from services.runtime.events import dead_letters, inbox
from services.runtime.events.dead_letters import DeadLetter
from services.runtime.events.envelope import Envelope, producer_of, stream_of
from services.runtime.events.jetstream import (
    ACK_SECONDS,
    ACK_WAIT_SECONDS,
    Bus,
    backlog,
    read_envelope,
)
from services.runtime.storage import audit
from services.runtime.storage.database import Database, Transaction, retrying

# The last argument is the command context, which the service makes for an actor.
Handler: TypeAlias = Callable[[Transaction, Any, Any], Awaitable[None]]
Handlers: TypeAlias = Mapping[type[Message], Handler]
Replay: TypeAlias = Callable[[str, str, int], AsyncIterator[Envelope]]

FETCH_COUNT = 32
# Events of a backlog share a transaction, a few at a time: locks are held for milliseconds.
GROUP_COUNT = 16
FETCH_SECONDS = 4.0
SILENCES_MAX = 3
DELIVERIES_MAX = 5
# Before the second, third … delivery. Time enough for a gap to be found and closed meanwhile.
RETRY_SECONDS = (0.5, 2.0, 10.0, 40.0)
REPAIR_SECONDS = 30.0
GAP_SECONDS = 3.0

log = structlog.get_logger(part="listener")


class Listener:
    """Consumes events for one service.

    `replay(producer, epoch, from_seq)` asks a producer for its events; `command(actor)` gives the
    context in which a handler runs.
    """

    def __init__(
        self,
        database: Database,
        bus: Bus,
        *,
        handlers: Handlers,
        command: Callable[[str], Any],
        replay: Replay,
        clock: Clock,
        wake: asyncio.Event,
        retry_seconds: tuple[float, ...] = RETRY_SECONDS,
        repair_seconds: float = REPAIR_SECONDS,
        gap_seconds: float = GAP_SECONDS,
    ) -> None:
        self.service = database.service
        self._database = database
        self._bus = bus
        self._handlers = {
            message.DESCRIPTOR.full_name: (message, handler)
            for message, handler in handlers.items()
        }
        self._producers = tuple(dict.fromkeys(producer_of(subject) for subject in self._handlers))
        self._command = command
        self._replay = replay
        self._clock = clock
        self._wake = wake
        self._retry_seconds = retry_seconds
        self._repair_seconds = repair_seconds
        self._gap_seconds = gap_seconds
        # Of replayed events: how often each has failed, and when first.
        self._failures: dict[str, tuple[int, float]] = {}

    async def run(self) -> None:
        """Consume and repair until cancelled; without handlers, just wait."""
        works: list[tuple[str, Coroutine[Any, Any, object]]] = [("wait", asyncio.Event().wait())]
        for producer in self._producers:
            works.append((f"consume {producer}", self._consume(producer)))
            works.append((f"repair {producer}", self._repair(producer)))
        await side_by_side(works)

    async def is_idle(self) -> bool:
        """Whether nothing that JetStream carries for this service is waiting."""
        for producer in self._producers:
            if await self._bus.pending_count(producer, self.service):
                return False
        return True

    async def receive(self, envelope: Envelope) -> bool:
        """Let one event take effect; False if it had before. Raises what the handler raises."""
        return await self.receive_all([envelope]) == 1

    async def receive_all(self, batch: Sequence[Envelope]) -> int:
        """Let events take effect in one transaction, all or none; how many had not before."""

        async def work() -> int:
            first = 0
            async with self._database.begin() as tx:
                now = self._clock.now()
                for envelope in batch:
                    if await inbox.is_first(tx, envelope, now):
                        await self._handle(tx, envelope)
                        first += 1
                await failpoint("bus.before_commit")
            return first

        gained = await retrying(work) if batch else 0
        if gained:
            self._wake.set()
        for envelope in batch:
            self._failures.pop(envelope.message_id, None)
        return gained

    async def to_dead_letter(self, envelope: Envelope, error: BaseException) -> None:
        """Keep an event that cannot be handled as a dead letter, and count it as consumed."""
        async with self._database.begin() as tx:
            now = self._clock.now()
            if await inbox.is_first(tx, envelope, now):
                await dead_letters.insert(tx, envelope, type(error).__name__, now)
        self._failures.pop(envelope.message_id, None)
        log.error(
            "dead_letter",
            service=self.service,
            envelope=envelope.name,
            subject=envelope.subject,
            error=type(error).__name__,
        )

    async def retry(self, tx: Transaction, producer: str, epoch: str, pub_seq: int) -> DeadLetter:
        """Handle a dead letter once more; it is resolved if the handler does not raise."""
        letter = await dead_letters.find(tx, producer, epoch, pub_seq)
        if letter is None:
            raise NotFound(name=f"deadLetters/{producer}-{epoch}-{pub_seq}")
        if letter.resolve_time is not None:
            return letter
        now = self._clock.now()
        await dead_letters.resolve(tx, letter.envelope, now)
        await self._handle(tx, letter.envelope)
        return DeadLetter(letter.envelope, letter.error, letter.create_time, now)

    async def repair(self, producer: str) -> int:
        """Ask the producer for what is missing and for what is newer; the events gained."""
        async with self._database.begin() as tx:
            known = await inbox.progress(tx, producer)
        gained = 0
        for epoch in known[:-1]:
            if epoch.has_gap:
                gained += await self._replay_from(producer, epoch.epoch, epoch.whole_seq + 1)
        if known:
            newest = known[-1]
            gained += await self._replay_from(producer, newest.epoch, newest.whole_seq + 1)
        else:
            gained += await self._replay_from(producer, "", 1)
        return gained

    async def _handle(self, tx: Transaction, envelope: Envelope) -> None:
        handled = self._handlers.get(envelope.subject)
        if handled is None or producer_of(envelope.subject) != envelope.producer:
            return
        message, handler = handled
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

    async def _consume(self, producer: str) -> None:
        while True:
            try:
                await self._bus.declare_consumer(producer, self.service)
                subscription = await self._bus.js.pull_subscribe_bind(
                    self.service, stream=stream_of(producer)
                )
            except (nats.errors.Error, TimeoutError) as error:
                log.warning("cannot_listen", service=self.service, error=type(error).__name__)
                await asyncio.sleep(1)
                continue
            try:
                await self._fetch_while_it_answers(subscription)
            finally:
                with contextlib.suppress(nats.errors.Error):
                    await subscription.unsubscribe()

    async def _fetch_while_it_answers(
        self, subscription: JetStreamContext.PullSubscription
    ) -> None:
        """Take what comes. Returns when the consumer is gone or the server stays silent."""
        silences = 0
        while silences < SILENCES_MAX:
            try:
                messages = await subscription.fetch(
                    1, timeout=FETCH_SECONDS, heartbeat=FETCH_SECONDS / 4
                )
                messages += await backlog(subscription, messages[0], FETCH_COUNT - 1)
            except nats.js.errors.FetchTimeoutError:
                silences = 0
            except TimeoutError:
                silences += 1
            except nats.errors.Error as error:
                log.warning("fetch_failed", service=self.service, error=type(error).__name__)
                await asyncio.sleep(1)
                return
            else:
                silences = 0
                await self._take_all(messages)
        log.warning("bus_silent", service=self.service)
        if self._bus.client.is_connected:
            await self._bus.reconnect()

    async def _take_all(self, messages: list[Msg]) -> None:
        waiting = list(messages)
        keep = asyncio.create_task(_keep_waiting(waiting))
        try:
            while waiting:
                group = waiting[:GROUP_COUNT]
                await self._take(group)
                del waiting[: len(group)]
        finally:
            keep.cancel()

    async def _take(self, messages: Sequence[Msg]) -> None:
        """Take a group in one transaction; if one of them fails, each on its own."""
        events: list[tuple[Msg, Envelope]] = []
        for message in messages:
            envelope = read_envelope(message)
            if envelope is None:
                log.error("foreign_message", service=self.service, subject=message.subject)
                await _answer(message.term())
            else:
                events.append((message, envelope))
        try:
            await self.receive_all([envelope for _, envelope in events])
        except Exception as error:  # noqa: BLE001 - any failure of a handler is handled here
            if len(events) == 1:
                await self._fail(*events[0], error)
                return
            for message, _ in events:
                await self._take([message])
            return
        await failpoint("bus.after_commit")
        await asyncio.gather(
            *(_answer(message.ack_sync(timeout=ACK_SECONDS)) for message, _ in events)
        )

    async def _fail(self, message: Msg, envelope: Envelope, error: Exception) -> None:
        delivered = message.metadata.num_delivered
        log.warning(
            "event_failed",
            service=self.service,
            envelope=envelope.name,
            subject=envelope.subject,
            error=type(error).__name__,
            delivered=delivered,
        )
        if delivered >= DELIVERIES_MAX and not is_ours(error):
            try:
                await self.to_dead_letter(envelope, error)
            except Exception as worse:  # noqa: BLE001 - it comes again and is dead-lettered then
                log.warning("not_dead_lettered", envelope=envelope.name, error=type(worse).__name__)
            else:
                await _answer(message.term())
                return
        pause = self._retry_seconds[min(delivered, len(self._retry_seconds)) - 1]
        await _answer(message.nak(delay=pause))

    async def _repair(self, producer: str) -> None:
        """At the start, every half minute, and when a gap stays open for some seconds."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        gap: tuple[str, int] | None = None
        while True:
            try:
                found = await self._find_gap(producer)
                is_due = loop.time() >= due and not await self._is_behind(producer)
                if is_due or (found is not None and found == gap):
                    due = loop.time() + self._repair_seconds
                    await self._repair_and_log(producer)
                    found = None
                gap = found
            except Exception as error:  # noqa: BLE001 - the producer may be away; there is a next time
                log.info("repair_failed", service=self.service, error=type(error).__name__)
            await asyncio.sleep(self._gap_seconds)

    async def _repair_and_log(self, producer: str) -> None:
        gained = await self.repair(producer)
        if gained:
            log.warning("gap_repaired", service=self.service, producer=producer, events=gained)

    async def _is_behind(self, producer: str) -> bool:
        """Whether JetStream still has events for us, so that asking for newer ones is idle."""
        try:
            return await self._bus.undelivered_count(producer, self.service) > 0
        except (nats.errors.Error, TimeoutError):
            return False

    async def _find_gap(self, producer: str) -> tuple[str, int] | None:
        async with self._database.begin() as tx:
            for epoch in await inbox.progress(tx, producer):
                if epoch.has_gap:
                    return epoch.epoch, epoch.whole_seq
        return None

    async def _replay_from(self, producer: str, epoch: str, from_seq: int) -> int:
        gained = 0
        group: list[Envelope] = []
        async for envelope in self._replay(producer, epoch, from_seq):
            assert envelope.producer == producer, envelope.producer
            group.append(envelope)
            if len(group) == GROUP_COUNT:
                gained += await self._take_replayed(group)
                group = []
        return gained + await self._take_replayed(group)

    async def _take_replayed(self, group: Sequence[Envelope]) -> int:
        try:
            return await self.receive_all(group)
        except Exception as error:  # noqa: BLE001 - the rest may still be handled
            if len(group) == 1:
                await self._fail_replayed(group[0], error)
                return 0
        gained = 0
        for envelope in group:
            gained += await self._take_replayed([envelope])
        return gained

    async def _fail_replayed(self, envelope: Envelope, error: Exception) -> None:
        if is_ours(error):
            raise error
        now = asyncio.get_running_loop().time()
        failures, since = self._failures.get(envelope.message_id, (0, now))
        failures += 1
        self._failures[envelope.message_id] = (failures, since)
        log.warning(
            "event_failed",
            service=self.service,
            envelope=envelope.name,
            subject=envelope.subject,
            error=type(error).__name__,
            replayed=failures,
        )
        if failures >= DELIVERIES_MAX and now - since >= sum(self._retry_seconds):
            await self.to_dead_letter(envelope, error)


def is_ours(error: BaseException) -> bool:
    """Whether an event failed for want of a connection or of room, which no event can help."""
    if isinstance(error, Problem):
        return error.kind is Kind.OVERLOADED
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or not getattr(error.orig, "sqlstate", None)
    return isinstance(error, PoolTimeoutError | OSError)


async def _keep_waiting(waiting: list[Msg]) -> None:
    """Tell JetStream that what was fetched is still being worked on."""
    while True:
        await asyncio.sleep(ACK_WAIT_SECONDS / 3)
        for message in list(waiting):
            await _answer(message.in_progress())


async def _answer(answer: Awaitable[object]) -> None:
    """Send an acknowledgement; one that is lost only brings the event again."""
    try:
        await answer
    except (nats.errors.Error, TimeoutError) as error:
        log.info("not_acknowledged", error=type(error).__name__)
