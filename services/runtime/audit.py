"""Who changed what and when: rows that nobody can change, each bound to the one before by a hash.

`append` is the last statement of a transaction: it takes the lock that puts changes in one order,
and no audit row means no change. The hash of a row is
SHA-256(hash before || number || SHA-256 of its fields), so a row that is edited, removed, added or
moved shows at the first number that no longer fits. Cutting off the end shows against a head kept
elsewhere.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import text

from services.runtime.database import Transaction

FIRST_HASH = bytes(32)
PAGE = 5000


@dataclass(frozen=True)
class Head:
    """The newest link of the chain."""

    seq: int
    hash: bytes


@dataclass(frozen=True)
class Walk:
    """The chain walked from its first row: the rows read, its head, and where it first breaks."""

    row_count: int
    head: Head
    first_bad_seq: int | None

    @property
    def holds(self) -> bool:
        """Whether every row fits to the one before it."""
        return self.first_bad_seq is None


async def append(
    tx: Transaction,
    *,
    now: datetime,
    actor: str,
    action: str,
    resource: str,
    request_hash: bytes = b"",
) -> None:
    """Record a change. Call it last: from here to the commit no other change can go on."""
    await tx.execute(
        text(
            "with head as (update audit_head set seq = seq + 1, prev_hash = hash,"
            "  hash = sha256(hash || int8send(seq + 1) || :content)"
            "  returning seq, prev_hash, hash)"
            " insert into audit (seq, time, actor, action, resource, request_hash, prev_hash, hash)"
            " select seq, :now, :actor, :action, :resource, :request_hash, prev_hash, hash"
            " from head"
        ),
        {
            "now": now,
            "actor": actor,
            "action": action,
            "resource": resource,
            "request_hash": request_hash,
            "content": _content(now, actor, action, resource, request_hash),
        },
    )


async def head(tx: Transaction) -> Head:
    """The newest link; given out, it proves later that nothing before it was changed or cut."""
    row = (await tx.execute(text("select seq, hash from audit_head"))).one()
    return Head(row.seq, bytes(row.hash))


async def verify(tx: Transaction) -> Walk:
    """Walk the chain from its first row, hash every row anew, and compare."""
    expected = await head(tx)
    link = Head(0, FIRST_HASH)
    while True:
        rows = (
            await tx.execute(
                text(
                    "select seq, time, actor, action, resource, request_hash, prev_hash, hash"
                    " from audit where seq > :seq and seq <= :last order by seq limit :page"
                ),
                {"seq": link.seq, "last": expected.seq, "page": PAGE},
            )
        ).all()
        for row in rows:
            seq = link.seq + 1
            fields = (row.time, row.actor, row.action, row.resource, bytes(row.request_hash))
            hashed = _link(link.hash, seq, _content(*fields))
            if row.seq != seq or bytes(row.prev_hash) != link.hash or bytes(row.hash) != hashed:
                return Walk(link.seq, expected, seq)
            link = Head(seq, hashed)
        if not rows:
            break
    return Walk(link.seq, expected, None if link == expected else link.seq + 1)


def _link(before: bytes, seq: int, content: bytes) -> bytes:
    return hashlib.sha256(before + seq.to_bytes(8, "big") + content).digest()


def _content(time: datetime, actor: str, action: str, resource: str, request_hash: bytes) -> bytes:
    """SHA-256 of the fields, each with its length before it, the time in microseconds of UTC."""
    moment = time.astimezone(UTC).isoformat(timespec="microseconds")
    fields = (moment.encode(), actor.encode(), action.encode(), resource.encode(), request_hash)
    return hashlib.sha256(b"".join(len(f).to_bytes(4, "big") + f for f in fields)).digest()
