"""The events a service has consumed: a row in the transaction of the effect makes each count once.

Every event of a consumed producer gets a row, even if the service has no handler for it. The rows
of a producer are therefore 1..n, and a missing event shows as a gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from services.runtime.events.envelope import Envelope
from services.runtime.storage.database import Transaction


async def is_first(tx: Transaction, envelope: Envelope, now: datetime) -> bool:
    """Record an event; False if it was recorded before and must not take effect again."""
    result = await tx.execute(
        text(
            "insert into inbox (producer, epoch, pub_seq, subject, content_hash, consume_time)"
            " values (:producer, :epoch, :pub_seq, :subject, :content_hash, :consume_time)"
            " on conflict do nothing returning pub_seq"
        ),
        {
            "producer": envelope.producer,
            "epoch": envelope.epoch,
            "pub_seq": envelope.pub_seq,
            "subject": envelope.subject,
            "content_hash": envelope.content_hash,
            "consume_time": now,
        },
    )
    return result.first() is not None


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
            " select known.epoch, coalesce(whole_seq, 0) as whole_seq,"
            " (select consume_time from inbox"
            "  where producer = :producer and inbox.epoch = known.epoch"
            "  order by pub_seq limit 1) as since"
            " from known left join inbox_mark"
            "  on inbox_mark.producer = :producer and inbox_mark.epoch = known.epoch"
            " where known.epoch is not null order by since, known.epoch"
        ),
        {"producer": producer},
    )
    return [await _advance(tx, producer, row.epoch, row.whole_seq) for row in epochs.all()]


async def fingerprint(tx: Transaction, producer: str, epoch: str, up_to: int) -> bytes | None:
    """SHA-256 over the content hashes up to a number, in order; see `outbox.fingerprint`."""
    result = (
        await tx.execute(
            text(
                "select sha256(string_agg(content_hash, ''::bytea order by pub_seq)) from inbox"
                " where producer = :producer and epoch = :epoch and pub_seq <= :up_to"
            ),
            {"producer": producer, "epoch": epoch, "up_to": up_to},
        )
    ).scalar_one()
    return None if result is None else bytes(result)


async def _advance(tx: Transaction, producer: str, epoch: str, whole_seq: int) -> Progress:
    """Move the mark to the end of the complete part of the sequence.

    Numbers are distinct, so counting the rows beyond the mark gives the number of a row exactly as
    long as no row before it is missing.
    """
    row = (
        await tx.execute(
            text(
                "select coalesce(max(pub_seq) filter (where pub_seq = place), :whole) as whole_seq,"
                " coalesce(max(pub_seq), :whole) as max_seq from ("
                " select pub_seq, cast(:whole as bigint) + row_number() over (order by pub_seq)"
                "  as place from inbox"
                " where producer = :producer and epoch = :epoch and pub_seq > :whole) as beyond"
            ),
            {"producer": producer, "epoch": epoch, "whole": whole_seq},
        )
    ).one()
    if row.whole_seq > whole_seq:
        await tx.execute(
            text(
                "insert into inbox_mark (producer, epoch, whole_seq)"
                " values (:producer, :epoch, :whole) on conflict (producer, epoch)"
                " do update set whole_seq = greatest(inbox_mark.whole_seq, excluded.whole_seq)"
            ),
            {"producer": producer, "epoch": epoch, "whole": row.whole_seq},
        )
    return Progress(epoch, row.whole_seq, row.max_seq)
