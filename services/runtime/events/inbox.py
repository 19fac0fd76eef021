"""The events a service has consumed: a row in the transaction of the effect makes each count once.

Every event of a consumed producer gets a row, even if the service has no handler for it. The rows
of a producer are therefore 1..n, and a missing event shows as a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sqlalchemy import text

from services.runtime.events.envelope import FIRST_FINGERPRINT, Envelope, Number, next_fingerprint
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
    """Record one event; see `record_all`."""
    (receipt,) = await record_all(tx, [envelope], now)
    return receipt


async def record_all(tx: Transaction, batch: Sequence[Envelope], now: datetime) -> list[Receipt]:
    """Record events; only a FIRST one may take effect, a DIFFERENT one is an alarm.

    Rows are inserted in the order of the numbers, so that two transactions with the same events
    wait for each other instead of deadlocking.
    """
    inserted = await tx.execute(
        text(
            "insert into inbox (producer, epoch, pub_seq, subject, content_hash, consume_time)"
            " select producer, epoch, pub_seq, subject, content_hash, :now"
            " from unnest(cast(:producers as text[]), cast(:epochs as text[]),"
            "  cast(:seqs as bigint[]), cast(:subjects as text[]), cast(:hashes as bytea[]))"
            "  with ordinality as event (producer, epoch, pub_seq, subject, content_hash, position)"
            " order by producer, epoch, pub_seq, position"
            " on conflict do nothing returning producer, epoch, pub_seq"
        ),
        {
            **_numbers(batch),
            "subjects": [envelope.subject for envelope in batch],
            "hashes": [envelope.content_hash for envelope in batch],
            "now": now,
        },
    )
    first = {(row.producer, row.epoch, row.pub_seq) for row in inserted}
    stored: dict[Number, bytes] = {}
    if len(first) < len(batch):
        stored = await _stored_hashes(tx, batch)
    receipts = []
    for envelope in batch:
        if envelope.number in first:
            first.remove(envelope.number)
            receipts.append(Receipt.FIRST)
        elif stored[envelope.number] == envelope.content_hash:
            receipts.append(Receipt.REPEATED)
        else:
            receipts.append(Receipt.DIFFERENT)
    return receipts


async def stored_hash(tx: Transaction, envelope: Envelope) -> bytes | None:
    """The content hash of the event consumed under the number of this one, if any."""
    return (await _stored_hashes(tx, [envelope])).get(envelope.number)


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
class ConsumedEvent:
    """One consumed event, by number, message and hash."""

    pub_seq: int
    subject: str
    content_hash: bytes


async def list_events(
    tx: Transaction, producer: str, epoch: str, from_seq: int, size: int
) -> list[ConsumedEvent]:
    """The events consumed of an epoch from a number on, in order."""
    rows = await tx.execute(
        text(
            "select pub_seq, subject, content_hash from inbox"
            " where producer = :producer and epoch = :epoch and pub_seq >= :from_seq"
            " order by pub_seq limit :size"
        ),
        {"producer": producer, "epoch": epoch, "from_seq": from_seq, "size": size},
    )
    return [ConsumedEvent(row.pub_seq, row.subject, bytes(row.content_hash)) for row in rows]


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


async def list_producers(tx: Transaction) -> list[str]:
    """The producers of which the complete part of a sequence is known."""
    rows = await tx.execute(text("select distinct producer from inbox_mark order by producer"))
    return [row.producer for row in rows]


async def count_consumed(tx: Transaction, producer: str, mark: Progress) -> int:
    """The events consumed of an epoch; without a gap it counts no rows."""
    if not mark.has_gap:
        return mark.whole_seq
    result = await tx.execute(
        text(
            "select count(*) from inbox"
            " where producer = :producer and epoch = :epoch and pub_seq > :whole_seq"
        ),
        {"producer": producer, "epoch": mark.epoch, "whole_seq": mark.whole_seq},
    )
    return mark.whole_seq + int(result.scalar_one())


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


async def fingerprint_at(
    tx: Transaction,
    producer: str,
    epoch: str,
    pub_seq: int,
    *,
    after: int = 0,
    start: bytes = FIRST_FINGERPRINT,
) -> bytes | None:
    """The fingerprint of a producer's events up to a number; None while one is missing.

    `start` is the known fingerprint of the events up to `after`.
    """
    fingerprint = start
    while after < pub_seq:
        rows = (
            await tx.execute(
                text(
                    "select pub_seq, content_hash from inbox where producer = :producer"
                    " and epoch = :epoch and pub_seq > :after and pub_seq <= :last"
                    " order by pub_seq limit :limit"
                ),
                {
                    "producer": producer,
                    "epoch": epoch,
                    "after": after,
                    "last": pub_seq,
                    "limit": PAGE_COUNT,
                },
            )
        ).all()
        for row in rows:
            if row.pub_seq != after + 1:
                return None
            after = row.pub_seq
            fingerprint = next_fingerprint(fingerprint, bytes(row.content_hash))
        if not rows:
            return None
    return fingerprint


async def list_wrong_marks(tx: Transaction) -> list[str]:
    """Producers and epochs whose consumed events do not give the fingerprint that is stored."""
    rows = await tx.execute(
        text(
            "select producer, epoch, whole_seq, fingerprint from inbox_mark"
            " order by producer, epoch"
        )
    )
    return [
        f"{row.producer} {row.epoch}"
        for row in rows.all()
        if await fingerprint_at(tx, row.producer, row.epoch, row.whole_seq) != row.fingerprint
    ]


async def _update_mark(
    tx: Transaction, producer: str, epoch: str, whole_seq: int, fingerprint: bytes
) -> None:
    """Store a mark, unless another transaction is about to: then that one's mark does.

    It never waits, since transactions move the marks of several producers in any order.
    """
    await tx.execute(
        text(
            "insert into inbox_mark (producer, epoch, whole_seq, fingerprint)"
            " select :producer, :epoch, :whole, :fingerprint"
            " where pg_try_advisory_xact_lock(hashtextextended(:lock, 0))"
            " on conflict (producer, epoch) do update set whole_seq = excluded.whole_seq,"
            " fingerprint = excluded.fingerprint where inbox_mark.whole_seq < excluded.whole_seq"
        ),
        {
            "producer": producer,
            "epoch": epoch,
            "whole": whole_seq,
            "fingerprint": fingerprint,
            "lock": f"inbox_mark {producer} {epoch}",
        },
    )


async def _stored_hashes(tx: Transaction, batch: Sequence[Envelope]) -> dict[Number, bytes]:
    rows = await tx.execute(
        text(
            "select producer, epoch, pub_seq, content_hash from inbox"
            " join unnest(cast(:producers as text[]), cast(:epochs as text[]),"
            "  cast(:seqs as bigint[])) as event (producer, epoch, pub_seq)"
            " using (producer, epoch, pub_seq)"
        ),
        _numbers(batch),
    )
    return {(row.producer, row.epoch, row.pub_seq): bytes(row.content_hash) for row in rows}


def _numbers(batch: Sequence[Envelope]) -> dict[str, list[str] | list[int]]:
    return {
        "producers": [envelope.producer for envelope in batch],
        "epochs": [envelope.epoch for envelope in batch],
        "seqs": [envelope.pub_seq for envelope in batch],
    }
