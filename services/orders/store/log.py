"""The Merkle log of a platform: nodes, heads, and the leaf hashes of a batch from its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.orderlog.tree import Place
from services.runtime.storage.database import Transaction


# What a record cannot hold, put there by hand, must neither end a question nor give the same leaf.
def _byte(column: str) -> str:
    """One byte; a number that does not fit gives two."""
    return f"substr(int2send({column}), case when {column} between 0 and 255 then 2 else 1 end)"


def _moment(column: str) -> str:
    """Microseconds, 0 for none; a moment that no clock shows gives -1."""
    return (
        f"int8send(case when {column} is null then 0"
        f" when {column} between '1970-01-01 00:00Z' and '3000-01-01 00:00Z'"
        f" then (extract(epoch from {column}) * 1000000)::bigint else -1 end)"
    )


def _text(column: str) -> str:
    """A text with its length before it."""
    return (
        f"substr(int4send(coalesce(octet_length({column}), 0)), 3)"
        f" || convert_to(coalesce({column}, ''), 'UTF8')"
    )


# The leaf of docs/evidence.md, from a row; tests hold it equal to domain.encoding.leaves.
LEAF = f"""
'\\x01'::bytea || convert_to(o.platform, 'UTF8') || int4send(o.revision) || int8send(o.worker)
|| {_byte("o.industry")} || {_byte("o.state")}
|| {_moment("o.accept_time")} || {_moment("o.pick_up_time")} || {_moment("o.end_time")}
|| int4send(o.place_of_acceptance) || {_text("o.order_no")} || {_text("o.reason")}
"""
_HASHES = f"string_agg(sha256('\\x00'::bytea || {LEAF}), ''::bytea order by o.leaf_index)"


@dataclass(frozen=True)
class Checkpoint:
    """A signed head of a platform's log."""

    platform: str
    log_size: int
    root: bytes
    note: str
    create_time: datetime


async def leaf_of(tx: Transaction, platform: str, order_no: str, revision: int) -> bytes:
    """The leaf of a record."""
    found = await tx.execute(
        sa.text(
            f"select {LEAF} from orders o where o.platform = :platform"
            " and o.order_no = :order_no and o.revision = :revision"
        ),
        {"platform": platform, "order_no": order_no, "revision": revision},
    )
    return bytes(found.scalar_one())


async def leaf_index_of(tx: Transaction, batch_no: int, position: int) -> int:
    """A record's leaf: how many records of its batch stand before it. Positions may have gaps."""
    found = await tx.execute(
        sa.text(
            "select count(*) from orders where batch_no = :batch_no and leaf_index < :position"
        ),
        {"batch_no": batch_no, "position": position},
    )
    return int(found.scalar_one())


async def hashes_of_batch(tx: Transaction, batch_no: int) -> bytes:
    """The leaf hashes of a batch's rows as they are now, in leaf order."""
    found = await tx.execute(
        sa.text(f"select {_HASHES} from orders o where o.batch_no = :batch_no"),
        {"batch_no": batch_no},
    )
    return bytes(found.scalar_one() or b"")


async def hashes_of_batches(tx: Transaction, numbers: Sequence[int]) -> dict[int, bytes]:
    """The same of several batches, by number; those without rows are left out."""
    rows = await tx.execute(
        sa.text(
            f"select o.batch_no, {_HASHES} as packed from orders o"
            " where o.batch_no = any(:numbers) group by o.batch_no"
        ),
        {"numbers": list(numbers)},
    )
    return {row.batch_no: bytes(row.packed) for row in rows}


async def nodes(tx: Transaction, platform: str, places: Sequence[Place]) -> dict[Place, bytes]:
    """The hashes of complete subtrees."""
    rows = await tx.execute(
        sa.text(
            "select n.level, n.position, n.hash from log_node n"
            " join unnest(cast(:levels as int[]), cast(:positions as bigint[]))"
            " as wanted (level, position) using (level, position)"
            " where n.platform = :platform"
        ),
        {
            "platform": platform,
            "levels": [level for level, _ in places],
            "positions": [position for _, position in places],
        },
    )
    return {(row.level, row.position): bytes(row.hash) for row in rows}


async def get_checkpoint(tx: Transaction, platform: str, size: int = 0) -> Checkpoint | None:
    """The head of a size, or the newest for 0; None if there is none."""
    condition = "and log_size = :size" if size else "order by log_size desc limit 1"
    row = (
        await tx.execute(
            sa.text(f"select * from checkpoint where platform = :platform {condition}"),
            {"platform": platform, "size": size},
        )
    ).one_or_none()
    return None if row is None else checkpoint_of(row)


async def has_batches(tx: Transaction, platform: str) -> bool:
    """Whether a platform has any batch."""
    question = sa.text("select exists (select from order_batch where platform = :platform)")
    return bool((await tx.execute(question, {"platform": platform})).scalar_one())


async def checkpoints_after(
    tx: Transaction, platform: str, size: int, count: int
) -> list[Checkpoint]:
    """The next heads of all logs, by platform and size."""
    rows = await tx.execute(
        sa.text(
            "select * from checkpoint where (platform, log_size) > (:platform, :size)"
            " order by platform, log_size limit :count"
        ),
        {"platform": platform, "size": size, "count": count},
    )
    return [checkpoint_of(row) for row in rows]


async def list_checkpoints(
    tx: Transaction, platform: str, below: int | None, size: int
) -> list[Checkpoint]:
    """Heads, newest first."""
    rows = await tx.execute(
        sa.text(
            "select * from checkpoint where platform = :platform"
            " and (cast(:below as bigint) is null or log_size < :below)"
            " order by log_size desc limit :size"
        ),
        {"platform": platform, "below": below, "size": size},
    )
    return [checkpoint_of(row) for row in rows]


def checkpoint_of(row: Any) -> Checkpoint:
    """A row of the table."""
    return Checkpoint(row.platform, row.log_size, bytes(row.root), row.note, row.create_time)
