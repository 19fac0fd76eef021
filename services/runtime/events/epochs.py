"""The epochs of a producer: its sequences of numbers, one after the other, the last one current.

A database that was restored begins a new epoch, because the numbers it assigned after the backup
are unknown to it and must not be assigned to other events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from services.runtime.storage.database import Transaction


async def list_epochs(tx: Transaction) -> dict[str, int]:
    """The highest number of each epoch, in order, that is assigned here or was when it closed."""
    rows = await tx.execute(
        text(
            "select epoch, greatest(next_seq - 1, closed_seq) as end_seq"
            " from outbox_counter order by position"
        )
    )
    return {row.epoch: row.end_seq for row in rows}


async def content_hashes(tx: Transaction, epoch: str, first: int, last: int) -> dict[int, bytes]:
    """The content hashes of the events of an epoch with numbers from `first` to `last`."""
    rows = await tx.execute(
        text(
            "select pub_seq, sha256(convert_to(subject, 'UTF8') || '\\x00' || payload)"
            " as content_hash from outbox"
            " where epoch = :epoch and pub_seq between :first and :last"
        ),
        {"epoch": epoch, "first": first, "last": last},
    )
    return {row.pub_seq: bytes(row.content_hash) for row in rows}


# Events whose content and the fingerprint before do not give theirs, and epochs whose last event
# does not have the fingerprint that is reported. Numbers behind a lost event, which others hold
# under another fingerprint, are compared only among lost events.
_WRONG_FINGERPRINTS = """
    with numbered as (
        select epoch, pub_seq, fingerprint,
            sha256(convert_to(subject, 'UTF8') || '\\x00' || payload) as content_hash,
            lag(pub_seq, 1, 0::bigint) over sequence as before_seq,
            lag(fingerprint, 1, decode(repeat('00', 32), 'hex')) over sequence as before
        from outbox where pub_seq is not null
        window sequence as (partition by epoch order by pub_seq)
    )
    select (
        select count(*) from numbered
        where before_seq = pub_seq - 1 and fingerprint <> sha256(before || content_hash)
            and (exists (select from lost_event as lost
                    where lost.epoch = numbered.epoch and lost.pub_seq = numbered.pub_seq)
                or not exists (select from lost_event as lost
                    where lost.epoch = numbered.epoch and lost.pub_seq < numbered.pub_seq))
    ) + (
        select count(*) from outbox_counter join outbox using (epoch)
        where closed_seq is null and pub_seq = next_seq - 1
            and outbox.fingerprint <> outbox_counter.fingerprint
    )
"""


async def count_wrong_fingerprints(tx: Transaction) -> int:
    """How many published events do not give the fingerprints that are stored."""
    return int((await tx.execute(text(_WRONG_FINGERPRINTS))).scalar_one())


async def lock_current(tx: Transaction) -> str:
    """The current epoch, which stays the current one until the transaction ends."""
    await tx.execute(text("select epoch from outbox_counter order by position for update"))
    current = text("select epoch from outbox_counter order by position desc limit 1")
    return str((await tx.execute(current)).scalar_one())


async def free_numbers(tx: Transaction, epoch: str, numbers: Sequence[int]) -> None:
    """Take numbers away from events, which are then published under new ones."""
    await tx.execute(
        text(
            "update outbox set epoch = null, pub_seq = null, fingerprint = null, key_id = null,"
            " signature = null, send_time = null where epoch = :epoch and pub_seq = any(:numbers)"
        ),
        {"epoch": epoch, "numbers": list(numbers)},
    )


async def close_epoch(tx: Transaction, epoch: str, closed_seq: int) -> None:
    """Store the highest number that anybody holds of an epoch, which may be unknown here."""
    await tx.execute(
        text(
            "insert into outbox_counter (position, epoch, closed_seq)"
            " select max(position) + 1, :epoch, :closed_seq from outbox_counter"
            " on conflict (epoch) do update"
            " set closed_seq = greatest(outbox_counter.closed_seq, excluded.closed_seq,"
            "  outbox_counter.next_seq - 1)"
        ),
        {"epoch": epoch, "closed_seq": closed_seq},
    )


@dataclass(frozen=True)
class Epoch:
    """An epoch: why it began, and how many lost events were taken back before."""

    epoch: str
    reason: str
    lost_count: int


async def list_reasons(tx: Transaction) -> list[Epoch]:
    """The epochs, the current one last, with the reasons for which they began."""
    rows = await tx.execute(
        text("select epoch, reason, lost_count from outbox_counter order by position")
    )
    return [Epoch(row.epoch, row.reason, row.lost_count) for row in rows]


async def begin_epoch(tx: Transaction, epoch: str, reason: str = "", lost_count: int = 0) -> None:
    """Begin a new sequence; needed once after the database was restored from a backup.

    The numbers assigned after the backup are unknown here and must not be assigned to other events.
    """
    await tx.execute(
        text(
            "insert into outbox_counter (position, epoch, reason, lost_count)"
            " select max(position) + 1, :epoch, :reason, :lost_count from outbox_counter"
        ),
        {"epoch": epoch, "reason": reason, "lost_count": lost_count},
    )
