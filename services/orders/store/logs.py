"""The Merkle logs: their ends, nodes and heads, and the leaf hashes of a batch from its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from services.orderlog import tree
from services.orderlog.tree import Position
from services.orders.domain.logs import Checkpoint, Growth, PlatformLog
from services.runtime.storage.database import Transaction


# A value that intake never writes must neither fail the query nor give the leaf of another value.
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


# The leaf of docs/evidence.md, from a row; tests hold it equal to orderlog.leaves.
LEAF_SQL = f"""
'\\x01'::bytea || convert_to(o.platform, 'UTF8') || int4send(o.revision) || int8send(o.worker)
|| {_byte("o.industry")} || {_byte("o.state")}
|| {_moment("o.accept_time")} || {_moment("o.pick_up_time")} || {_moment("o.end_time")}
|| int4send(o.place_of_acceptance) || {_text("o.order_no")} || {_text("o.reason")}
"""
_HASHES_SQL = f"string_agg(sha256('\\x00'::bytea || {LEAF_SQL}), ''::bytea order by o.leaf_index)"


_LOCK_SQL = """
select log_size, frontier, misses_first_revisions from order_log
where platform = :platform for update
"""
# The newest head and the newest batch of a log, which intake compares with the log itself.
_END_SQL = """
select c.*, coalesce(b.log_index + 1, 0) as batch_count,
    greatest(b.create_time, c.create_time) as last_time
from (select) as log
left join lateral (
    select log_index, create_time from order_batch where platform = :platform
    order by log_index desc limit 1
) b on true
left join lateral (
    select * from checkpoint where platform = :platform order by log_size desc limit 1
) c on true
"""


async def lock(tx: Transaction, platform: str) -> PlatformLog:
    """Lock a platform's log until the commit: one batch of a platform is written at a time."""
    keys = {"platform": platform}
    row = (await tx.execute(sa.text(_LOCK_SQL), keys)).one_or_none()
    if row is None:
        await tx.execute(
            sa.text(
                "insert into order_log (platform, log_size, frontier)"
                " values (:platform, 0, '') on conflict do nothing"
            ),
            keys,
        )
        row = (await tx.execute(sa.text(_LOCK_SQL), keys)).one()
    # A separate statement, which sees what was committed while the lock was awaited.
    end = (await tx.execute(sa.text(_END_SQL), keys)).one()
    return PlatformLog(
        platform,
        row.log_size,
        tree.unpack(bytes(row.frontier)),
        row.misses_first_revisions,
        head=None if end.log_size is None else checkpoint_of(end),
        batch_count=end.batch_count,
        last_time=end.last_time,
    )


async def update_log(tx: Transaction, growth: Growth) -> None:
    """Write the new end of a log: the nodes completed, its size and frontier, its signed head."""
    await tx.execute(
        sa.text(
            "with log as (update order_log set log_size = :size, frontier = :frontier,"
            " misses_first_revisions = :misses_first_revisions where platform = :platform),"
            " head as (insert into checkpoint (platform, log_size, root, note, create_time)"
            " values (:platform, :size, :root, :note, :now))"
            " insert into log_node (platform, level, position, hash)"
            " select :platform, level, position, hash from unnest(cast(:levels as int[]),"
            " cast(:positions as bigint[]), cast(:hashes as bytea[]))"
            " as node (level, position, hash)"
        ),
        {
            "platform": growth.log.platform,
            "size": growth.log.size,
            "frontier": b"".join(growth.log.frontier),
            "misses_first_revisions": growth.log.misses_first_revisions,
            "levels": [level for (level, _), _ in growth.nodes],
            "positions": [position for (_, position), _ in growth.nodes],
            "hashes": [node for _, node in growth.nodes],
            "root": growth.head.root,
            "note": growth.head.note,
            "now": growth.head.create_time,
        },
    )


async def get_leaf(tx: Transaction, platform: str, order_no: str, revision: int) -> bytes:
    """The leaf of a record."""
    result = await tx.execute(
        sa.text(
            f"select {LEAF_SQL} from orders o where o.platform = :platform"
            " and o.order_no = :order_no and o.revision = :revision"
        ),
        {"platform": platform, "order_no": order_no, "revision": revision},
    )
    return bytes(result.scalar_one())


async def get_leaf_index(tx: Transaction, batch_no: int, position: int) -> int:
    """The index of a record's leaf: the records of its batch before it. Positions have gaps."""
    result = await tx.execute(
        sa.text(
            "select count(*) from orders where batch_no = :batch_no and leaf_index < :position"
        ),
        {"batch_no": batch_no, "position": position},
    )
    return int(result.scalar_one())


async def list_hashes(tx: Transaction, batch_no: int) -> bytes:
    """The leaf hashes of a batch's rows as they are now, in leaf order."""
    result = await tx.execute(
        sa.text(f"select {_HASHES_SQL} from orders o where o.batch_no = :batch_no"),
        {"batch_no": batch_no},
    )
    return bytes(result.scalar_one() or b"")


async def list_hashes_by_batch(tx: Transaction, numbers: Sequence[int]) -> dict[int, bytes]:
    """The same of several batches, by number; those without rows are left out."""
    rows = await tx.execute(
        sa.text(
            f"select o.batch_no, {_HASHES_SQL} as packed from orders o"
            " where o.batch_no = any(:numbers) group by o.batch_no"
        ),
        {"numbers": list(numbers)},
    )
    return {row.batch_no: bytes(row.packed) for row in rows}


async def list_nodes(
    tx: Transaction, platform: str, positions: Sequence[Position]
) -> dict[Position, bytes]:
    """The hashes of complete subtrees."""
    rows = await tx.execute(
        sa.text(
            "select n.level, n.position, n.hash from log_node n"
            " join unnest(cast(:levels as int[]), cast(:positions as bigint[]))"
            " as node (level, position) using (level, position)"
            " where n.platform = :platform"
        ),
        {
            "platform": platform,
            "levels": [level for level, _ in positions],
            "positions": [position for _, position in positions],
        },
    )
    return {(row.level, row.position): bytes(row.hash) for row in rows}


async def get_checkpoint(tx: Transaction, platform: str, size: int = 0) -> Checkpoint | None:
    """The head of a size, or the newest for 0; None if it does not exist."""
    condition = "and log_size = :size" if size else "order by log_size desc limit 1"
    row = (
        await tx.execute(
            sa.text(f"select * from checkpoint where platform = :platform {condition}"),
            {"platform": platform, "size": size},
        )
    ).one_or_none()
    return None if row is None else checkpoint_of(row)


async def find_any_batch(tx: Transaction, platform: str) -> bool:
    """Whether a platform has any batch."""
    statement = sa.text("select exists (select from order_batch where platform = :platform)")
    return bool((await tx.execute(statement, {"platform": platform})).scalar_one())


async def list_checkpoints_after(
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
