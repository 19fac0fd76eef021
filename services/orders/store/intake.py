"""What taking a batch needs: the platform's lock, COPY, staging, what stands beside the rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from psycopg.errors import UniqueViolation
from sqlalchemy.exc import OperationalError

from services.orderlog.tree import Place, unpack
from services.orders.domain.copy import COPY_COLUMNS
from services.orders.domain.judging import Rejected, Tally
from services.orders.domain.records import Batch
from services.orders.store.log import Checkpoint, checkpoint_of
from services.runtime.storage.database import Transaction, as_database_error, driver_of

# Verdicts of the settling statement.
NEW, EXISTS, CONFLICT = "0", "1", "2"

# A platform's batches wait for each other; on other replicas too.
LOCK_WAIT = "60s"

_COPIED = ", ".join(COPY_COLUMNS)
_CONTENT = (
    "worker",
    "industry",
    "state",
    "accept_time",
    "pick_up_time",
    "end_time",
    "place_of_acceptance",
    "reason",
)
_SAME = " and ".join(f"s.{name} is not distinct from h.{name}" for name in _CONTENT)

_STAGED = """
create temporary table if not exists staged (
    batch_no bigint, worker bigint, accept_time timestamptz, pick_up_time timestamptz,
    end_time timestamptz, leaf_index integer, revision integer, place_of_acceptance integer,
    pooling_area integer, industry smallint, state smallint, platform text collate "C",
    order_no text collate "C", reason text
) on commit delete rows
"""

# A digit a row: 0 new, 1 held as sent, 2 held with other content, 3 older than what is held. One
# look-up by index finds the latest revision held; the one sent is looked for only below it.
_JUDGED = f"""
with judged as materialized (
    select s.*,
        case when h.revision is null or h.revision < s.revision then 0
            when h.revision = s.revision then case when {_SAME} then 1 else 2 end
            else coalesce((
                select case when {_SAME} then 1 else 2 end from orders h
                where h.platform = :platform and h.order_no = s.order_no
                    and h.revision = s.revision
            ), 3)
        end as verdict,
        h.revision as held_revision, h.state as held_state, h.end_time as held_end,
        h.pooling_area as held_area, h.industry as held_industry
    from staged s
    left join lateral (
        select * from orders o where o.platform = :platform and o.order_no = s.order_no
        order by o.revision desc limit 1
    ) h on true
)
"""
_VERDICTS = """
    (select coalesce(string_agg(verdict::text, '' order by leaf_index), '') from judged)
        as verdicts,
    (select coalesce(json_agg(json_build_object(
            'leaf_index', leaf_index, 'order_no', order_no, 'verdict', verdict,
            'content', case when verdict = 2 then json_build_object(
                'revision', revision, 'worker', worker, 'industry', industry, 'state', state,
                'accept_time', accept_time, 'pick_up_time', pick_up_time, 'end_time', end_time,
                'place_of_acceptance', place_of_acceptance, 'reason', reason) end
        ) order by leaf_index), '[]') from judged where verdict > 1) as refused
"""
_TALLY = """
tally as (
    select pooling_area, industry,
        (end_time at time zone 'Asia/Shanghai')::date - date '1970-01-01' as day,
        sum(change)::bigint as order_count
    from changed group by 1, 2, 3 having sum(change) <> 0 order by 1, 2, 3
)
"""
_TALLIES = """
    (select coalesce(json_agg(json_build_array(pooling_area, industry, day, order_count)), '[]')
        from tally) as tallies
"""
# First revisions, on a platform that never began with a later one: what is not held is new, and
# takes nothing back. One look-up by the whole key is all it needs. It is lateral and limited so
# that it stays one a row: of a platform that statistics do not know yet, the planner believes that
# it has a row or two, and would read all of them for each row sent.
_JUDGE_FIRST = f"""
with judged as materialized (
    select s.*,
        case when h.revision is null then 0 when {_SAME} then 1 else 2 end as verdict
    from staged s
    left join lateral (
        select * from orders o where o.platform = :platform and o.order_no = s.order_no
            and o.revision = s.revision
        limit 1
    ) h on true
), changed as (
    select pooling_area, industry, end_time, 1 as change from judged
    where verdict = 0 and state in (2, 3)
), {_TALLY}
select {_VERDICTS}, {_TALLIES}, false as is_headless
"""
_JUDGE = f"""
{_JUDGED}, newest as (
    select distinct on (order_no) * from judged where verdict = 0
    order by order_no, revision desc, leaf_index
), headless as (
    insert into headless_order (platform, order_no)
    select :platform, order_no from judged where verdict = 0 and held_revision is null
    group by order_no having min(revision) > 1
    on conflict do nothing returning 1
), changed as (
    select pooling_area, industry, end_time, 1 as change from newest where state in (2, 3)
    union all
    select held_area, held_industry, held_end, -1 from newest where held_state in (2, 3)
), {_TALLY}
select {_VERDICTS}, {_TALLIES}, exists (select from headless) as is_headless
"""


_BESIDE = """
select c.*, coalesce(b.log_index + 1, 0) as batch_count,
    greatest(b.create_time, c.create_time) as last_time
from (select) as one
left join lateral (
    select log_index, create_time from order_batch where platform = :platform
    order by log_index desc limit 1
) b on true
left join lateral (
    select * from checkpoint where platform = :platform order by log_size desc limit 1
) c on true
"""


class AlreadyHeld(Exception):  # noqa: N818 - leads to the other path
    """COPY met a row that is held: the batch has to go through staging."""


@dataclass(frozen=True)
class Log:
    """A platform's log as it stands: how many batches, and the frontier of its tree."""

    size: int
    frontier: list[bytes]
    has_headless: bool
    # What stands beside it: the newest head, the batches' own count, and when the last one came.
    head: Checkpoint | None = None
    batch_count: int = 0
    last_time: datetime | None = None


@dataclass(frozen=True)
class Settled:
    """What becomes of staged rows: a digit a row in the order of COPY, and the refused in full."""

    verdicts: str
    refused: list[dict[str, Any]]
    tallies: list[Tally]
    is_headless: bool


async def take_role(tx: Transaction) -> None:
    """Go on under the role that may COPY, until the transaction ends."""
    await tx.execute(
        sa.text(
            "select set_config('role', 'oip_orders_intake', true),"
            f" set_config('lock_timeout', '{LOCK_WAIT}', true)"
        )
    )


async def batch_numbers(tx: Transaction, count: int) -> list[int]:
    """The next numbers of batches; unused ones are lost."""
    rows = await tx.execute(
        sa.text("select nextval('batch_no') from generate_series(1, :count)"), {"count": count}
    )
    return list(rows.scalars())


async def lock_log(tx: Transaction, platform: str) -> Log:
    """Let one batch of a platform at a time go on from here to its commit."""
    question = sa.text(
        "select log_size, frontier, has_headless from order_log"
        " where platform = :platform for update"
    )
    row = (await tx.execute(question, {"platform": platform})).one_or_none()
    if row is None:
        await tx.execute(
            sa.text(
                "insert into order_log (platform, log_size, frontier)"
                " values (:platform, 0, '') on conflict do nothing"
            ),
            {"platform": platform},
        )
        row = (await tx.execute(question, {"platform": platform})).one()
    # A statement of its own: only now does it see what was committed while the lock was awaited.
    beside = (await tx.execute(sa.text(_BESIDE), {"platform": platform})).one()
    return Log(
        row.log_size,
        unpack(bytes(row.frontier)),
        row.has_headless,
        head=None if beside.log_size is None else checkpoint_of(beside),
        batch_count=beside.batch_count,
        last_time=beside.last_time,
    )


async def copy(tx: Transaction, parts: Iterable[Any]) -> None:
    """COPY rows straight into the table; raises AlreadyHeld if one of them is held."""
    try:
        await _copy_into(tx, "orders", parts)
    except OperationalError as error:
        if isinstance(error.orig, UniqueViolation):
            raise AlreadyHeld from error
        raise


async def stage(tx: Transaction, parts: Iterable[Any]) -> None:
    """COPY rows into the staging table of this session."""
    await tx.execute(sa.text(_STAGED))
    await _copy_into(tx, "staged", parts)


async def settle(tx: Transaction, platform: str, *, is_first: bool) -> Settled:
    """Give each staged row its status, in one statement."""
    # The staging table has no statistics; a look-up by index for each row is always right here.
    await tx.execute(
        sa.text(
            "select set_config('enable_hashjoin', 'off', true),"
            " set_config('enable_mergejoin', 'off', true)"
        )
    )
    question = sa.text(_JUDGE_FIRST if is_first else _JUDGE)
    row = (await tx.execute(question, {"platform": platform})).one()
    return Settled(
        verdicts=row.verdicts,
        refused=row.refused,
        tallies=[(area, industry, day, count) for area, industry, day, count in row.tallies],
        is_headless=row.is_headless,
    )


async def insert_batch(tx: Transaction, batch: Batch, tallies: Sequence[Tally]) -> None:
    """Write the batch's own row, its rejections and its tallies."""
    await tx.execute(
        sa.text(
            "insert into order_batch (batch_no, platform, batch_id, log_index, received_count,"
            " created_count, exists_count, conflict_count, rejected_count, rejected_by_reason,"
            " root, content_hash, create_time) values (:batch_no, :platform, :batch_id,"
            " :log_index, :received_count, :created_count, :exists_count, :conflict_count,"
            " :rejected_count, cast(:by_reason as jsonb), :root, :content_hash, :create_time)"
        ),
        {
            "batch_no": batch.batch_no,
            "platform": batch.platform,
            "batch_id": batch.batch_id,
            "log_index": batch.log_index,
            "received_count": batch.received_count,
            "created_count": batch.created_count,
            "exists_count": batch.exists_count,
            "conflict_count": batch.conflict_count,
            "rejected_count": batch.rejected_count,
            "by_reason": json.dumps({str(int(k)): v for k, v in batch.rejected_by_reason.items()}),
            "root": batch.root,
            "content_hash": batch.content_hash,
            "create_time": batch.create_time,
        },
    )
    own = {"batch_no": batch.batch_no, "platform": batch.platform}
    if tallies:
        areas, industries, days, counts = (list(column) for column in zip(*tallies, strict=True))
        await tx.execute(
            sa.text(
                "insert into order_tally (batch_no, platform, pooling_area, industry,"
                " service_date, order_count)"
                " select :batch_no, :platform, area, industry, date '1970-01-01' + day, order_count"
                " from unnest(cast(:areas as int[]), cast(:industries as int[]),"
                " cast(:days as int[]), cast(:counts as bigint[]))"
                " as tally (area, industry, day, order_count)"
            ),
            {**own, "areas": areas, "industries": industries, "days": days, "counts": counts},
        )
    if batch.rejections:
        await _insert_rejections(tx, own, batch.rejections)


async def append_to_log(
    tx: Transaction,
    platform: str,
    log: Log,
    nodes: Sequence[tuple[Place, bytes]],
    checkpoint: dict[str, Any],
) -> None:
    """Write the log's new end: the nodes completed, the head, its checkpoint."""
    await tx.execute(
        sa.text(
            "with head as (update order_log set log_size = :size, frontier = :frontier,"
            " has_headless = :has_headless where platform = :platform),"
            " signed as (insert into checkpoint (platform, log_size, root, note, create_time)"
            " values (:platform, :size, :root, :note, :now))"
            " insert into log_node (platform, level, position, hash)"
            " select :platform, level, position, hash from unnest(cast(:levels as int[]),"
            " cast(:positions as bigint[]), cast(:hashes as bytea[]))"
            " as node (level, position, hash)"
        ),
        {
            "platform": platform,
            "size": log.size,
            "frontier": b"".join(log.frontier),
            "has_headless": log.has_headless,
            "levels": [level for (level, _), _ in nodes],
            "positions": [position for (_, position), _ in nodes],
            "hashes": [node for _, node in nodes],
            **checkpoint,
        },
    )


async def _insert_rejections(
    tx: Transaction, own: dict[str, Any], rejected: Sequence[Rejected]
) -> None:
    await tx.execute(
        sa.text(
            "insert into order_rejection (batch_no, row_index, platform, order_no, status, field,"
            " content) select :batch_no, row_index, :platform, order_no, status, field, content"
            " from unnest(cast(:indexes as int[]), cast(:order_nos as text[]),"
            " cast(:statuses as int[]), cast(:fields as text[]), cast(:contents as jsonb[]))"
            " as row (row_index, order_no, status, field, content)"
        ),
        {
            **own,
            "indexes": [one.index for one in rejected],
            "order_nos": [one.order_no for one in rejected],
            "statuses": [int(one.status) for one in rejected],
            "fields": [one.field for one in rejected],
            "contents": [
                None if one.content is None else json.dumps(one.content, ensure_ascii=False)
                for one in rejected
            ],
        },
    )


async def _copy_into(tx: Transaction, table: str, parts: Iterable[Any]) -> None:
    driver = await driver_of(tx)
    command = f"copy {table} ({_COPIED}) from stdin (format binary)"
    with as_database_error(driver):
        async with driver.cursor() as cursor, cursor.copy(command) as sink:
            for part in parts:
                await sink.write(part)
