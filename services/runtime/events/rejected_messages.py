"""Messages that are no events: counted by stream and reason, so that a flood fills no table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class RejectedMessages:
    """How many messages of a stream were rejected for a reason, first and last."""

    stream: str
    reason: str
    message_count: int
    first_time: datetime
    last_time: datetime


async def insert(
    tx: Transaction, stream: str, reason: str, content_hash: bytes, now: datetime
) -> None:
    """Count a rejected message; the hash of the last one is kept."""
    await tx.execute(
        text(
            "insert into rejected_message (stream, reason, message_count, first_time, last_time,"
            " last_hash) values (:stream, :reason, 1, :now, :now, :content_hash)"
            " on conflict (stream, reason) do update set"
            " message_count = rejected_message.message_count + 1,"
            " last_time = excluded.last_time, last_hash = excluded.last_hash"
        ),
        {"stream": stream, "reason": reason, "content_hash": content_hash, "now": now},
    )


async def list_rejected(tx: Transaction) -> list[RejectedMessages]:
    """The rejected messages by stream and reason."""
    rows = await tx.execute(
        text(
            "select stream, reason, message_count, first_time, last_time from rejected_message"
            " order by stream, reason"
        )
    )
    return [
        RejectedMessages(row.stream, row.reason, row.message_count, row.first_time, row.last_time)
        for row in rows
    ]
