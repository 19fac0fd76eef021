"""The events a service publishes, written in the transaction of the change they report.

`add` writes a row. The relay numbers rows (`pub_seq`: dense, from 1, in commit order), publishes
them and marks them as sent. A number is committed before its event is published, so that after a
crash the same event is published under the same number.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from google.protobuf.message import Message
from sqlalchemy import Row, text

from services.kernel.money import ZERO, Fen
from services.kernel.periods import Month
from services.runtime.base.clock import Clock
from services.runtime.base.failpoints import failpoint
from services.runtime.events import lost_events
from services.runtime.events.envelope import Envelope, next_fingerprint
from services.runtime.events.event_keys import EventSigner
from services.runtime.events.personal_fields import require_sealed
from services.runtime.storage.database import Database, Transaction

# Below the server's limit for a message (1 MiB), with room for headers.
PAYLOAD_BYTES_MAX = 1_000_000
BATCH_COUNT = 200
# Published before the first of them is acknowledged: JetStream stores them in this order.
IN_FLIGHT_COUNT = 32
# An asyncio event wakes the relay for changes of this process; it polls for those of others.
POLL_SECONDS = 0.1
IDLE_POLL_SECONDS = 0.5
IDLE_AFTER_SECONDS = 3.0
# Half of the idle limit of a session, so that the relay does not lose its lock while publishing.
ROUND_SECONDS = 7
PAUSE_SECONDS_MAX = 5

Publish = Callable[[Envelope], Awaitable[None]]

log = structlog.get_logger(part="relay")


async def add(
    tx: Transaction,
    message: Message,
    now: datetime,
    *,
    month: Month | None = None,
    amount: Fen = ZERO,
) -> None:
    """Write an event; its subject is the full name of its message.

    `month` is the month it belongs to (`ended_months.accounting_month`), `amount` the money it
    reports. Without `month` it belongs to that of `now`, or to the first that has not ended.
    """
    await add_all(tx, [(message, amount)], now, month=month)


async def add_all(
    tx: Transaction,
    messages: Sequence[tuple[Message, Fen]],
    now: datetime,
    *,
    month: Month | None = None,
) -> None:
    """Write the events of one change, in order, each with the money it reports.

    An event that was lost in a restore gets its old number back and is not published again. Raises
    LostEventsOpen while another lost event refuses one of them, and InTheClearError.
    """
    rows = []
    for message, amount in await lost_events.redo(tx, messages, now, month):
        require_sealed(message)
        payload = message.SerializeToString(deterministic=True)
        if len(payload) > PAYLOAD_BYTES_MAX:
            raise ValueError(
                f"{message.DESCRIPTOR.full_name} has {len(payload)} bytes; "
                f"an event has at most {PAYLOAD_BYTES_MAX}, split it"
            )
        rows.append(
            {
                "subject": message.DESCRIPTOR.full_name,
                "payload": payload,
                "create_time": now,
                "month": None if month is None else month.first_day,
                "amount_fen": amount.count,
            }
        )
    if rows:
        await tx.execute(
            text(
                "insert into outbox (subject, payload, create_time, month, amount_fen)"
                " values (:subject, :payload, :create_time, :month, :amount_fen)"
            ),
            rows,
        )


@dataclass(frozen=True)
class Published:
    """How far a service has published in an epoch: events written, the highest number assigned."""

    epoch: str
    written_count: int
    published_seq: int
    unsent_count: int
    fingerprint: bytes


async def published(tx: Transaction) -> Published:
    """How far this service has published, in its current epoch."""
    row = (
        await tx.execute(
            text(
                "select epoch, next_seq - 1 as published_seq, fingerprint,"
                " next_seq - 1 + waiting as written_count, waiting + unsent as unsent_count"
                " from (select * from outbox_counter order by position desc limit 1) as counter,"
                " (select count(*) as waiting from outbox where pub_seq is null) as waiting,"
                " (select count(*) as unsent from outbox"
                "  where pub_seq is not null and send_time is null) as unsent"
            )
        )
    ).one()
    return Published(
        epoch=row.epoch,
        written_count=row.written_count,
        published_seq=row.published_seq,
        unsent_count=row.unsent_count,
        fingerprint=bytes(row.fingerprint),
    )


async def read_from(
    tx: Transaction, producer: str, epoch: str, from_seq: int, limit: int = 500
) -> list[Envelope]:
    """Numbered events from a number on, in order, at most `limit`; Replay reads page by page.

    An empty `epoch` means the current one; an unknown `epoch` means the first. The next epoch
    follows the end of each. Lost events are among them, void if they take no effect.
    """
    envelopes: list[Envelope] = []
    for known_epoch, start in await _epochs_from(tx, epoch, from_seq):
        rows = await tx.execute(
            text(
                "select epoch, pub_seq, subject, payload, key_id, signature, null as void_hash"
                " from outbox where epoch = :epoch and pub_seq >= :start"
                # What was lost is sent with its effect (open 0, kept 3) or only as a number.
                " union all select epoch, pub_seq, subject,"
                "  case when resolution in (0, 3) then coalesce(payload, '') else '' end,"
                "  key_id, signature,"
                "  case when payload is null or resolution not in (0, 3) then content_hash end"
                " from lost_event where epoch = :epoch and pub_seq >= :start"
                "  and (payload is not null or resolution <> 0) and not exists (select"
                "   from outbox where outbox.epoch = lost_event.epoch"
                "   and outbox.pub_seq = lost_event.pub_seq)"
                " order by pub_seq limit :limit"
            ),
            {"epoch": known_epoch, "start": start, "limit": limit - len(envelopes)},
        )
        envelopes += [_envelope(producer, row) for row in rows]
        if len(envelopes) >= limit:
            break
    return envelopes


async def fingerprint_at(tx: Transaction, epoch: str, pub_seq: int) -> bytes | None:
    """The fingerprint of an epoch up to a number, also of a lost event; None if it is unknown."""
    row = (
        await tx.execute(
            text(
                "select fingerprint from outbox where epoch = :epoch and pub_seq = :pub_seq"
                " union all (select fingerprint from lost_event"
                "  where epoch = :epoch and pub_seq = :pub_seq order by content_hash) limit 1"
            ),
            {"epoch": epoch, "pub_seq": pub_seq},
        )
    ).first()
    return None if row is None else bytes(row.fingerprint)


class Relay:
    """Publishes a service's outbox; of several replicas, one at a time."""

    def __init__(
        self,
        database: Database,
        publish: Publish,
        signer: EventSigner,
        clock: Clock,
        wake: asyncio.Event,
    ) -> None:
        self._database = database
        self._signer = signer
        self._publish = publish
        self._clock = clock
        self._wake = wake

    async def run(self) -> None:
        """Publish events until cancelled. Failures are logged and retried."""
        loop = asyncio.get_running_loop()
        pause, busy_at = 0.0, loop.time()
        while True:
            self._wake.clear()
            try:
                while await self.once():
                    busy_at = loop.time()
                pause = 0.0
            except Exception as error:  # noqa: BLE001 - after any error the events still have to be published
                pause = min(PAUSE_SECONDS_MAX, pause * 2 or 0.5)
                log.warning(
                    "relay_failed",
                    service=self._database.service,
                    error=type(error).__name__,
                    pause=pause,
                )
                await asyncio.sleep(pause)
                continue
            is_idle = loop.time() - busy_at > IDLE_AFTER_SECONDS
            # Not wait_for, which may swallow a cancellation on Python 3.11.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_POLL_SECONDS if is_idle else POLL_SECONDS):
                    await self._wake.wait()

    async def once(self) -> int:
        """Publish one batch; returns how many events, 0 also if another relay has the lock."""
        async with self._database.begin() as tx:
            if not await _has_unsent(tx):
                return 0
        async with self._database.begin() as lock:
            if not await _is_only_relay(lock, self._database.service):
                return 0
            async with self._database.begin() as tx:
                await _number(tx, self._database.service, self._signer)
                batch = await _unsent(tx, self._database.service)
            await failpoint("relay.after_number")
            return await self._send(batch)

    async def _send(self, batch: Sequence[Envelope]) -> int:
        """Publish a batch in order, some events at a time; mark those that JetStream has stored."""
        loop = asyncio.get_running_loop()
        end = loop.time() + ROUND_SECONDS
        sent: list[Envelope] = []
        try:
            for start in range(0, len(batch), IN_FLIGHT_COUNT):
                await self._publish_all(batch[start : start + IN_FLIGHT_COUNT], sent)
                if loop.time() > end:
                    break
            await failpoint("relay.after_publish")
        finally:
            if sent:
                async with self._database.begin() as tx:
                    await _mark_sent(tx, sent, self._clock.now())
        await failpoint("relay.after_mark")
        return len(sent)

    async def _publish_all(self, events: Sequence[Envelope], sent: list[Envelope]) -> None:
        """Publish events at once; adds the stored ones to `sent`, then raises the first failure."""
        outcomes = await asyncio.gather(
            *(self._publish(envelope) for envelope in events), return_exceptions=True
        )
        failures = [outcome for outcome in outcomes if outcome is not None]
        sent += [
            envelope for envelope, outcome in zip(events, outcomes, strict=True) if outcome is None
        ]
        if failures:
            raise failures[0]


async def _has_unsent(tx: Transaction) -> bool:
    result = await tx.execute(
        text(
            "select exists (select from outbox where pub_seq is null) or exists"
            " (select from outbox where pub_seq is not null and send_time is null)"
        )
    )
    return bool(result.scalar_one())


async def _is_only_relay(tx: Transaction, service: str) -> bool:
    result = await tx.execute(
        text("select pg_try_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"oip relay {service}"},
    )
    return bool(result.scalar_one())


async def _number(tx: Transaction, service: str, signer: EventSigner) -> None:
    """Number and sign new events, in the order in which they became visible."""
    counter = (
        await tx.execute(
            text(
                "select epoch, next_seq, fingerprint from outbox_counter"
                " order by position desc limit 1 for update"
            )
        )
    ).one()
    waiting = (
        await tx.execute(
            text(
                "select id, subject, payload from outbox where pub_seq is null"
                " order by id limit :limit - ("
                "  select count(*) from outbox where pub_seq is not null and send_time is null)"
            ),
            {"limit": BATCH_COUNT},
        )
    ).all()
    if not waiting:
        return
    seq, fingerprint = counter.next_seq, bytes(counter.fingerprint)
    rows = []
    for row in waiting:
        envelope = signer.sign(Envelope(service, counter.epoch, seq, row.subject, row.payload))
        fingerprint = next_fingerprint(fingerprint, envelope.content_hash)
        rows.append((row.id, seq, fingerprint, envelope.signature))
        seq += 1
    ids, seqs, fingerprints, signatures = zip(*rows, strict=True)
    await tx.execute(
        text(
            "update outbox set epoch = :epoch, key_id = :key_id, pub_seq = fresh.pub_seq,"
            " fingerprint = fresh.fingerprint, signature = fresh.signature"
            " from unnest(cast(:ids as bigint[]), cast(:seqs as bigint[]),"
            "  cast(:fingerprints as bytea[]), cast(:signatures as bytea[]))"
            "  as fresh (id, pub_seq, fingerprint, signature)"
            " where outbox.id = fresh.id"
        ),
        {
            "epoch": counter.epoch,
            "key_id": signer.key_id,
            "ids": list(ids),
            "seqs": list(seqs),
            "fingerprints": list(fingerprints),
            "signatures": list(signatures),
        },
    )
    await tx.execute(
        text(
            "update outbox_counter set next_seq = :next_seq, fingerprint = :fingerprint"
            " where epoch = :epoch"
        ),
        {"next_seq": seq, "fingerprint": fingerprint, "epoch": counter.epoch},
    )


async def _unsent(tx: Transaction, service: str) -> list[Envelope]:
    """The numbered events that are not sent yet, in order."""
    rows = await tx.execute(
        text(
            "select outbox.epoch, pub_seq, subject, payload, key_id, signature, null as void_hash"
            " from outbox join outbox_counter using (epoch)"
            " where pub_seq is not null and send_time is null"
            " order by position, pub_seq limit :limit"
        ),
        {"limit": BATCH_COUNT},
    )
    return [_envelope(service, row) for row in rows]


def _envelope(producer: str, row: Row[Any]) -> Envelope:
    return Envelope(
        producer,
        row.epoch,
        row.pub_seq,
        row.subject,
        bytes(row.payload),
        row.key_id,
        bytes(row.signature),
        bytes(row.void_hash or b""),
    )


async def _mark_sent(tx: Transaction, sent: Sequence[Envelope], now: datetime) -> None:
    await tx.execute(
        text(
            "update outbox set send_time = :now"
            " from unnest(cast(:epochs as text[]), cast(:seqs as bigint[])) as sent (epoch, seq)"
            " where outbox.epoch = sent.epoch and outbox.pub_seq = sent.seq"
        ),
        {
            "now": now,
            "epochs": [envelope.epoch for envelope in sent],
            "seqs": [envelope.pub_seq for envelope in sent],
        },
    )


async def _epochs_from(tx: Transaction, epoch: str, from_seq: int) -> list[tuple[str, int]]:
    rows = await tx.execute(text("select epoch from outbox_counter order by position"))
    known = [row.epoch for row in rows]
    if not epoch:
        return [(known[-1], from_seq)]
    if epoch not in known:
        return [(each, 1) for each in known]
    first = known.index(epoch)
    return [(epoch, from_seq), *((later, 1) for later in known[first + 1 :])]
