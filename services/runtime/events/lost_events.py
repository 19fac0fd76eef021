"""Lost events: published before a restore, and not in the restored database.

A new epoch begins by taking them back into the table `lost_event`. A command that makes one of them
again gives it its old number and publishes nothing, because the consumers have it: it is redone.
While an event that blocks is not resolved, another event of its type and scope is refused, so that
a month that was instructed before the restore cannot be instructed a second time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import Row, text

from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.problems import Kind, Problem
from services.runtime.events.envelope import Envelope
from services.runtime.events.personal_fields import is_same
from services.runtime.storage import revisions
from services.runtime.storage.database import Transaction

HASH_DIGITS = 16
_COLUMNS = (
    "epoch, pub_seq, content_hash, subject, payload, fingerprint, key_id, signature, summary,"
    " blocks, scope_field, scope, resolve_time, resolution, reason"
)


class Resolution(IntEnum):
    """What became of a lost event; the numbers are those of the proto."""

    OPEN = 0
    REDONE = 1
    TAKEN_BACK = 2
    KEPT = 3


class LostEventsOpen(Problem):
    """A command would publish what a lost event may already have brought about."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "LOST_EVENTS_OPEN"
    message = (
        "{count} events {subject} were published before this database was restored and are not"
        " resolved, the first is {name}; repeat exactly what was done then, or resolve them with"
        " `oip restore resolve`."
    )
    message_zh = (
        "数据库恢复前已发布的 {count} 个 {subject} 事件尚未处置, 首个为 {name};"
        " 请按原内容重新办理, 或以 `oip restore resolve` 逐一处置。"
    )


class LostEventMustBeRedone(Problem):
    """A lost event that blocks cannot be kept without its rows."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "LOST_EVENT_MUST_BE_REDONE"
    message = (
        "{name} may have moved money, so it cannot be kept without its rows; run the command that"
        " made it again, or resolve it as TAKEN_BACK once every consumer has undone it."
    )
    message_zh = (
        "{name} 可能涉及资金, 不得仅予保留; 请重新办理产生该事件的业务,"
        " 或在各方均已撤销其影响后按“已撤销影响”处置。"
    )


@dataclass(frozen=True)
class LostEvent:
    """A lost event. `payload` is None if only its hash is known."""

    epoch: str
    pub_seq: int
    content_hash: bytes
    subject: str
    payload: bytes | None = None
    key_id: str = ""
    signature: bytes = b""
    holders: tuple[str, ...] = ()
    summary: str = ""
    blocks: bool = False
    # The field of the message that bounds what is refused, and its value; empty for all.
    scope_field: str = ""
    scope: str = ""
    fingerprint: bytes = field(default=b"", repr=False)
    resolve_time: datetime | None = None
    resolution: Resolution = Resolution.OPEN
    reason: str = ""

    @property
    def id(self) -> str:
        """`{epoch}-{pub_seq}-{start of the content hash}`."""
        return f"{self.epoch}-{self.pub_seq}-{self.content_hash.hex()[:HASH_DIGITS]}"

    @property
    def key(self) -> tuple[str, int, str]:
        """Its place in a list."""
        return self.epoch, self.pub_seq, self.content_hash.hex()

    def refuses(self, message: Message) -> bool:
        """Whether this event, while open, keeps the message from being published."""
        if not self.blocks or message.DESCRIPTOR.full_name != self.subject:
            return False
        return not self.scope_field or getattr(message, self.scope_field) == self.scope


async def insert(tx: Transaction, events: Iterable[LostEvent], now: datetime) -> None:
    """Store lost events."""
    rows = [
        {
            "epoch": event.epoch,
            "pub_seq": event.pub_seq,
            "content_hash": event.content_hash,
            "subject": event.subject,
            "payload": event.payload,
            "fingerprint": event.fingerprint,
            "key_id": event.key_id,
            "signature": event.signature,
            "summary": event.summary,
            "blocks": event.blocks,
            "scope_field": event.scope_field,
            "scope": event.scope,
            "now": now,
        }
        for event in events
    ]
    if rows:
        await tx.execute(
            text(
                "insert into lost_event (epoch, pub_seq, content_hash, subject, payload,"
                " fingerprint, key_id, signature, summary, blocks, scope_field, scope, create_time)"
                " values (:epoch, :pub_seq, :content_hash, :subject, :payload, :fingerprint,"
                " :key_id, :signature, :summary, :blocks, :scope_field, :scope, :now)"
                " on conflict do nothing"
            ),
            rows,
        )


async def redo(
    tx: Transaction, messages: Sequence[tuple[Message, Fen]], now: datetime, month: Month | None
) -> list[tuple[Message, Fen]]:
    """Give events that were lost their old numbers; returns the other events, with their money.

    Raises LostEventsOpen if a lost event that is still open afterwards refuses one of them.
    """
    if not await open_count(tx):
        return list(messages)
    waiting = await _lock_open(tx, {message.DESCRIPTOR.full_name for message, _ in messages})
    fresh = []
    for message, amount in messages:
        payload = message.SerializeToString(deterministic=True)
        subject = message.DESCRIPTOR.full_name
        content_hash = Envelope("", "", 0, subject, payload).content_hash
        same = next(
            (
                event
                for event in waiting
                if event.content_hash == content_hash
                or (event.subject == subject and is_same(message, event.payload))
            ),
            None,
        )
        if same is None:
            fresh.append((message, amount))
            continue
        waiting.remove(same)
        content = payload if same.payload is None else same.payload
        await _put_back(tx, replace(same, payload=content), month, amount, now)
        await resolve(tx, [same], Resolution.REDONE, "", now)
    for message, _ in fresh:
        refusing = [event for event in waiting if event.refuses(message)]
        if refusing:
            name = f"lostEvents/{refusing[0].id}"
            raise LostEventsOpen(count=len(refusing), subject=refusing[0].subject, name=name)
    return fresh


async def redo_waiting(tx: Transaction, now: datetime) -> None:
    """Give unnumbered rows of the outbox the numbers under which their events were published.

    The copy was made between their commit and their numbering; without this they would be
    published a second time.
    """
    await tx.execute(
        text(
            "with waiting as (select id, sha256(convert_to(subject, 'UTF8') || '\\x00' || payload)"
            "  as content_hash from outbox where pub_seq is null),"
            " paired as (select * from"
            "  (select id, content_hash, row_number() over"
            "   (partition by content_hash order by id) as place from waiting) as w join"
            "  (select epoch, pub_seq, fingerprint, key_id, signature, content_hash, row_number()"
            "   over (partition by content_hash order by pub_seq) as place from lost_event"
            "   where resolve_time is null) as l using (content_hash, place)),"
            " numbered as (update outbox set epoch = paired.epoch, pub_seq = paired.pub_seq,"
            "  fingerprint = paired.fingerprint, key_id = paired.key_id,"
            "  signature = paired.signature, send_time = :now"
            "  from paired where outbox.id = paired.id)"
            " update lost_event set resolve_time = :now, resolution = 1 from paired"
            " where lost_event.epoch = paired.epoch and lost_event.pub_seq = paired.pub_seq"
            "  and lost_event.content_hash = paired.content_hash"
        ),
        {"now": now},
    )


async def open_count(tx: Transaction) -> int:
    """Lost events that are not resolved."""
    result = await tx.execute(text("select count(*) from lost_event where resolve_time is null"))
    return int(result.scalar_one())


async def contested_count(tx: Transaction) -> int:
    """Numbers under which others hold a lost event and this database has another one."""
    result = await tx.execute(
        text(
            "select count(*) from lost_event join outbox using (epoch, pub_seq)"
            " where content_hash <>"
            "  sha256(convert_to(outbox.subject, 'UTF8') || '\\x00' || outbox.payload)"
        )
    )
    return int(result.scalar_one())


async def list_lost_events(
    tx: Transaction, *, size: int, after: tuple[Any, ...] = (), include_resolved: bool = False
) -> list[LostEvent]:
    """A page of lost events, by epoch and number."""
    where = ["true" if include_resolved else "resolve_time is null"]
    if after:
        where.append(
            "(epoch, pub_seq, encode(content_hash, 'hex')) > (:epoch, :pub_seq, :content_hash)"
        )
    rows = await tx.execute(
        text(
            f"select {_COLUMNS} from lost_event where {' and '.join(where)}"  # noqa: S608 - constants
            " order by epoch, pub_seq, encode(content_hash, 'hex') limit :size"
        ),
        {**dict(zip(("epoch", "pub_seq", "content_hash"), after, strict=False)), "size": size},
    )
    return [_lost_event(row) for row in rows]


async def find(tx: Transaction, epoch: str, pub_seq: int, start: str) -> LostEvent | None:
    """A lost event by number and start of its hash, locked."""
    row = (
        await tx.execute(
            text(
                f"select {_COLUMNS} from lost_event"  # noqa: S608 - constants
                " where epoch = :epoch and pub_seq = :pub_seq"
                " and starts_with(encode(content_hash, 'hex'), :start) for update"
            ),
            {"epoch": epoch, "pub_seq": pub_seq, "start": start},
        )
    ).first()
    if row is None:
        return None
    event = _lost_event(row)
    revisions.note(f"lostEvents/{event.id}", event.resolution)
    return event


async def resolve(
    tx: Transaction,
    events: Iterable[LostEvent],
    resolution: Resolution,
    reason: str,
    now: datetime,
) -> None:
    """Mark lost events as resolved."""
    for event in events:
        await tx.execute(
            text(
                "update lost_event set resolve_time = :now, resolution = :resolution,"
                " reason = :reason where epoch = :epoch and pub_seq = :pub_seq"
                " and content_hash = :content_hash and resolve_time is null"
            ),
            {
                "now": now,
                "resolution": resolution.value,
                "reason": reason,
                "epoch": event.epoch,
                "pub_seq": event.pub_seq,
                "content_hash": event.content_hash,
            },
        )


async def _lock_open(tx: Transaction, subjects: set[str]) -> list[LostEvent]:
    rows = await tx.execute(
        text(
            f"select {_COLUMNS} from lost_event"  # noqa: S608 - constants
            " where resolve_time is null and subject = any(:subjects)"
            " order by epoch, pub_seq for update"
        ),
        {"subjects": sorted(subjects)},
    )
    return [_lost_event(row) for row in rows]


async def _put_back(
    tx: Transaction, event: LostEvent, month: Month | None, amount: Fen, now: datetime
) -> None:
    """Store an event in the outbox under its old number, as sent, with its month and its money.

    A number that the database has assigned to another event meanwhile stays with that one.
    """
    await tx.execute(
        text(
            "insert into outbox (subject, payload, create_time, epoch, pub_seq, fingerprint,"
            " key_id, signature, send_time, month, amount_fen) values (:subject, :payload, :now,"
            " :epoch, :pub_seq, :fingerprint, :key_id, :signature, :now, :month, :amount_fen)"
            " on conflict do nothing"
        ),
        {
            "subject": event.subject,
            "payload": event.payload,
            "now": now,
            "month": None if month is None else month.first_day,
            "amount_fen": amount.count,
            "epoch": event.epoch,
            "pub_seq": event.pub_seq,
            "fingerprint": event.fingerprint,
            "key_id": event.key_id,
            "signature": event.signature,
        },
    )


def digest_of(lines: Iterable[str]) -> bytes:
    """SHA-256 over lines."""
    return hashlib.sha256("\n".join(lines).encode()).digest()


def _lost_event(row: Row[Any]) -> LostEvent:
    return LostEvent(
        epoch=row.epoch,
        pub_seq=row.pub_seq,
        content_hash=bytes(row.content_hash),
        subject=row.subject,
        payload=None if row.payload is None else bytes(row.payload),
        key_id=row.key_id,
        signature=bytes(row.signature),
        summary=row.summary,
        blocks=row.blocks,
        scope_field=row.scope_field,
        scope=row.scope,
        fingerprint=bytes(row.fingerprint),
        resolve_time=row.resolve_time,
        resolution=Resolution(row.resolution),
        reason=row.reason,
    )
