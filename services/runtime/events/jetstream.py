"""The connection to NATS JetStream, which transports events; the outbox is their record.

JetStream may lose, duplicate or reorder events; the inbox and `Replay` correct that. It should
still have what it acknowledged after a power cut, hence the check of `sync_interval: always`.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import signal
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
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

from services.runtime.base.settings import Settings
from services.runtime.events.envelope import Envelope, stream_of, subjects_of
from services.runtime.events.event_keys import NotAuthenticError

R = TypeVar("R")

# A half-open connection is detected within ping interval x (outstanding + 1) = 15 s.
PING_SECONDS = 5
PINGS_OUTSTANDING_MAX = 2
CONNECT_SECONDS = 5
PUBLISH_SECONDS = 2
BACKLOG_SECONDS = 1.0
API_SECONDS = 5
API_PATIENCE_SECONDS = 45
ACK_SECONDS = 2

STREAM_BYTES_MAX = 1 << 30
# The outbox keeps everything; the stream only has to bridge the absence of a listener.
STREAM_AGE_SECONDS = 14 * 24 * 3600
DUPLICATE_WINDOW_SECONDS = 600
ACK_WAIT_SECONDS = 30
ACK_PENDING_MAX = 256
MONITOR_PORT = 8222

PRODUCER_HEADER = "Oip-Producer"
EPOCH_HEADER = "Oip-Epoch"
SEQ_HEADER = "Oip-Seq"
KEY_HEADER = "Oip-Key"
SIGNATURE_HEADER = "Oip-Signature"
# What each header looks like; 18 digits fit a bigint.
HEADER_FORMS = {
    PRODUCER_HEADER: re.compile(r"[a-z]{1,32}"),
    EPOCH_HEADER: re.compile(r"[0-9A-Za-z]{1,32}"),
    SEQ_HEADER: re.compile(r"[1-9][0-9]{0,17}"),
    KEY_HEADER: re.compile(r"[0-9a-f]{16}"),
    SIGNATURE_HEADER: re.compile(r"[0-9a-f]{128}"),
}
ID_HEADER = "Nats-Msg-Id"
STATUS_HEADERS = ("Status", "Description")
# Where a message of a stream is acknowledged; answers of the server name no such place.
STORED_PREFIX = b"$JS.ACK."

log = structlog.get_logger(part="bus")


class NotSyncedError(RuntimeError):
    """The NATS server may forget messages that it has acknowledged."""

    def __init__(self, monitor: str, fault: str) -> None:
        super().__init__(
            f"the NATS server at {monitor} {fault}, so a power cut could lose events it has "
            "acknowledged; write `jetstream { sync_interval: always }` into its configuration "
            "and restart it"
        )


class _Client(Client):
    """Takes no stored message for an answer of the server, whatever headers it carries.

    The library drops messages with a header `Status`, which would then never be acknowledged, and
    closes the connection over bytes that are no text.
    """

    async def _process_headers(self, headers: bytes) -> dict[str, str] | None:
        try:
            return await super()._process_headers(headers)
        except (ValueError, IndexError):
            return None

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Any:
        if headers and reply.startswith(STORED_PREFIX):
            headers = {name: headers[name] for name in headers if name not in STATUS_HEADERS}
        subject = subject.decode(errors="replace").encode()
        return super()._build_message(sid, subject, reply, data, headers)


class Bus:
    """One connection to NATS, shared by the relay and the listeners of a service."""

    def __init__(self, client: Client, replicas: int) -> None:
        self.client = client
        self.js: JetStreamContext = client.jetstream(timeout=API_SECONDS)
        self._replicas = replicas
        self.closing = False

    async def declare_stream(self, producer: str) -> None:
        """Create a producer's stream or correct its configuration; idempotent."""
        await patiently(lambda: self._declare_stream(producer))

    async def declare_consumer(self, producer: str, listener: str) -> None:
        """Create the durable consumer of a listener, which is named after it; idempotent."""
        await self.declare_stream(producer)
        config = ConsumerConfig(
            durable_name=listener,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_SECONDS,
            max_deliver=-1,
            max_ack_pending=ACK_PENDING_MAX,
        )
        await patiently(lambda: self.js.add_consumer(stream_of(producer), config))

    async def publish(self, envelope: Envelope) -> None:
        """Publish and wait until it is stored. After a timeout the outcome is unknown."""
        headers = {
            ID_HEADER: envelope.message_id,
            PRODUCER_HEADER: envelope.producer,
            EPOCH_HEADER: envelope.epoch,
            SEQ_HEADER: str(envelope.pub_seq),
            KEY_HEADER: envelope.key_id,
            SIGNATURE_HEADER: envelope.signature.hex(),
        }
        try:
            await self.js.publish(
                envelope.subject,
                envelope.payload,
                timeout=PUBLISH_SECONDS,
                stream=stream_of(envelope.producer),
                headers=headers,
            )
        except nats.js.errors.NoStreamResponseError:
            # The store was emptied while we ran; the relay publishes again after this failure.
            await self._declare_stream(envelope.producer)
            raise

    async def pending_count(self, producer: str, listener: str) -> int:
        """The number of a producer's events that a listener has not acknowledged yet."""
        consumer = await self.js.consumer_info(stream_of(producer), listener)
        return (consumer.num_pending or 0) + (consumer.num_ack_pending or 0)

    async def undelivered_count(self, producer: str, listener: str) -> int:
        """The number of a producer's events that were not delivered to a listener yet."""
        consumer = await self.js.consumer_info(stream_of(producer), listener)
        return consumer.num_pending or 0

    async def reconnect(self) -> None:
        """Drop a connection that no longer answers; the client then opens a new one."""
        await self.client.force_reconnect()

    async def close(self) -> None:
        """Send what is buffered and close."""
        self.closing = True
        if not self.client.is_closed:
            await self.client.drain()

    async def _declare_stream(self, producer: str) -> None:
        config = _stream_config(producer, self._replicas)
        try:
            stream = await self.js.stream_info(config.name or "")
        except nats.js.errors.NotFoundError:
            await self.js.add_stream(config)
            return
        if any(
            getattr(stream.config, field) != getattr(config, field)
            for field in ("subjects", "max_bytes", "max_age", "duplicate_window", "num_replicas")
        ):
            await self.js.update_stream(config)


async def backlog(
    subscription: JetStreamContext.PullSubscription, first: Msg, most: int
) -> list[Msg]:
    """The messages that wait behind `first` on the server, at most `most`, without waiting.

    The fetch has no heartbeat: the client would also send it in requests without a timeout, which
    the server refuses, and the messages fetched so far would be lost until their redelivery.
    """
    waiting = min(first.metadata.num_pending, most)
    if not waiting:
        return []
    try:
        return await subscription.fetch(waiting, timeout=BACKLOG_SECONDS)
    except (TimeoutError, nats.errors.Error):
        return []


def read_envelope(message: Msg) -> Envelope:
    """The event in a message. Raises NotAuthenticError for what is no event of a producer.

    Every header has a type and a length; nothing in a message can raise anything else.
    """
    headers = message.headers or {}
    fields = {name: headers.get(name, "") for name in HEADER_FORMS}
    for name, form in HEADER_FORMS.items():
        if not isinstance(fields[name], str) or not form.fullmatch(fields[name]):
            raise NotAuthenticError(f"BAD_HEADER_{name.removeprefix('Oip-').upper()}")
    producer = fields[PRODUCER_HEADER]
    if not message.subject.startswith(f"oip.{producer}.v1."):
        raise NotAuthenticError("FOREIGN_SUBJECT")
    return Envelope(
        producer,
        fields[EPOCH_HEADER],
        int(fields[SEQ_HEADER]),
        message.subject,
        message.data,
        fields[KEY_HEADER],
        bytes.fromhex(fields[SIGNATURE_HEADER]),
    )


async def report_in_progress(waiting: list[Msg]) -> None:
    """Report to JetStream that the fetched messages are still in progress."""
    while True:
        await asyncio.sleep(ACK_WAIT_SECONDS / 3)
        for message in list(waiting):
            await send_acknowledgement(message.in_progress())


async def send_acknowledgement(answer: Awaitable[object]) -> None:
    """Send an acknowledgement; if it is lost, the event is redelivered."""
    try:
        await answer
    except (nats.errors.Error, TimeoutError) as error:
        log.info("not_acknowledged", error=type(error).__name__)


def _stream_config(producer: str, replicas: int) -> StreamConfig:
    return StreamConfig(
        name=stream_of(producer),
        subjects=[subjects_of(producer)],
        retention=RetentionPolicy.LIMITS,
        # The default policy would delete events that were not consumed yet.
        discard=DiscardPolicy.NEW,
        storage=StorageType.FILE,
        max_bytes=STREAM_BYTES_MAX,
        max_age=STREAM_AGE_SECONDS,
        duplicate_window=DUPLICATE_WINDOW_SECONDS,
        num_replicas=replicas,
        deny_delete=True,
        deny_purge=True,
    )


async def connect(
    settings: Settings, name: str, on_closed: Callable[[], None] | None = None
) -> Bus:
    """Connect; raises NotSyncedError for a server that may lose what it has acknowledged.

    The client reconnects without limit. If its connection is closed nevertheless, `on_closed` is
    called; by default the process ends, because a service that cannot
    consume must not look alive.
    """
    await check_sync(settings)
    bus: Bus | None = None

    async def closed() -> None:
        if bus is None or bus.closing:
            return
        log.error("bus_closed", service=name)
        (on_closed or _end_process)()

    async def failed(error: Exception) -> None:
        log.warning("bus_error", service=name, error=type(error).__name__)

    async def connected() -> None:
        log.info("bus_reconnected", service=name)

    credentials = settings.nats_credentials_file

    async def connect_client() -> Client:
        client = _Client()
        await client.connect(
            settings.nats_url.split(","),
            user_credentials=str(credentials) if credentials else None,
            name=f"oip_{name}",
            connect_timeout=CONNECT_SECONDS,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            ping_interval=PING_SECONDS,
            max_outstanding_pings=PINGS_OUTSTANDING_MAX,
            closed_cb=closed,
            error_cb=failed,
            reconnected_cb=connected,
        )
        return client

    client = await patiently(connect_client)
    bus = Bus(client, settings.nats_replicas)
    return bus


async def check_sync(settings: Settings) -> None:
    """Require `sync_interval: always` of every server by its monitoring; raises NotSyncedError."""
    for monitor in _monitors(settings):
        request = functools.partial(asyncio.to_thread, _jetstream_config, monitor)
        try:
            config = await patiently(request)
        except OSError as error:
            raise NotSyncedError(
                monitor, f"does not report how it syncs ({error}); set OIP_NATS_MONITOR_URL"
            ) from error
        if "sync_always" not in config:
            raise NotSyncedError(monitor, "does not sync every write to disk")


async def patiently(work: Callable[[], Awaitable[R]]) -> R:
    """Repeat a call for up to 45 seconds while JetStream does not answer, as after a restart."""
    loop = asyncio.get_running_loop()
    end = loop.time() + API_PATIENCE_SECONDS
    pause = 0.1
    while True:
        try:
            return await work()
        except (
            OSError,
            TimeoutError,
            nats.errors.NoServersError,
            nats.errors.NoRespondersError,
            nats.js.errors.ServiceUnavailableError,
        ):
            if loop.time() + pause > end:
                raise
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 2)


def _monitors(settings: Settings) -> list[str]:
    if settings.nats_monitor_url:
        return settings.nats_monitor_url.split(",")
    host = urlsplit(settings.nats_url.split(",", maxsplit=1)[0]).hostname
    return [f"http://{host}:{MONITOR_PORT}"]


def _jetstream_config(monitor: str) -> dict[str, object]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{monitor}/jsz?config=1", timeout=API_SECONDS) as answer:
        content = json.load(answer)
    if content.get("disabled"):
        raise NotSyncedError(monitor, "runs without JetStream")
    return {key: value for key, value in content.get("config", {}).items() if value}


def _end_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
