"""The streams and durable consumers: how large, how configured, made and corrected by migration.

A service's user cannot create, change or delete any of them (base/nats_users.py); it compares them
with what it expects and says what is wrong. One stream for each producer, one consumer for each
producer and listener, derived from the services' handlers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import nats.errors
import nats.js.errors
import structlog
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from services.runtime.base.refusals import StartRefusedError
from services.runtime.events.envelope import stream_of, subjects_of

GIB = 1 << 30
# The outbox keeps everything; a stream only has to bridge the absence of a listener.
STREAM_AGE_SECONDS = 14 * 24 * 3600
# What 14 days bring has to stay below 80 % of a stream. An event takes its payload and about 400
# bytes of subject, headers and signature; the sizes below are measured (tests/integration/runtime/
# test_streams.py repeats the largest).
#
# benefits: an indexation of a million awards changes each (AwardGranted, at most 650 bytes) and
#   grants back pay for the months already paid, which is published too: 2 million events, 1.3 GB.
#   Three of them within 14 days (a national one, the province's, a correction) are 3.9 GB, below
#   the 5.15 GB that are 80 % of 6 GiB. A month's run adds PaymentInstructed for 21 pooling areas,
#   3 industries and 12 kinds: 0.4 MB.
# orders: 10 million orders a day in batches of no more than 100 rows are 100,000
#   OrderBatchRecorded a day of 0.6 to 1.6 kB (few or 42 tallies): 0.8 to 2.2 GB in 14 days, below
#   the 3.4 GB of 4 GiB. OrderGapFound of 1,000 platforms, 3 kB a day each: 42 MB.
# enrolment: a million workers who enrol one by one: 450 bytes each, 0.45 GB.
# premiums: 1,000 platforms, their bills and ten receipts each, 1.8 kB: 20 MB.
# claims, grading: 10,000 decisions a day of 700 bytes: 0.1 GB.
# fund: one event a month.
STREAM_BYTES_DEFAULT = GIB
STREAM_BYTES_MAX: dict[str, int] = {"benefits": 6 * GIB, "orders": 4 * GIB}
DUPLICATE_WINDOW_SECONDS = 600
ACK_WAIT_SECONDS = 30
ACK_PENDING_MAX = 256

STREAM_FIELDS = (
    "subjects",
    "retention",
    "discard",
    "storage",
    "max_bytes",
    "max_age",
    "duplicate_window",
    "num_replicas",
    "deny_delete",
    "deny_purge",
)
CONSUMER_FIELDS = ("deliver_policy", "ack_policy", "ack_wait", "max_deliver", "max_ack_pending")

NEARLY_FULL_PERCENT = 80
WATCH_SECONDS = 10.0
MIGRATE = "run `python -m services.migrate`"

log = structlog.get_logger(part="streams")


class NotMigratedError(StartRefusedError):
    """A stream or consumer is missing, or differs from what this version expects."""

    def __init__(self, what: str, fault: str) -> None:
        super().__init__(f"the {what} {fault}; {MIGRATE}, as before each release")


@dataclass(frozen=True)
class StreamUsage:
    """How full a stream is; zeros if that is not known."""

    bytes: int = 0
    bytes_max: int = 0

    @property
    def is_nearly_full(self) -> bool:
        """Whether operators should act."""
        return 0 < self.bytes_max * NEARLY_FULL_PERCENT <= self.bytes * 100


class StreamOwner(Protocol):
    """The part of a connection that this module needs."""

    js: JetStreamContext
    replicas: int


def stream_config(producer: str, replicas: int) -> StreamConfig:
    """The stream of a producer."""
    return StreamConfig(
        name=stream_of(producer),
        subjects=[subjects_of(producer)],
        retention=RetentionPolicy.LIMITS,
        # The default policy would delete events that were not consumed yet.
        discard=DiscardPolicy.NEW,
        storage=StorageType.FILE,
        max_bytes=STREAM_BYTES_MAX.get(producer, STREAM_BYTES_DEFAULT),
        max_age=STREAM_AGE_SECONDS,
        duplicate_window=DUPLICATE_WINDOW_SECONDS,
        num_replicas=replicas,
        deny_delete=True,
        deny_purge=True,
    )


def consumer_config(listener: str) -> ConsumerConfig:
    """The durable consumer of a listener, which is named after it."""
    return ConsumerConfig(
        durable_name=listener,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_SECONDS,
        max_deliver=-1,
        max_ack_pending=ACK_PENDING_MAX,
    )


async def require_stream(bus: StreamOwner, producer: str) -> None:
    """Raise NotMigratedError unless a producer's stream is as expected."""
    expected = stream_config(producer, bus.replicas)
    what = f"NATS stream {expected.name}"
    try:
        info = await bus.js.stream_info(stream_of(producer))
    except nats.js.errors.NotFoundError:
        raise NotMigratedError(what, "is missing") from None
    if different := differences(info.config, expected, STREAM_FIELDS):
        raise NotMigratedError(what, f"differs in {', '.join(different)}")


async def require_consumer(bus: StreamOwner, producer: str, listener: str) -> None:
    """Raise NotMigratedError unless the consumer of a listener is as expected."""
    what = f"NATS consumer {listener} of stream {stream_of(producer)}"
    try:
        info = await bus.js.consumer_info(stream_of(producer), listener)
    except nats.js.errors.NotFoundError:
        raise NotMigratedError(what, "is missing") from None
    if different := differences(info.config, consumer_config(listener), CONSUMER_FIELDS):
        raise NotMigratedError(what, f"differs in {', '.join(different)}")


async def migrate(bus: StreamOwner, producers: Mapping[str, Sequence[str]]) -> None:
    """Create and correct the streams, and the consumers of each service's `producers`.

    Idempotent. Streams and consumers of other services are left alone.
    """
    names = dict.fromkeys([*producers, *(name for each in producers.values() for name in each)])
    for producer in names:
        await _migrate_stream(bus, producer)
    for listener, consumed in producers.items():
        for producer in consumed:
            await _migrate_consumer(bus, producer, listener)


async def _migrate_stream(bus: StreamOwner, producer: str) -> None:
    expected = stream_config(producer, bus.replicas)
    try:
        info = await bus.js.stream_info(stream_of(producer))
    except nats.js.errors.NotFoundError:
        await bus.js.add_stream(expected)
        log.info("stream_created", stream=expected.name)
        return
    if different := differences(info.config, expected, STREAM_FIELDS):
        await bus.js.update_stream(expected)
        log.warning("stream_corrected", stream=expected.name, fields=different)


async def _migrate_consumer(bus: StreamOwner, producer: str, listener: str) -> None:
    stream, expected = stream_of(producer), consumer_config(listener)
    try:
        info = await bus.js.consumer_info(stream, listener)
    except nats.js.errors.NotFoundError:
        await bus.js.add_consumer(stream, expected)
        log.info("consumer_created", stream=stream, consumer=listener)
        return
    different = differences(info.config, expected, CONSUMER_FIELDS)
    if not different:
        return
    try:
        await bus.js.add_consumer(stream, expected)
    except nats.js.errors.APIError:
        # Some fields cannot be changed. The new one delivers again; the inbox knows what counted.
        await bus.js.delete_consumer(stream, listener)
        await bus.js.add_consumer(stream, expected)
    log.warning("consumer_corrected", stream=stream, consumer=listener, fields=different)


def differences(
    actual: StreamConfig | ConsumerConfig,
    expected: StreamConfig | ConsumerConfig,
    fields: Sequence[str],
) -> list[str]:
    """The fields in which a stream or consumer differs."""
    return [name for name in fields if getattr(actual, name) != getattr(expected, name)]


class StreamWatch:
    """Knows how full a service's stream is, and logs when it becomes nearly full."""

    def __init__(self, producer: str, read: Callable[[str], Awaitable[StreamUsage]]) -> None:
        self._producer = producer
        self._read = read
        self.usage = StreamUsage()

    async def run(self) -> None:
        """Watch until cancelled. While NATS does not answer, the last figures stay."""
        while True:
            try:
                await self.refresh()
            except (nats.errors.Error, TimeoutError) as error:
                log.info("stream_not_read", service=self._producer, error=type(error).__name__)
            await asyncio.sleep(WATCH_SECONDS)

    async def refresh(self) -> None:
        """Read the figures once."""
        before, self.usage = self.usage, await self._read(self._producer)
        if self.usage.is_nearly_full and self.usage != before:
            log.warning(
                "stream_nearly_full",
                stream=stream_of(self._producer),
                bytes=self.usage.bytes,
                bytes_max=self.usage.bytes_max,
            )
        elif before.is_nearly_full and not self.usage.is_nearly_full:
            log.info("stream_has_room", stream=stream_of(self._producer))
