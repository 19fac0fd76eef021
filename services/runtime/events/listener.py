"""Consumes the events of other services: each takes effect once, in any order of arrival.

The inbox row, the effect and the audit row of an event commit together; the acknowledgement follows
the commit. An event that fails is redelivered later, because an event it depends on may still be in
transit; after the fifth delivery it becomes a dead letter. An event that JetStream lost shows as a
gap in the numbers, and the listener requests it from the producer by Replay.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from hashlib import sha256
from typing import Any, TypeAlias

import nats.errors
import nats.js.errors
import structlog
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from services.runtime.base.failpoints import failpoint
from services.runtime.base.tasks import run_together
from services.runtime.events import inbox
from services.runtime.events.envelope import Envelope, stream_of
from services.runtime.events.event_keys import NotAuthenticError
from services.runtime.events.group_size import FETCH_COUNT, GroupSize
from services.runtime.events.jetstream import (
    Bus,
    acknowledge,
    backlog,
    read_envelope,
    report_in_progress,
    send_acknowledgement,
)
from services.runtime.events.receiver import (
    DifferentContentError,
    FarAheadError,
    Receiver,
    is_outage,
)
from services.runtime.events.streams import NotMigratedError

Replay: TypeAlias = Callable[[str, str, int], AsyncGenerator[Envelope, None]]

FETCH_SECONDS = 4.0
SILENCES_MAX = 3
DELIVERIES_MAX = 5
# Before the second, third … delivery; long enough to detect and repair a gap meanwhile.
RETRY_SECONDS = (0.5, 2.0, 10.0, 40.0)
REPAIR_SECONDS = 30.0
GAP_SECONDS = 3.0
# No epoch has this name, and Replay starts from the first epoch if it does not know one.
FIRST_EPOCH = "first"
# For a producer to say whether it has published a number.
CONFIRM_SECONDS = 5.0

log = structlog.get_logger(part="listener")


class ForeignEnvelopeError(RuntimeError):
    """A producer replayed an event of another producer."""

    def __init__(self, producer: str, other: str) -> None:
        super().__init__(f"{producer} replayed an event of {other}")


class Listener:
    """Takes events from JetStream, and from their producers what JetStream lost.

    `replay(producer, epoch, from_seq)` requests events from their producer.
    """

    def __init__(
        self,
        receiver: Receiver,
        bus: Bus,
        replay: Replay,
        *,
        retry_seconds: tuple[float, ...] = RETRY_SECONDS,
        repair_seconds: float = REPAIR_SECONDS,
        gap_seconds: float = GAP_SECONDS,
    ) -> None:
        self.service = receiver.service
        self._receiver = receiver
        self._bus = bus
        self._replay = replay
        self._retry_seconds = retry_seconds
        self._repair_seconds = repair_seconds
        self._gap_seconds = gap_seconds
        # For each replayed event that failed: how often, and when for the first time.
        self._failures: dict[str, tuple[int, float]] = {}

    async def run(self) -> None:
        """Consume and repair until cancelled; without handlers, wait."""
        coroutines: list[tuple[str, Coroutine[Any, Any, object]]] = [
            ("wait", asyncio.Event().wait())
        ]
        for producer in self._receiver.producers:
            coroutines.append((f"consume {producer}", self._consume(producer)))
            coroutines.append((f"repair {producer}", self._repair(producer)))
        await run_together(coroutines)

    async def is_idle(self) -> bool:
        """Whether JetStream has no event that this service has not acknowledged."""
        for producer in self._receiver.producers:
            if await self._bus.pending_count(producer, self.service):
                return False
        return True

    async def repair(self, producer: str) -> int:
        """Request missing and newer events from the producer; returns how many are new."""
        async with self._receiver.database.begin() as tx:
            epochs = await inbox.progress(tx, producer)
        known = frozenset(epoch.epoch for epoch in epochs)
        # JetStream does not deliver again what a consumer had acknowledged before its database was
        # restored: an earlier epoch may end beyond the highest number consumed, or be unknown.
        new_count = await self._replay_from(producer, FIRST_EPOCH, 1, until=known)
        for epoch in epochs[:-1]:
            others = known - {epoch.epoch}
            new_count += await self._replay_from(
                producer, epoch.epoch, epoch.whole_seq + 1, until=others
            )
        if epochs:
            newest = epochs[-1]
            new_count += await self._replay_from(producer, newest.epoch, newest.whole_seq + 1)
        return new_count

    async def _consume(self, producer: str) -> None:
        while True:
            try:
                await self._bus.require_consumer(producer, self.service)
                subscription = await self._bus.js.pull_subscribe_bind(
                    self.service, stream=stream_of(producer)
                )
            except (nats.errors.Error, NotMigratedError, TimeoutError) as error:
                log.warning("cannot_listen", service=self.service, error=str(error))
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
        """Consume messages; returns if the consumer was deleted or the server stays silent."""
        size = GroupSize()
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
                await self._take_all(messages, size)
        log.warning("bus_silent", service=self.service)
        if self._bus.client.is_connected:
            await self._bus.reconnect()

    async def _take_all(self, messages: list[Msg], size: GroupSize) -> None:
        waiting = list(messages)
        keep = asyncio.create_task(report_in_progress(waiting))
        try:
            while waiting:
                group = waiting[: size.count]
                with size.measure(len(group)):
                    await self._take(group)
                del waiting[: len(group)]
        finally:
            keep.cancel()

    async def _take(self, messages: Sequence[Msg]) -> None:
        """Apply the events in messages, acknowledge them, and conclude those that fail."""
        waiting: list[tuple[Msg, Envelope]] = []
        for message in messages:
            try:
                waiting.append((message, read_envelope(message)))
            except NotAuthenticError as error:
                await self._reject_or_redeliver(message, error)
        outcomes = self._receiver.receive_all([envelope for _, envelope in waiting])
        async with contextlib.aclosing(outcomes):
            async for outcome in outcomes:
                events, waiting = waiting[: outcome.count], waiting[outcome.count :]
                if outcome.error is None:
                    await failpoint("listener.after_commit")
                    await acknowledge([message for message, _ in events])
                    continue
                for message, envelope in events:
                    await self._fail(message, envelope, outcome.error)

    async def _reject_or_redeliver(self, message: Msg, error: NotAuthenticError) -> None:
        try:
            await self._reject(message, error)
        except Exception as failure:  # noqa: BLE001 - the next delivery is counted
            log.warning("not_rejected", service=self.service, error=type(failure).__name__)
            await self._redeliver(message)

    async def _reject(self, message: Msg, error: NotAuthenticError) -> None:
        """Count a message that is no event, and drop it."""
        producer = message.subject.split(".")[1]
        await self._receiver.reject(producer, error.reason, sha256(message.data).digest())
        await send_acknowledgement(message.term())

    async def _fail(self, message: Msg, envelope: Envelope, error: Exception) -> None:
        """Conclude an event that was not applied, or have it delivered again later."""
        try:
            if await self._is_concluded(message, envelope, error):
                return
        except Exception as failure:  # noqa: BLE001 - the next delivery concludes it
            log.warning("not_concluded", envelope=envelope.name, error=type(failure).__name__)
        await self._redeliver(message)

    async def _is_concluded(self, message: Msg, envelope: Envelope, error: Exception) -> bool:
        """Whether a failure ended as an effect, a rejection, an alarm or a dead letter."""
        if isinstance(error, FarAheadError):
            try:
                await self._apply_confirmed(envelope)
            except Exception as failure:  # noqa: BLE001 - a handler may fail here as elsewhere
                error = failure
            else:
                await send_acknowledgement(message.ack())
                return True
        if isinstance(error, NotAuthenticError):
            await self._reject(message, error)
            return True
        if isinstance(error, DifferentContentError):
            await self._receiver.raise_alarm(envelope)
            await send_acknowledgement(message.term())
            return True
        delivered = message.metadata.num_delivered
        log.warning(
            "event_failed",
            service=self.service,
            envelope=envelope.name,
            subject=envelope.subject,
            error=type(error).__name__,
            delivered=delivered,
        )
        if delivered < DELIVERIES_MAX or is_outage(error):
            return False
        await self._receiver.to_dead_letter(envelope, error)
        await send_acknowledgement(message.term())
        return True

    async def _apply_confirmed(self, envelope: Envelope) -> None:
        """Apply an event whose number lies far ahead if its producer has published it.

        Raises NotAuthenticError if it has not, FarAheadError if it does not answer.
        """
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                is_published = await self._is_published(envelope)
        except Exception as error:
            raise FarAheadError(envelope.name) from error
        if not is_published:
            raise NotAuthenticError("NUMBER_NOT_PUBLISHED")
        await self._receiver.receive(envelope, is_confirmed=True)

    async def _is_published(self, envelope: Envelope) -> bool:
        number = envelope.producer, envelope.epoch, envelope.pub_seq
        async with contextlib.aclosing(self._replay(*number)) as published:
            async for first in published:
                return first == envelope
        return False

    async def _redeliver(self, message: Msg) -> None:
        """Have a message delivered again, later each time."""
        delivered = message.metadata.num_delivered
        pause = self._retry_seconds[min(delivered, len(self._retry_seconds)) - 1]
        await send_acknowledgement(message.nak(delay=pause))

    async def _repair(self, producer: str) -> None:
        """Repair at the start, every half minute, after a lost connection, and for a lasting gap.

        What NATS had sent on a connection that was lost it sends again only after half a minute.
        """
        loop = asyncio.get_running_loop()
        due = loop.time()
        reconnect_count = self._bus.reconnect_count
        previous_gap: tuple[str, int] | None = None
        while True:
            try:
                gap = await self._find_gap(producer)
                if reconnect_count != self._bus.reconnect_count:
                    reconnect_count, due = self._bus.reconnect_count, loop.time()
                is_due = loop.time() >= due and not await self._is_behind(producer)
                if is_due or (gap is not None and gap == previous_gap):
                    due = loop.time() + self._repair_seconds
                    await self._repair_and_log(producer)
                    gap = None
                previous_gap = gap
            except Exception as error:  # noqa: BLE001 - the producer may be down; the next round repairs
                log.info("repair_failed", service=self.service, error=type(error).__name__)
            await asyncio.sleep(self._gap_seconds)

    async def _repair_and_log(self, producer: str) -> None:
        new_count = await self.repair(producer)
        if new_count:
            log.warning("gap_repaired", service=self.service, producer=producer, events=new_count)

    async def _is_behind(self, producer: str) -> bool:
        """Whether JetStream still has events to deliver, so that a replay would bring nothing."""
        try:
            return await self._bus.undelivered_count(producer, self.service) > 0
        except (nats.errors.Error, TimeoutError):
            return False

    async def _find_gap(self, producer: str) -> tuple[str, int] | None:
        async with self._receiver.database.begin() as tx:
            for epoch in await inbox.progress(tx, producer):
                if epoch.has_gap:
                    return epoch.epoch, epoch.whole_seq
        return None

    async def _replay_from(
        self, producer: str, epoch: str, from_seq: int, *, until: frozenset[str] = frozenset()
    ) -> int:
        """Request events from a number on, up to the first one of an epoch in `until`."""
        new_count = 0
        size = GroupSize()
        group: list[Envelope] = []
        async with contextlib.aclosing(self._replay(producer, epoch, from_seq)) as replayed:
            async for envelope in replayed:
                if envelope.producer != producer:
                    raise ForeignEnvelopeError(producer, envelope.producer)
                if envelope.epoch in until:
                    break
                group.append(envelope)
                if len(group) >= size.count:
                    with size.measure(len(group)):
                        new_count += await self._take_replayed(group)
                    group = []
        return new_count + await self._take_replayed(group)

    async def _take_replayed(self, group: Sequence[Envelope]) -> int:
        """Apply replayed events; returns how many are new."""
        new_count = 0
        waiting = group
        outcomes = self._receiver.receive_all(group, is_confirmed=True)
        async with contextlib.aclosing(outcomes):
            async for outcome in outcomes:
                new_count += outcome.new_count
                events, waiting = waiting[: outcome.count], waiting[outcome.count :]
                if outcome.error is not None:
                    for envelope in events:
                        await self._fail_replayed(envelope, outcome.error)
        return new_count

    async def _fail_replayed(self, envelope: Envelope, error: Exception) -> None:
        if isinstance(error, DifferentContentError):
            await self._receiver.raise_alarm(envelope)
            return
        if isinstance(error, NotAuthenticError):
            content_hash = envelope.content_hash
            await self._receiver.reject(envelope.producer, f"REPLAYED_{error.reason}", content_hash)
            return
        if is_outage(error):
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
            await self._receiver.to_dead_letter(envelope, error)
