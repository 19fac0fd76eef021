"""The connection to NATS JetStream, which transports events; the outbox is their record.

JetStream may lose, duplicate or reorder events; the inbox and `Replay` correct that. It should
still have what it acknowledged after a power cut, hence the check of `sync_interval: always`.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from services.runtime.base.nats_keys import NatsKey, NatsKeyError, load_key, load_or_make_key
from services.runtime.base.nats_users import MIGRATION, inbox_prefix
from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.settings import Environment, Settings
from services.runtime.events import streams
from services.runtime.events.envelope import Envelope, stream_of
from services.runtime.events.event_keys import NotAuthenticError
from services.runtime.events.patience import patiently
from services.runtime.events.streams import ACK_WAIT_SECONDS, NotMigratedError, StreamUsage
from services.runtime.events.sync_check import check_sync

AUTHORIZATION_VIOLATION = "authorization violation"

# A half-open connection is detected within ping interval x (outstanding + 1) = 15 s.
PING_SECONDS = 5
PINGS_OUTSTANDING_MAX = 2
CONNECT_SECONDS = 5
PUBLISH_SECONDS = 2
BACKLOG_SECONDS = 1.0
API_SECONDS = 5
ACK_SECONDS = 2

# The server's number of the refusal "maximum bytes exceeded".
STREAM_FULL = 10077

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


class NatsAuthorityError(StartRefusedError):
    """The file of the servers' authority is missing or unusable."""


class StreamFullError(RuntimeError):
    """A stream refuses events until older ones expire, or until a migration enlarges it."""

    def __init__(self, stream: str) -> None:
        super().__init__(
            f"the NATS stream {stream} is full: its events wait in the outbox and are published "
            "when older ones expire; compare `oip delivery`"
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

    @property
    def is_asked_who(self) -> bool:
        """Whether the server has asked for the key."""
        return bool(self._server_info.get("auth_required"))

    def use_key(self, key: NatsKey) -> None:
        """Answer the nonce of a server with this key; the library needs a package for it."""
        self._key = key

    def _setup_nkeys_connect(self) -> None:
        self._public_nkey = self._key.public
        self._signature_cb = self._key.sign


class Bus:
    """One connection to NATS, shared by the relay and the listeners of a service."""

    def __init__(self, client: Client, replicas: int) -> None:
        self.client = client
        self.js: JetStreamContext = client.jetstream(timeout=API_SECONDS)
        self.replicas = replicas
        self.closing = False
        # How often the connection was lost and opened again: what was on its way may be lost.
        self.reconnect_count = 0

    @property
    def knows_its_users(self) -> bool:
        """Whether the server asks who connects; one that does not lets anybody publish."""
        return isinstance(self.client, _Client) and self.client.is_asked_who

    async def migrate(self, producers: Mapping[str, Sequence[str]]) -> None:
        """Create and correct streams and consumers, as the user of the migration; idempotent."""
        await patiently(lambda: streams.migrate(self, producers))

    async def wait_until_migrated(self, service: str, producers: Iterable[str]) -> None:
        """Wait for a service's stream and consumers; raises NotMigratedError after 45 seconds."""

        async def check() -> None:
            await streams.require_stream(self, service)
            for producer in producers:
                await streams.require_consumer(self, producer, service)

        await patiently(check)

    async def require_consumer(self, producer: str, listener: str) -> None:
        """Raise NotMigratedError unless the consumer of a listener is as expected."""
        await streams.require_consumer(self, producer, listener)

    async def publish(self, envelope: Envelope) -> None:
        """Publish and wait until it is stored. After a timeout the outcome is unknown.

        Raises NotMigratedError and StreamFullError; the relay publishes again after a pause.
        """
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
            stream = f"NATS stream {stream_of(envelope.producer)}"
            missing = NotMigratedError(stream, "is missing")
            log.warning("not_migrated", text=str(missing))
            raise missing from None
        except nats.js.errors.APIError as error:
            if error.err_code != STREAM_FULL:
                raise
            full = StreamFullError(stream_of(envelope.producer))
            log.error("stream_full", text=str(full))  # noqa: TRY400 - the trace says no more
            raise full from None

    async def usage(self, producer: str) -> StreamUsage:
        """How full a producer's stream is."""
        info = await self.js.stream_info(stream_of(producer))
        return StreamUsage(info.state.bytes, info.config.max_bytes or 0)

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


async def acknowledge(messages: Sequence[Msg]) -> None:
    """Acknowledge messages; JetStream takes them in order, so only the last one is awaited."""
    for message in messages[:-1]:
        await send_acknowledgement(message.ack())
    await send_acknowledgement(messages[-1].ack_sync(timeout=ACK_SECONDS))


async def send_acknowledgement(answer: Awaitable[object]) -> None:
    """Send an acknowledgement; if it is lost, the event is redelivered."""
    try:
        await answer
    except (nats.errors.Error, TimeoutError) as error:
        log.info("not_acknowledged", error=type(error).__name__)


async def connect(
    settings: Settings, user: str, on_closed: Callable[[], None] | None = None
) -> Bus:
    """Connect as a user of NATS (base/nats_users.py): a service, or the migration.

    Raises NatsKeyError without a key that the server accepts, NotSyncedError for a server that may
    lose what it has acknowledged. The client reconnects without limit. If its connection is closed
    nevertheless, `on_closed` is called; by default the process ends, because a service that cannot
    consume must not look alive.
    """
    path = settings.nats_key_path(user)
    is_dev = settings.environment is Environment.DEV
    key = load_or_make_key(path) if is_dev else load_key(path)
    tls = _transport_security(settings)
    await check_sync(settings)
    bus: Bus | None = None

    async def closed() -> None:
        if bus is None or bus.closing:
            return
        log.error("bus_closed", user=user)
        (on_closed or _end_process)()

    async def failed(error: Exception) -> None:
        if AUTHORIZATION_VIOLATION in str(error).lower():
            log.error("nats_key_refused", user=user, key=key.public)
            if bus is None:
                raise NatsKeyError(
                    f"the NATS server refuses the key {key.public} of {user}; add it to the "
                    "server's users, as deploy/README.md describes"
                ) from error
        # A refused subject stands in the text, and no content.
        log.warning("bus_error", user=user, error=type(error).__name__, text=str(error))

    async def connected() -> None:
        log.info("bus_reconnected", user=user)
        if bus is not None:
            bus.reconnect_count += 1

    async def connect_client() -> Client:
        client = _Client()
        client.use_key(key)
        try:
            await client.connect(
                settings.nats_url.split(","),
                nkeys_seed_str=key.public,
                inbox_prefix=inbox_prefix(user),
                tls=tls,
                name=f"oip_{user}",
                connect_timeout=CONNECT_SECONDS,
                max_reconnect_attempts=-1,
                reconnect_time_wait=1,
                ping_interval=PING_SECONDS,
                max_outstanding_pings=PINGS_OUTSTANDING_MAX,
                closed_cb=closed,
                error_cb=failed,
                reconnected_cb=connected,
            )
        except NatsKeyError:
            await client.close()
            raise
        return client

    client = await patiently(connect_client)
    bus = Bus(client, settings.nats_replicas)
    return bus


def _transport_security(settings: Settings) -> ssl.SSLContext | None:
    """The trusted authority of the servers; None for those of the system."""
    path = settings.nats_authority_file
    if path is None:
        return None
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise NatsAuthorityError(
            f"the authority of the NATS servers cannot be read at {path}; set"
            " OIP_NATS_AUTHORITY_FILE to a PEM file with their certificate"
        ) from error


async def migrate_streams(settings: Settings, producers: Mapping[str, Sequence[str]]) -> None:
    """Create and correct all streams and consumers; `producers` are those each service consumes."""
    bus = await connect(settings, MIGRATION, on_closed=lambda: None)
    try:
        await bus.migrate(producers)
    finally:
        await bus.close()


def _end_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
