"""Who changed what and when, in rows that cannot be changed and that form a hash chain.

`append` writes a row in the transaction of the change: no audit row, no change. Within a second
`link` appends committed rows to the chain: the hash of a row is
SHA-256(previous hash || number || SHA-256 of its fields). A row that is edited, removed, added or
moved breaks the chain at the first number that no longer matches. A truncated chain is detected by
comparison with a head stored elsewhere.

Linking is a separate step because a chain has one end. Inside the changes, every change would hold
a lock on that end until its commit, and a long serializable transaction would fail whenever another
change had been recorded meanwhile.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import Row, text

from services.runtime.storage.database import Database, Transaction

FIRST_HASH = bytes(32)
# What LIKE reads otherwise than as itself.
_LIKE = re.compile(r"[\\%_]")
PAGE = 5000
# The actions that only read: the names of their requests.
READINGS = r"\.(Get|List|Find|Search|Preview)\w*Request$"
LINK_COUNT = 1000
LINK_SECONDS = 0.5
PAUSE_SECONDS = 5.0

log = structlog.get_logger(part="audit")


@dataclass(frozen=True)
class Entry:
    """What is recorded of a change or a reading: who, by which action, of what, by which request.

    `member` is the person of the staff register, `asking_service` the service that asked for it.
    """

    actor: str
    action: str
    resource: str
    request_hash: bytes
    member: str = ""
    asking_service: str = ""


@dataclass(frozen=True, kw_only=True)
class Recorded(Entry):
    """An entry as it stands in the table, with its number and time."""

    id: int
    time: datetime


@dataclass(frozen=True)
class Head:
    """The newest link of the chain."""

    seq: int
    hash: bytes


@dataclass(frozen=True)
class ChainCheck:
    """The result of re-computing the chain from its first row.

    `row_count` rows are correct, `first_bad_seq` is the first number that does not match, and
    `unlinked_count` rows are not linked yet.
    """

    row_count: int
    head: Head
    first_bad_seq: int | None
    unlinked_count: int

    @property
    def holds(self) -> bool:
        """Whether every row matches the one before it."""
        return self.first_bad_seq is None


async def append(
    tx: Transaction,
    *,
    now: datetime,
    actor: str,
    action: str,
    resource: str,
    request_hash: bytes = b"",
    member: str = "",
    asking_service: str = "",
) -> None:
    """Record a change, in the transaction of the change."""
    entry = Entry(actor, action, resource, request_hash, member, asking_service)
    await append_all(tx, now, [entry])


async def append_all(tx: Transaction, now: datetime, entries: Sequence[Entry]) -> None:
    """Record changes of one transaction, in their order."""
    await tx.execute(
        text(
            "insert into audit (time, actor, action, resource, request_hash, member,"
            "  asking_service)"
            " select :now, actor, action, resource, request_hash, member, asking_service"
            " from unnest(cast(:actors as text[]), cast(:actions as text[]),"
            "  cast(:resources as text[]), cast(:request_hashes as bytea[]),"
            "  cast(:members as text[]), cast(:asking_services as text[]))"
            "  with ordinality as entry (actor, action, resource, request_hash, member,"
            "   asking_service, position)"
            " order by position"
        ),
        {
            "now": now,
            "actors": [entry.actor for entry in entries],
            "actions": [entry.action for entry in entries],
            "resources": [entry.resource for entry in entries],
            "request_hashes": [entry.request_hash for entry in entries],
            "members": [entry.member for entry in entries],
            "asking_services": [entry.asking_service for entry in entries],
        },
    )


async def list_of_resource(
    tx: Transaction, resource: str, *, with_readings: bool, before: int | None, size: int
) -> list[Recorded]:
    """What was recorded of a resource and of its parts, newest first, below a number."""
    rows = await tx.execute(
        text(
            "select id, time, actor, action, resource, request_hash, member, asking_service"
            " from audit where (resource = :resource or resource like :parts)"
            " and (cast(:before as bigint) is null or id < :before)"
            " and (:with_readings or action !~ :readings)"
            " order by id desc limit :size"
        ),
        {
            "resource": resource,
            "parts": _LIKE.sub(r"\\\g<0>", resource) + "/%",
            "before": before,
            "with_readings": with_readings,
            "readings": READINGS,
            "size": size,
        },
    )
    return [Recorded(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's own name


async def link(tx: Transaction) -> int:
    """Append committed rows to the chain, oldest first, at most 1,000; returns how many."""
    row = (await tx.execute(text("select seq, hash from audit_head for update"))).one()
    end = Head(row.seq, bytes(row.hash))
    rows = (
        await tx.execute(
            text(
                "select id, time, actor, action, resource, request_hash, member, asking_service"
                " from audit where seq is null order by id limit :count"
            ),
            {"count": LINK_COUNT},
        )
    ).all()
    if not rows:
        return 0
    heads = [end]
    for row in rows:
        heads.append(_next(heads[-1], row))
    await tx.execute(
        text(
            "update audit set seq = linked.seq, prev_hash = linked.prev_hash, hash = linked.hash"
            " from unnest(cast(:ids as bigint[]), cast(:seqs as bigint[]),"
            "  cast(:prevs as bytea[]), cast(:hashes as bytea[]))"
            " as linked (id, seq, prev_hash, hash) where audit.id = linked.id"
        ),
        {
            "ids": [row.id for row in rows],
            "seqs": [head.seq for head in heads[1:]],
            "prevs": [head.hash for head in heads[:-1]],
            "hashes": [head.hash for head in heads[1:]],
        },
    )
    await tx.execute(
        text("update audit_head set seq = :seq, hash = :hash"),
        {"seq": heads[-1].seq, "hash": heads[-1].hash},
    )
    return len(rows)


async def keep_linking(database: Database) -> None:
    """Link committed rows twice a second, until cancelled. One task per process is enough."""
    while True:
        pause = LINK_SECONDS
        try:
            async with database.begin() as tx:
                if await _has_unlinked(tx) and await link(tx) == LINK_COUNT:
                    pause = 0.0
        except Exception as error:  # noqa: BLE001 - the rows stay; the next round links them
            log.warning("link_failed", service=database.service, error=type(error).__name__)
            pause = PAUSE_SECONDS
        await asyncio.sleep(pause)


async def head(tx: Transaction) -> Head:
    """The newest link; a copy stored elsewhere proves that nothing before it changed since."""
    row = (await tx.execute(text("select seq, hash from audit_head"))).one()
    return Head(row.seq, bytes(row.hash))


async def hash_at(tx: Transaction, seq: int) -> bytes:
    """The hash of a row of the chain; empty if there is no such row."""
    row = (await tx.execute(text("select hash from audit where seq = :seq"), {"seq": seq})).first()
    return b"" if row is None else bytes(row.hash)


async def verify(tx: Transaction) -> ChainCheck:
    """Re-compute every hash of the chain from the first row on, and compare."""
    expected = await head(tx)
    unlinked = await tx.execute(text("select count(*) from audit where seq is null"))
    unlinked_count = int(unlinked.scalar_one())
    end = Head(0, FIRST_HASH)
    while rows := await _page(tx, end.seq, expected.seq):
        for row in rows:
            before, end = end, _next(end, row)
            stored = (row.seq, bytes(row.prev_hash), bytes(row.hash))
            if stored != (end.seq, before.hash, end.hash):
                return ChainCheck(before.seq, expected, end.seq, unlinked_count)
    beyond = await tx.execute(
        text("select exists (select from audit where seq > :seq)"), {"seq": expected.seq}
    )
    is_whole = end == expected and not beyond.scalar_one()
    return ChainCheck(end.seq, expected, None if is_whole else end.seq + 1, unlinked_count)


async def _page(tx: Transaction, after: int, last: int) -> Sequence[Row[Any]]:
    rows = await tx.execute(
        text(
            "select seq, time, actor, action, resource, request_hash, member, asking_service,"
            " prev_hash, hash"
            " from audit where seq > :after and seq <= :last order by seq limit :page"
        ),
        {"after": after, "last": last, "page": PAGE},
    )
    return rows.all()


async def _has_unlinked(tx: Transaction) -> bool:
    result = await tx.execute(text("select exists (select from audit where seq is null)"))
    return bool(result.scalar_one())


def _next(end: Head, row: Row[Any]) -> Head:
    """The link of a row that follows this end of the chain."""
    seq = end.seq + 1
    hashed = hashlib.sha256(end.hash + seq.to_bytes(8, "big") + _content(row)).digest()
    return Head(seq, hashed)


def _content(row: Row[Any]) -> bytes:
    """SHA-256 of the fields, each prefixed by its length; the time in UTC with microseconds."""
    moment = row.time.astimezone(UTC).isoformat(timespec="microseconds")
    texts = (moment, row.actor, row.action, row.resource, row.member, row.asking_service)
    fields = (*(part.encode() for part in texts), bytes(row.request_hash))
    return hashlib.sha256(b"".join(len(f).to_bytes(4, "big") + f for f in fields)).digest()
