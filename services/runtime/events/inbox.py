"""The events a service has consumed: a row in the transaction of the effect makes each count once.

Every event of a consumed producer gets a row, even if the service has no handler for it. The rows
of a producer are therefore 1..n, and a missing event shows as a gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sqlalchemy import text

from services.runtime.events.envelope import FIRST_FINGERPRINT, Envelope, next_fingerprint
from services.runtime.storage.database import Transaction

# Events whose hashes are read at a time while the mark moves.
PAGE_COUNT = 1000


class Receipt(Enum):
    """How an event stands to what was consumed before."""

    FIRST = "first"
    REPEATED = "repeated"
    # Another event was consumed under this number.
    DIFFERENT = "different"


async def record(tx: Transaction, envelope: Envelope, now: datetime) -> Receipt:
    """Record an event; only a FIRST one may take effect, a DIFFERENT one is an alarm."""
    values = {
        "producer": envelope.producer,
        "epoch": envelope.epoch,
        "pub_seq": envelope.pub_seq,
        "subject": envelope.subject,
        "content_hash": envelope.content_hash,
        "consume_time": now,
    }
    inserted = await tx.execute(
        text(
            "insert into inbox (producer, epoch, pub_seq, subject, content_hash, consume_time)"
            " values (:producer, :epoch, :pub_seq, :subject, :content_hash, :consume_time)"
            " on conflict do nothing returning pub_seq"
        ),
        values,
    )
    if inserted.first() is not None:
        return Receipt.FIRST
    stored = await stored_hash(tx, envelope)
    return Receipt.REPEATED if stored == envelope.content_hash else Receipt.DIFFERENT


async def stored_hash(tx: Transaction, envelope: Envelope) -> bytes | None:
    """The content hash of the event consumed under the number of this one, if any."""
    row = (
        await tx.execute(
            text(
                "select content_hash from inbox"
                " where producer = :producer and epoch = :epoch and pub_seq = :pub_seq"
            ),
            {
                "producer": envelope.producer,
                "epoch": envelope.epoch,
                "pub_seq": envelope.pub_seq,
            },
        )
    ).first()
    return None if row is None else bytes(row.content_hash)


async def highest_seq(tx: Transaction, producer: str, epoch: str) -> int:
    """The highest number consumed of an epoch, 0 before the first."""
    result = await tx.execute(
        text("select max(pub_seq) from inbox where producer = :producer and epoch = :epoch"),
        {"producer": producer, "epoch": epoch},
    )
    return int(result.scalar_one() or 0)


@dataclass(frozen=True)
class Consumed:
    """The events consumed of one producer in one epoch; without a gap both numbers are equal."""

    producer: str
    epoch: str
    event_count: int
    max_seq: int


async def list_consumed(tx: Transaction) -> list[Consumed]:
    """The events this service has consumed, a row per producer and epoch."""
    rows = await tx.execute(
        text(
            "select producer, epoch, event_count, max_seq from ("
            " select producer, epoch, count(*) as event_count, max(pub_seq) as max_seq,"
            "  min(consume_time) as since from inbox group by producer, epoch) as consumed"
            " order by producer, since, epoch"
        )
    )
    return [Consumed(row.producer, row.epoch, row.event_count, row.max_seq) for row in rows]


@dataclass(frozen=True)
class Progress:
    """The number up to which a producer's sequence is complete, and the highest number consumed."""

    epoch: str
    whole_seq: int
    max_seq: int
    # Of the complete part; equal to the producer's for the same number.
    fingerprint: bytes = FIRST_FINGERPRINT

    @property
    def has_gap(self) -> bool:
        """Whether an event is missing below the highest number consumed."""
        return self.whole_seq < self.max_seq


async def progress(tx: Transaction, producer: str) -> list[Progress]:
    """How far each epoch of a producer is consumed, in the order of the first event of each.

    The number up to which nothing is missing is stored, so that the cost depends on new events.
    """
    epochs = await tx.execute(
        text(
            "with recursive known (epoch) as ("
            " (select min(epoch) from inbox where producer = :producer)"
            " union all"
            " select (select min(epoch) from inbox"
            "  where producer = :producer and inbox.epoch > known.epoch)"
            " from known where known.epoch is not null)"
            " select known.epoch, coalesce(whole_seq, 0) as whole_seq, fingerprint,"
            " (select consume_time from inbox"
            "  where producer = :producer and inbox.epoch = known.epoch"
            "  order by pub_seq limit 1) as since"
            " from known left join inbox_mark"
            "  on inbox_mark.producer = :producer and inbox_mark.epoch = known.epoch"
            " where known.epoch is not null order by since, known.epoch"
        ),
        {"producer": producer},
    )
    return [
        await _advance(
            tx, producer, row.epoch, row.whole_seq, bytes(row.fingerprint or FIRST_FINGERPRINT)
        )
        for row in epochs.all()
    ]


async def _advance(
    tx: Transaction, producer: str, epoch: str, whole_seq: int, fingerprint: bytes
) -> Progress:
    """Move the mark to the end of the complete part of the sequence, a page at a time.

    The fingerprint goes on from the mark, so that the cost depends on new events.
    """
    before = whole_seq
    while True:
        rows = (
            await tx.execute(
                text(
                    "select pub_seq, content_hash from inbox"
                    " where producer = :producer and epoch = :epoch and pub_seq > :after"
                    " order by pub_seq limit :limit"
                ),
                {"producer": producer, "epoch": epoch, "after": whole_seq, "limit": PAGE_COUNT},
            )
        ).all()
        for row in rows:
            if row.pub_seq != whole_seq + 1:
                break
            whole_seq += 1
            fingerprint = next_fingerprint(fingerprint, bytes(row.content_hash))
        if len(rows) < PAGE_COUNT or whole_seq != rows[-1].pub_seq:
            break
    if whole_seq > before:
        await _update_mark(tx, producer, epoch, whole_seq, fingerprint)
    highest = max(whole_seq, await highest_seq(tx, producer, epoch))
    return Progress(epoch, whole_seq, highest, fingerprint)


async def _update_mark(
    tx: Transaction, producer: str, epoch: str, whole_seq: int, fingerprint: bytes
) -> None:
    await tx.execute(
        text(
            "insert into inbox_mark (producer, epoch, whole_seq, fingerprint)"
            " values (:producer, :epoch, :whole, :fingerprint) on conflict (producer, epoch)"
            " do update set whole_seq = excluded.whole_seq, fingerprint = excluded.fingerprint"
            " where inbox_mark.whole_seq < excluded.whole_seq"
        ),
        {
            "producer": producer,
            "epoch": epoch,
            "whole": whole_seq,
            "fingerprint": fingerprint,
        },
    )
