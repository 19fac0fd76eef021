"""Hears the events of other services: each counts once, in whatever order they come.

An event, its inbox row, its effect and its audit row commit together, and only then is it
acknowledged. What fails comes again later, because what it builds on may still be on its way; after
the fifth time it is put aside as a dead letter. What JetStream lost shows as a gap in the numbers
and is asked for from the producer itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime
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
from services.runtime import audit, deadletters, inbox
from services.runtime.bus import (
    ACK_SECONDS,
    ACK_WAIT_SECONDS,
    Bus,
    backlog,
    carried_by,
)
from services.runtime.carried import Carried, stream_of
from services.runtime.clock import Clock
from services.runtime.database import Database, Transaction, retrying
from services.runtime.deadletters import DeadLetter
from services.runtime.failpoints import failpoint
from services.runtime.tasks import side_by_side

Handler: TypeAlias = Callable[[Transaction, Any, datetime], Awaitable[None]]
Handlers: TypeAlias = Mapping[str, Mapping[type[Message], Handler]]
Replay: TypeAlias = Callable[[str, str, int], AsyncIterator[Carried]]

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
    """Hears for one service. `replay(producer, epoch, from_seq)` asks a producer for its events."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        *,
        handlers: Handlers,
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
            producer: {
                message.DESCRIPTOR.full_name: (message, handler)
                for message, handler in handled.items()
            }
            for producer, handled in handlers.items()
        }
        self._replay = replay
        self._clock = clock
        self._wake = wake
        self._retry_seconds = retry_seconds
        self._repair_seconds = repair_seconds
        self._gap_seconds = gap_seconds
        # Of replayed events: how often each has failed, and when first.
        self._failures: dict[str, tuple[int, float]] = {}

    async def run(self) -> None:
        """Hear and repair until cancelled; a service that listens to nobody just waits."""
        works: list[tuple[str, Coroutine[Any, Any, object]]] = [("wait", asyncio.Event().wait())]
        for producer in self._handlers:
            works.append((f"hear {producer}", self._hear(producer)))
            works.append((f"repair {producer}", self._repair(producer)))
        await side_by_side(works)

    async def settled(self) -> bool:
        """Whether nothing that JetStream carries for this service is waiting."""
        for producer in self._handlers:
            if await self._bus.pending_count(producer, self.service):
                return False
        return True

    async def receive(self, carried: Carried) -> bool:
        """Let one event take effect; False if it had before. Raises what the handler raises."""
        return await self.receive_all([carried]) == 1

    async def receive_all(self, batch: Sequence[Carried]) -> int:
        """Let events take effect in one transaction, all or none; how many had not before."""

        async def work() -> int:
            first = 0
            async with self._database.begin() as tx:
                now = self._clock.now()
                for carried in batch:
                    if await inbox.is_first(tx, carried, now):
                        await self._handle(tx, carried, now)
                        first += 1
                await failpoint("bus.before_commit")
            return first

        gained = await retrying(work) if batch else 0
        if gained:
            self._wake.set()
        for carried in batch:
            self._failures.pop(carried.message_id, None)
        return gained

    async def put_aside(self, carried: Carried, error: BaseException) -> None:
        """Keep an event that cannot be handled as a dead letter, and count it as heard."""
        async with self._database.begin() as tx:
            now = self._clock.now()
            if await inbox.is_first(tx, carried, now):
                await deadletters.put(tx, carried, type(error).__name__, now)
        self._failures.pop(carried.message_id, None)
        log.error(
            "dead_letter",
            service=self.service,
            carried=carried.name,
            subject=carried.subject,
            error=type(error).__name__,
        )

    async def retry(self, tx: Transaction, producer: str, epoch: str, pub_seq: int) -> DeadLetter:
        """Handle a dead letter once more; it is settled if the handler does not raise."""
        letter = await deadletters.find(tx, producer, epoch, pub_seq)
        if letter is None:
            raise NotFound(name=f"deadLetters/{producer}-{epoch}-{pub_seq}")
        if letter.settle_time is not None:
            return letter
        now = self._clock.now()
        await deadletters.settle(tx, letter.carried, now)
        await self._handle(tx, letter.carried, now)
        return DeadLetter(letter.carried, letter.error, letter.create_time, now)

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

    async def _handle(self, tx: Transaction, carried: Carried, now: datetime) -> None:
        handled = self._handlers.get(carried.producer, {}).get(carried.subject)
        if handled is None:
            return
        message, handler = handled
        await handler(tx, message.FromString(carried.payload), now)
        await audit.append(
            tx,
            now=now,
            actor=f"services/{carried.producer}",
            action=carried.subject,
            resource=f"events/{carried.name}",
            request_hash=carried.content_hash,
        )

    async def _hear(self, producer: str) -> None:
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
        events: list[tuple[Msg, Carried]] = []
        for message in messages:
            carried = carried_by(message)
            if carried is None:
                log.error("foreign_message", service=self.service, subject=message.subject)
                await _answer(message.term())
            else:
                events.append((message, carried))
        try:
            await self.receive_all([carried for _, carried in events])
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

    async def _fail(self, message: Msg, carried: Carried, error: Exception) -> None:
        delivered = message.metadata.num_delivered
        log.warning(
            "event_failed",
            service=self.service,
            carried=carried.name,
            subject=carried.subject,
            error=type(error).__name__,
            delivered=delivered,
        )
        if delivered >= DELIVERIES_MAX and not is_ours(error):
            try:
                await self.put_aside(carried, error)
            except Exception as worse:  # noqa: BLE001 - it comes again and is put aside then
                log.warning("not_put_aside", carried=carried.name, error=type(worse).__name__)
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
                    await self._repair_and_tell(producer)
                    found = None
                gap = found
            except Exception as error:  # noqa: BLE001 - the producer may be away; there is a next time
                log.info("repair_failed", service=self.service, error=type(error).__name__)
            await asyncio.sleep(self._gap_seconds)

    async def _repair_and_tell(self, producer: str) -> None:
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
        group: list[Carried] = []
        async for carried in self._replay(producer, epoch, from_seq):
            assert carried.producer == producer, carried.producer
            group.append(carried)
            if len(group) == GROUP_COUNT:
                gained += await self._take_replayed(group)
                group = []
        return gained + await self._take_replayed(group)

    async def _take_replayed(self, group: Sequence[Carried]) -> int:
        try:
            return await self.receive_all(group)
        except Exception as error:  # noqa: BLE001 - the rest may still be handled
            if len(group) == 1:
                await self._fail_replayed(group[0], error)
                return 0
        gained = 0
        for carried in group:
            gained += await self._take_replayed([carried])
        return gained

    async def _fail_replayed(self, carried: Carried, error: Exception) -> None:
        if is_ours(error):
            raise error
        now = asyncio.get_running_loop().time()
        failures, since = self._failures.get(carried.message_id, (0, now))
        failures += 1
        self._failures[carried.message_id] = (failures, since)
        log.warning(
            "event_failed",
            service=self.service,
            carried=carried.name,
            subject=carried.subject,
            error=type(error).__name__,
            replayed=failures,
        )
        if failures >= DELIVERIES_MAX and now - since >= sum(self._retry_seconds):
            await self.put_aside(carried, error)


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
