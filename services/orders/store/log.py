"""The Merkle log of a platform: nodes, heads, and the leaf hashes of a batch from its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.orders.domain.merkle import Place
from services.runtime.database import Transaction

# The leaf of docs/evidence.md, from a row; tests hold it equal to domain.encoding.leaves.
LEAF = """
'\\x01'::bytea || convert_to(o.platform, 'UTF8') || int4send(o.revision) || int8send(o.worker)
|| set_byte('\\x00'::bytea, 0, o.industry) || set_byte('\\x00'::bytea, 0, o.state)
|| int8send((extract(epoch from o.accept_time) * 1000000)::bigint)
|| int8send(coalesce((extract(epoch from o.pick_up_time) * 1000000)::bigint, 0))
|| int8send(coalesce((extract(epoch from o.end_time) * 1000000)::bigint, 0))
|| int4send(o.place_of_acceptance)
|| int2send(octet_length(o.order_no)::smallint) || convert_to(o.order_no, 'UTF8')
|| int2send(coalesce(octet_length(o.reason), 0)::smallint)
|| convert_to(coalesce(o.reason, ''), 'UTF8')
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


@dataclass(frozen=True)
class BatchHashes:
    """A batch as the log knows it, and the leaf hashes that its rows give now."""

    platform: str
    batch_id: str
    batch_no: int
    log_index: int
    created_count: int
    create_time: datetime
    root: bytes
    packed: bytes


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


async def hashes_after(tx: Transaction, batch_no: int, count: int) -> list[BatchHashes]:
    """The next batches by number with their leaf hashes, for walking through all of them."""
    rows = await tx.execute(
        sa.text(
            "select b.platform, b.batch_id, b.batch_no, b.log_index, b.created_count,"
            " b.create_time, b.root,"
            f" coalesce((select {_HASHES} from orders o where o.batch_no = b.batch_no), '')"
            " as packed from order_batch b where b.batch_no > :after"
            " order by b.batch_no limit :count"
        ),
        {"after": batch_no, "count": count},
    )
    return [
        BatchHashes(
            row.platform,
            row.batch_id,
            row.batch_no,
            row.log_index,
            row.created_count,
            row.create_time,
            bytes(row.root),
            bytes(row.packed),
        )
        for row in rows
    ]


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
