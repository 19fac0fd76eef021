"""The SQL of `oip verify`: recounts in one statement each, and the logs from their start.

Each `..._MISMATCH_SQL` counts the rows that break an invariant.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from services.orderlog.tree import unpack
from services.orders.domain.batches import Batch, Tally
from services.orders.domain.logs import Checkpoint
from services.orders.domain.row_rules import CONFLICTS, COUNTING_STATES, State
from services.orders.store.batches import batch_of
from services.orders.store.legs import LEG_END_SQL, counted_legs_sql
from services.orders.store.tables import sql_list
from services.runtime.storage.database import Transaction

_BATCH_NAME = "'platforms/' || b.platform || '/orderBatches/' || b.batch_id"
# The name that an event begins with: field 1, one byte of length (a name has at most 105).
_EVENT_NAME = "substring(payload from 3 for get_byte(payload, 1))"
_IS_BATCH_EVENT = "subject = 'oip.orders.v1.OrderBatchRecorded' and length(payload) > 1"
_IS_BATCH_AUDIT = "action = 'oip.orders.v1.UploadOrders'"
_COUNTING = sql_list(COUNTING_STATES)
_CONFLICTS = sql_list(CONFLICTS)
_REVERSED = int(State.REVERSED)

# Each row belongs to a batch, and a batch has as many rows as its receipt says.
ROW_COUNT_MISMATCH_SQL = """
select count(*) from (
    select batch_no, platform, count(*) as row_count from orders group by 1, 2
) o full join order_batch b using (batch_no, platform)
where coalesce(o.row_count, 0) is distinct from b.created_count
"""

RECEIPT_MISMATCH_SQL = f"""
with refused as (
    select batch_no, platform, status, count(*) as row_count from order_rejection group by 1, 2, 3
), counted as (
    select batch_no, platform,
        coalesce(sum(row_count) filter (where status in {_CONFLICTS}), 0) as conflict_count,
        coalesce(sum(row_count) filter (where status not in {_CONFLICTS}), 0) as rejected_count,
        coalesce(
            jsonb_object_agg(status, row_count) filter (where status not in {_CONFLICTS}), '{{}}'
        ) as by_reason
    from refused group by 1, 2
)
select count(*) from order_batch b full join counted c using (batch_no, platform)
where b.batch_id is null
    or b.received_count <> b.created_count + b.exists_count + b.conflict_count + b.rejected_count
    or b.conflict_count <> coalesce(c.conflict_count, 0)
    or b.rejected_count <> coalesce(c.rejected_count, 0)
    or b.rejected_by_reason <> coalesce(c.by_reason, '{{}}')
"""

_REVISIONS_SQL = """
select o.*, b.create_time as record_time from orders o join order_batch b using (batch_no)
"""
# A revision's leg counts from the batch that brought its end to the batch of the worker's next
# revision, except while the order is reversed. It is written without a join of the revisions to
# each other: the planner cannot know how few they are behind the policy of the table.
TALLY_MISMATCH_SQL = f"""
with chained as (
    select o.*, {LEG_END_SQL} as leg_end,
        lead(revision) over own as next_own_revision, lead(batch_no) over own as next_own_batch,
        lead(revision) over chain as next_revision, lead(batch_no) over chain as next_batch
    from ({_REVISIONS_SQL}) o
    window chain as (partition by platform, order_no order by revision),
        own as (partition by platform, order_no, worker order by revision)
), marked as (
    select *, array_agg(revision) filter (where state = {_REVERSED}) over whole as reversals,
        array_agg(batch_no) filter (where state = {_REVERSED}) over whole as reversing_batches,
        array_agg(next_batch) filter (where state = {_REVERSED}) over whole as restoring_batches
    from chained window whole as (partition by platform, order_no)
), legs as (
    select *, (leg_end at time zone 'Asia/Shanghai')::date as service_date,
        case when state in {_COUNTING} then revision else next_revision end as first_revision,
        case when state in {_COUNTING} then batch_no else next_batch end as first_batch
    from marked where state <> {_REVERSED} and leg_end is not null
        and (state in {_COUNTING} or next_own_revision is distinct from next_revision)
), recounted as (
    select change.batch_no, platform, pooling_area, industry, service_date,
        sum(change.counts) as order_count
    from legs cross join lateral (
        values (first_batch, 1), (next_own_batch, -1)
        union all
        select change.batch_no, change.counts
        from unnest(reversals, reversing_batches, restoring_batches)
            as reversal (revision, reversing_batch, restoring_batch)
        cross join lateral (values (reversing_batch, -1), (restoring_batch, 1))
            as change (batch_no, counts)
        where reversal.revision >= first_revision
            and (next_own_revision is null or reversal.revision < next_own_revision)
    ) as change (batch_no, counts)
    where change.batch_no is not null group by 1, 2, 3, 4, 5 having sum(change.counts) <> 0
)
select count(*) from recounted r
full join order_tally t using (batch_no, platform, pooling_area, industry, service_date)
where r.order_count is distinct from t.order_count
"""

# The legs of all orders as they stand are what the tallies of all batches add up to.
LEG_MISMATCH_SQL = f"""
with counted as (
    select platform, pooling_area, industry, service_date, count(*) as leg_count
    from ({counted_legs_sql(f"({_REVISIONS_SQL}) revisions", "platform, order_no")}) legs
    group by 1, 2, 3, 4
), published as (
    select platform, pooling_area, industry, service_date, sum(order_count) as leg_count
    from order_tally group by 1, 2, 3, 4 having sum(order_count) <> 0
)
select count(*) from counted c
full join published p using (platform, pooling_area, industry, service_date)
where c.leg_count is distinct from p.leg_count
"""

# Orders whose first revision is not stored, and the logs that say whether they have such orders.
FIRST_REVISION_MISMATCH_SQL = """
select count(*) from (
    select platform from order_missing_first_revision m
    where not exists (select from orders o
            where o.platform = m.platform and o.order_no = m.order_no)
        or exists (select from orders o where o.platform = m.platform
            and o.order_no = m.order_no and o.revision = 1)
    union all
    select platform from orders o where revision > 1
        and not exists (select from orders f where f.platform = o.platform
            and f.order_no = o.order_no and f.revision = 1)
        and not exists (select from order_missing_first_revision m
            where m.platform = o.platform and m.order_no = o.order_no)
    union all
    select platform from order_log l where misses_first_revisions <> exists (
        select from order_missing_first_revision m where m.platform = l.platform)
) as wrong
"""

# The audit chain names each request to keep records, with the worker, the moment and the holder.
FREEZE_MISMATCH_SQL = """
with requested as (
    select resource, min(time) as first_time from audit
    where action = 'oip.orders.v1.FreezeOrdersRequest' group by 1
), frozen as (
    select 'workers/' || worker || '/orderFreezes/'
            || (extract(epoch from moment) * 1000000)::bigint || '/' || holder as resource,
        create_time from order_freeze
)
select count(*) from requested r full join frozen f using (resource)
where r.first_time is null or f.create_time is null
    or f.create_time not between r.first_time - interval '1 minute'
        and r.first_time + interval '1 minute'
"""

# Batches that the audit or an event names and that are not held.
MISSING_BATCHES_SQL = f"""
select resource from audit where {_IS_BATCH_AUDIT}
    and not exists (select from order_batch b where {_BATCH_NAME} = resource)
union
select encode({_EVENT_NAME}, 'escape') from outbox where {_IS_BATCH_EVENT}
    and not exists (select from order_batch b
        where convert_to({_BATCH_NAME}, 'UTF8') = {_EVENT_NAME})
order by 1
"""

# Pooling areas other than those that intake finds for the place of acceptance. A batch validated
# within the hour before the areas changed may have been committed after.
_AREA_OF_PLACE = """case when place_of_acceptance = any({areas}) then place_of_acceptance
    when place_of_acceptance / 100 * 100 = any({areas}) then place_of_acceptance / 100 * 100 end"""
POOLING_AREA_MISMATCH_SQL = f"""
select count(*) from orders o join order_batch b using (batch_no)
where b.create_time >= :start and b.create_time < :end
    and pooling_area is distinct from {_AREA_OF_PLACE.format(areas=":areas")}
    and (b.create_time >= cast(:start as timestamptz) + interval '1 hour'
        or pooling_area is distinct from {_AREA_OF_PLACE.format(areas=":earlier_areas")})
"""
_BATCH_DAYS_SQL = """
select distinct (create_time at time zone 'Asia/Shanghai')::date as day from order_batch
where create_time between '1970-01-01 00:00Z' and '3000-01-01 00:00Z' order by 1
"""

_LOG_ENTRIES_SQL = f"""
with audited as (
    select resource, array_agg(request_hash) as hashes from audit where {_IS_BATCH_AUDIT} group by 1
), published as (
    select {_EVENT_NAME} as name, array_agg(payload order by id) as events from outbox
    where {_IS_BATCH_EVENT} group by 1
)
select b.*, audited.hashes as audit_hashes, published.events,
    coalesce(b.platform, c.platform) as log, coalesce(b.log_index, c.log_size - 1) as position,
    c.log_size, c.root as head_root, c.note, c.create_time as head_time
from order_batch b
full join checkpoint c on c.platform = b.platform and c.log_size = b.log_index + 1
left join audited on audited.resource = {_BATCH_NAME}
left join published on published.name = convert_to({_BATCH_NAME}, 'UTF8')
order by log, position
"""
_LOG_ENDS_SQL = """
select coalesce(l.platform, n.platform) as platform, coalesce(l.log_size, -1) as log_size,
    coalesce(l.frontier, '') as frontier, coalesce(n.node_count, 0) as node_count
from order_log l
full join (select platform, count(*) as node_count from log_node group by 1) n using (platform)
"""


@dataclass(frozen=True)
class LogPosition:
    """A position of a log: the batch and the head there, and what audit and outbox say of it."""

    platform: str
    index: int
    batch: Batch | None
    head: Checkpoint | None
    audit_hashes: Sequence[bytes]
    events: Sequence[bytes]


@dataclass(frozen=True)
class LogEnd:
    """The end of a log as its row has it, and how many nodes are held. Size -1: no row."""

    size: int
    frontier: list[bytes]
    node_count: int


async def count(tx: Transaction, statement: str, **values: Any) -> int:
    """The count of one of the statements above."""
    return int((await tx.execute(sa.text(statement), values)).scalar_one())


async def list_batch_days(tx: Transaction) -> list[date]:
    """The days, in Asia/Shanghai, on which batches were committed."""
    return list((await tx.execute(sa.text(_BATCH_DAYS_SQL))).scalars())


async def list_missing_batches(tx: Transaction, limit: int) -> list[str]:
    """Batches that the audit or an event names and that are not held."""
    rows = await tx.execute(sa.text(f"{MISSING_BATCHES_SQL} limit :limit"), {"limit": limit})
    return list(rows.scalars())


async def list_log_positions(tx: Transaction, size: int) -> AsyncIterator[list[LogPosition]]:
    """Every position of every log, log by log from its start, in pages of a size."""
    result = await tx.stream(sa.text(_LOG_ENTRIES_SQL).execution_options(yield_per=size))
    async for rows in result.partitions():
        yield [_log_position(row) for row in rows]


async def list_log_ends(tx: Transaction) -> dict[str, LogEnd]:
    """The end of each log by platform."""
    rows = await tx.execute(sa.text(_LOG_ENDS_SQL))
    return {
        row.platform: LogEnd(row.log_size, unpack(bytes(row.frontier)), row.node_count)
        for row in rows
    }


async def list_tallies(tx: Transaction, numbers: Sequence[int]) -> dict[int, list[Tally]]:
    """The tallies of batches, in the order in which they are published."""
    rows = await tx.execute(
        sa.text(
            "select batch_no, pooling_area, industry, service_date - date '1970-01-01' as day,"
            " order_count from order_tally where batch_no = any(:numbers) order by 1, 2, 3, 4"
        ),
        {"numbers": list(numbers)},
    )
    tallies: dict[int, list[Tally]] = {}
    for row in rows:
        line = (row.pooling_area, row.industry, row.day, row.order_count)
        tallies.setdefault(row.batch_no, []).append(line)
    return tallies


def _log_position(row: Any) -> LogPosition:
    head = None
    if row.log_size is not None:
        head = Checkpoint(row.log, row.log_size, bytes(row.head_root), row.note, row.head_time)
    return LogPosition(
        platform=row.log,
        index=row.position,
        # Its rejections and their reasons are recounted.
        batch=None if row.batch_no is None else batch_of(row, {}, []),
        head=head,
        audit_hashes=[bytes(request_hash) for request_hash in row.audit_hashes or ()],
        events=[bytes(payload) for payload in row.events or ()],
    )
