"""Alarms: a producer's number that came with two contents. One of them is not the true one.

While an alarm is open, nothing more of its producer is applied: money must not follow from a
sequence that cannot be believed. A person resolves it with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from services.runtime.events.envelope import Envelope
from services.runtime.storage import revisions
from services.runtime.storage.database import Transaction

_COLUMNS = (
    "producer, epoch, pub_seq, subject, stored_hash, received_hash, create_time,"
    " resolve_time, resolution"
)


class ProducerAlarmedError(RuntimeError):
    """An open alarm stops the events of a producer."""

    def __init__(self, producer: str) -> None:
        self.producer = producer
        super().__init__(f"an open alarm stops the events of {producer}")


@dataclass(frozen=True)
class EventAlarm:
    """One number with two contents, by their hashes."""

    producer: str
    epoch: str
    pub_seq: int
    subject: str
    stored_hash: bytes
    received_hash: bytes
    create_time: datetime
    resolve_time: datetime | None
    resolution: str

    @property
    def id(self) -> str:
        """`{producer}-{epoch}-{pub_seq}-{start of the received hash}`."""
        return f"{self.producer}-{self.epoch}-{self.pub_seq}-{self.received_hash.hex()[:16]}"

    @property
    def key(self) -> tuple[object, ...]:
        """Its place in a list, oldest first."""
        number = self.producer, self.epoch, self.pub_seq
        return self.create_time, *number, self.received_hash.hex()


async def insert(tx: Transaction, envelope: Envelope, stored_hash: bytes, now: datetime) -> None:
    """Raise an alarm; the same one twice is one."""
    await tx.execute(
        text(
            "insert into event_alarm (producer, epoch, pub_seq, subject, stored_hash,"
            " received_hash, create_time) values (:producer, :epoch, :pub_seq, :subject,"
            " :stored_hash, :received_hash, :now) on conflict do nothing"
        ),
        {
            "producer": envelope.producer,
            "epoch": envelope.epoch,
            "pub_seq": envelope.pub_seq,
            "subject": envelope.subject,
            "stored_hash": stored_hash,
            "received_hash": envelope.content_hash,
            "now": now,
        },
    )


async def open_count(tx: Transaction, producer: str = "") -> int:
    """Open alarms, of all producers or of one."""
    result = await tx.execute(
        text(
            "select count(*) from event_alarm"
            " where resolve_time is null and (:producer = '' or producer = :producer)"
        ),
        {"producer": producer},
    )
    return int(result.scalar_one())


async def list_alarms(
    tx: Transaction, *, size: int, after: tuple[Any, ...] = (), include_resolved: bool = False
) -> list[EventAlarm]:
    """A page of alarms, oldest first."""
    where = ["true" if include_resolved else "resolve_time is null"]
    names = ("create_time", "producer", "epoch", "pub_seq", "received")
    if after:
        where.append(
            "(create_time, producer, epoch, pub_seq, encode(received_hash, 'hex'))"
            " > (:create_time, :producer, :epoch, :pub_seq, :received)"
        )
    rows = await tx.execute(
        text(
            f"select {_COLUMNS} from event_alarm where {' and '.join(where)}"  # noqa: S608 - constants
            " order by create_time, producer, epoch, pub_seq, encode(received_hash, 'hex')"
            " limit :size"
        ),
        {**dict(zip(names, after, strict=False)), "size": size},
    )
    return [_alarm(row) for row in rows]


async def find(
    tx: Transaction, producer: str, epoch: str, pub_seq: int, received: str
) -> EventAlarm | None:
    """An alarm by number and start of the received hash, locked."""
    row = (
        await tx.execute(
            text(
                f"select {_COLUMNS} from event_alarm"  # noqa: S608 - constants
                " where producer = :producer and epoch = :epoch and pub_seq = :pub_seq"
                " and starts_with(encode(received_hash, 'hex'), :received) for update"
            ),
            {"producer": producer, "epoch": epoch, "pub_seq": pub_seq, "received": received},
        )
    ).first()
    if row is None:
        return None
    alarm = _alarm(row)
    revisions.note(f"eventAlarms/{alarm.id}", alarm.resolve_time)
    return alarm


async def resolve(tx: Transaction, alarm: EventAlarm, resolution: str, now: datetime) -> None:
    """Mark an alarm as resolved."""
    await tx.execute(
        text(
            "update event_alarm set resolve_time = :now, resolution = :resolution"
            " where producer = :producer and epoch = :epoch and pub_seq = :pub_seq"
            " and received_hash = :received_hash"
        ),
        {
            "now": now,
            "resolution": resolution,
            "producer": alarm.producer,
            "epoch": alarm.epoch,
            "pub_seq": alarm.pub_seq,
            "received_hash": alarm.received_hash,
        },
    )


def _alarm(row: Row[Any]) -> EventAlarm:
    return EventAlarm(
        row.producer,
        row.epoch,
        row.pub_seq,
        row.subject,
        bytes(row.stored_hash),
        bytes(row.received_hash),
        row.create_time,
        row.resolve_time,
        row.resolution,
    )
