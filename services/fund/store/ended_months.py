"""The months that producers have ended, each with the number of its MonthEnded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as insert_row

from services.fund.domain.producers import EndedMonth, EventTotal
from services.fund.store.tables import producer_months
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.runtime.events import inbox
from services.runtime.events.envelope import FIRST_FINGERPRINT
from services.runtime.storage.database import Transaction


async def insert(tx: Transaction, ended: EndedMonth, now: datetime) -> bool:
    """Add a producer's month; False if the producer has ended it before."""
    statement = (
        insert_row(producer_months)
        .values(
            producer=ended.producer,
            month=ended.month.first_day,
            epoch=ended.epoch,
            pub_seq=ended.pub_seq,
            totals=[[entry.event, entry.event_count, entry.amount.count] for entry in ended.totals],
            create_time=now,
        )
        .on_conflict_do_nothing(index_elements=["producer", "month"])
        .returning(producer_months.c.producer)
    )
    return (await tx.execute(statement)).first() is not None


async def list_ended(tx: Transaction, month: Month) -> dict[str, EndedMonth]:
    """The producers that have ended a month, with a fingerprint if it is stored.

    A producer that started later has ended a month with the first one that it ended: it has
    nothing of the months before.
    """
    first = (
        sa.select(producer_months.c.producer, sa.func.min(producer_months.c.month).label("month"))
        .group_by(producer_months.c.producer)
        .subquery()
    )
    statement = (
        sa.select(producer_months)
        .join(first, first.c.producer == producer_months.c.producer)
        .where(producer_months.c.month == sa.func.greatest(first.c.month, month.first_day))
        .order_by(producer_months.c.producer)
    )
    rows = await tx.execute(statement)
    return {
        ended.producer: ended if ended.month == month else replace(ended, month=month, totals=())
        for ended in map(_ended, rows)
    }


async def list_fingerprinted(
    tx: Transaction, month: Month, *, from_start: bool = False
) -> tuple[EndedMonth, ...]:
    """A month's producers with fingerprints, computed from the events that the fund has consumed.

    A fingerprint goes on from the newest earlier one that is stored, or `from_start`, which a
    replay does. It stays empty while an event is missing.
    """
    entries = []
    for ended in (await list_ended(tx, month)).values():
        after, start = (0, FIRST_FINGERPRINT) if from_start else await _earlier(tx, ended)
        fingerprint = await inbox.fingerprint_at(
            tx, ended.producer, ended.epoch, ended.pub_seq, after=after, start=start
        )
        entries.append(replace(ended, fingerprint=fingerprint or b""))
    return tuple(entries)


async def update_fingerprints(tx: Transaction, entries: Sequence[EndedMonth]) -> None:
    """Store the fingerprints of a proposed month."""
    for ended in entries:
        await tx.execute(
            sa.update(producer_months)
            .where(
                producer_months.c.producer == ended.producer,
                producer_months.c.epoch == ended.epoch,
                producer_months.c.pub_seq == ended.pub_seq,
            )
            .values(fingerprint=ended.fingerprint)
        )


async def _earlier(tx: Transaction, ended: EndedMonth) -> tuple[int, bytes]:
    statement = (
        sa.select(producer_months.c.pub_seq, producer_months.c.fingerprint)
        .where(
            producer_months.c.producer == ended.producer,
            producer_months.c.epoch == ended.epoch,
            producer_months.c.pub_seq <= ended.pub_seq,
            producer_months.c.fingerprint.is_not(None),
        )
        .order_by(producer_months.c.pub_seq.desc())
        .limit(1)
    )
    row = (await tx.execute(statement)).first()
    return (0, FIRST_FINGERPRINT) if row is None else (row.pub_seq, bytes(row.fingerprint))


def _ended(row: sa.Row[Any]) -> EndedMonth:
    return EndedMonth(
        producer=row.producer,
        month=Month.of(row.month),
        epoch=row.epoch,
        pub_seq=row.pub_seq,
        totals=tuple(
            EventTotal(event, event_count, Fen(sum_fen))
            for event, event_count, sum_fen in row.totals
        ),
        fingerprint=bytes(row.fingerprint or b""),
    )
