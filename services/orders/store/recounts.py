"""What verifying asks: recounts of everything in one statement each, and the log from its start."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from services.orderlog.tree import unpack
from services.orders.domain.judging import Tally
from services.orders.domain.records import Batch
from services.orders.store.log import Checkpoint
from services.orders.store.records import batch_of
from services.runtime.storage.database import Transaction

_BATCH = "'platforms/' || b.platform || '/orderBatches/' || b.batch_id"
# The name that an event begins with: field 1, one byte of length (a name has at most 105).
_TOLD_NAME = "substring(payload from 3 for get_byte(payload, 1))"
_TOLD = "subject = 'oip.orders.v1.OrderBatchRecorded' and length(payload) > 1"
_NOTED = "action = 'oip.orders.v1.UploadOrders'"

# Each row belongs to a batch, and a batch has as many rows as its receipt says.
STRAY = """
select count(*) from (
    select batch_no, platform, count(*) as held from orders group by 1, 2
) o full join order_batch b using (batch_no, platform)
where coalesce(o.held, 0) is distinct from b.created_count
"""

# 10 and 11 are the conflicts among the reasons.
RECEIPTS = """
with refused as (
    select batch_no, platform, status, count(*) as row_count from order_rejection group by 1, 2, 3
), counted as (
    select batch_no, platform,
        coalesce(sum(row_count) filter (where status in (10, 11)), 0) as conflict_count,
        coalesce(sum(row_count) filter (where status not in (10, 11)), 0) as rejected_count,
        coalesce(jsonb_object_agg(status, row_count) filter (where status not in (10, 11)), '{}')
            as by_reason
    from refused group by 1, 2
)
select count(*) from order_batch b full join counted c using (batch_no, platform)
where b.batch_id is null
    or b.received_count <> b.created_count + b.exists_count + b.conflict_count + b.rejected_count
    or b.conflict_count <> coalesce(c.conflict_count, 0)
    or b.rejected_count <> coalesce(c.rejected_count, 0)
    or b.rejected_by_reason <> coalesce(c.by_reason, '{}')
"""

# The latest revision of an order counts if it was completed or cancelled, so each revision adds
# itself and takes back the one before it; a batch tells the sum of its own.
TALLIES = """
with walked as (
    select batch_no, platform, pooling_area, industry, state, end_time,
        lag(pooling_area) over before as area_before, lag(industry) over before as industry_before,
        lag(state) over before as state_before, lag(end_time) over before as end_before
    from orders window before as (partition by platform, order_no order by revision)
), recounted as (
    select batch_no, platform, change.pooling_area, change.industry,
        (change.end_time at time zone 'Asia/Shanghai')::date as service_date,
        sum(change.counts) as order_count
    from walked w cross join lateral (values
        (w.pooling_area, w.industry, w.state, w.end_time, 1),
        (w.area_before, w.industry_before, w.state_before, w.end_before, -1)
    ) as change (pooling_area, industry, state, end_time, counts)
    where change.state in (2, 3) group by 1, 2, 3, 4, 5 having sum(change.counts) <> 0
)
select count(*) from recounted r
full join order_tally t using (batch_no, platform, pooling_area, industry, service_date)
where r.order_count is distinct from t.order_count
"""

# Orders whose first revision is not held, and logs that say whether they have such orders.
HEADLESS = """
select count(*) from (
    select platform from headless_order h
    where not exists (select from orders o
            where o.platform = h.platform and o.order_no = h.order_no)
        or exists (select from orders o where o.platform = h.platform
            and o.order_no = h.order_no and o.revision = 1)
    union all
    select platform from orders o where revision > 1
        and not exists (select from orders f where f.platform = o.platform
            and f.order_no = o.order_no and f.revision = 1)
        and not exists (select from headless_order h
            where h.platform = o.platform and h.order_no = o.order_no)
    union all
    select platform from order_log l where has_headless <> exists (
        select from headless_order h where h.platform = l.platform)
) as wrong
"""

# Whoever asked to keep records is in the audit chain, with the worker, the moment and the holder.
FREEZES = """
with asked as (
    select resource, min(time) as first_time from audit
    where action = 'oip.orders.v1.FreezeOrdersRequest' group by 1
), kept as (
    select 'workers/' || worker || '/orderFreezes/'
            || (extract(epoch from moment) * 1000000)::bigint || '/' || holder as resource,
        create_time from order_freeze
)
select count(*) from asked a full join kept k using (resource)
where a.first_time is null or k.create_time is null
    or k.create_time not between a.first_time - interval '1 minute'
        and a.first_time + interval '1 minute'
"""

# What was recorded elsewhere about batches that are not held.
GONE = f"""
select resource from audit where {_NOTED}
    and not exists (select from order_batch b where {_BATCH} = resource)
union
select encode({_TOLD_NAME}, 'escape') from outbox where {_TOLD}
    and not exists (select from order_batch b
        where convert_to({_BATCH}, 'UTF8') = {_TOLD_NAME})
order by 1
"""

# Pooling areas that are not those that intake finds for the place of acceptance. A batch that was
# judged within the hour before the areas changed may have been committed after.
_AREA = """case when place_of_acceptance = any({known}) then place_of_acceptance
    when place_of_acceptance / 100 * 100 = any({known}) then place_of_acceptance / 100 * 100 end"""
MISPLACED = f"""
select count(*) from orders o join order_batch b using (batch_no)
where b.create_time >= :start and b.create_time < :end
    and pooling_area is distinct from {_AREA.format(known=":areas")}
    and (b.create_time >= cast(:start as timestamptz) + interval '1 hour'
        or pooling_area is distinct from {_AREA.format(known=":earlier")})
"""
DAYS = """
select distinct (create_time at time zone 'Asia/Shanghai')::date as day from order_batch
where create_time between '1970-01-01 00:00Z' and '3000-01-01 00:00Z' order by 1
"""

_ENTRIES = f"""
with noted as (
    select resource, array_agg(request_hash) as hashes from audit where {_NOTED} group by 1
), told as (
    select {_TOLD_NAME} as name, array_agg(payload) as events from outbox where {_TOLD} group by 1
)
select b.*, noted.hashes as noted, told.events as told,
    coalesce(b.platform, c.platform) as log, coalesce(b.log_index, c.log_size - 1) as place,
    c.log_size, c.root as head_root, c.note, c.create_time as head_time
from order_batch b
full join checkpoint c on c.platform = b.platform and c.log_size = b.log_index + 1
left join noted on noted.resource = {_BATCH}
left join told on told.name = convert_to({_BATCH}, 'UTF8')
order by log, place
"""
_LOGS = """
select coalesce(l.platform, n.platform) as platform, coalesce(l.log_size, -1) as log_size,
    coalesce(l.frontier, '') as frontier, coalesce(n.node_count, 0) as node_count
from order_log l
full join (select platform, count(*) as node_count from log_node group by 1) n using (platform)
"""


@dataclass(frozen=True)
class Entry:
    """A place of a log: the batch and the head that stand there, and what others recorded of it."""

    platform: str
    index: int
    batch: Batch | None
    head: Checkpoint | None
    noted: Sequence[bytes]
    told: Sequence[bytes]


@dataclass(frozen=True)
class LogEnd:
    """What a log goes on from, and how many nodes are held of it."""

    size: int
    frontier: list[bytes]
    node_count: int


async def count(tx: Transaction, question: str, **values: Any) -> int:
    """The answer to one of the questions above."""
    return int((await tx.execute(sa.text(question), values)).scalar_one())


async def days(tx: Transaction) -> list[date]:
    """The days, in Asia/Shanghai, on which batches were committed."""
    return list((await tx.execute(sa.text(DAYS))).scalars())


async def gone(tx: Transaction, most: int) -> list[str]:
    """Batches that the audit or an event names and that are not held."""
    rows = await tx.execute(sa.text(f"{GONE} limit :most"), {"most": most})
    return list(rows.scalars())


async def entries(tx: Transaction, size: int) -> AsyncIterator[list[Entry]]:
    """Every place of every log, log by log from its start, so many at a time."""
    result = await tx.stream(sa.text(_ENTRIES).execution_options(yield_per=size))
    async for rows in result.partitions():
        yield [_entry(row) for row in rows]


async def log_ends(tx: Transaction) -> dict[str, LogEnd]:
    """The end of each log by platform."""
    rows = await tx.execute(sa.text(_LOGS))
    return {
        row.platform: LogEnd(row.log_size, unpack(bytes(row.frontier)), row.node_count)
        for row in rows
    }


async def tallies_of(tx: Transaction, numbers: Sequence[int]) -> dict[int, list[Tally]]:
    """The tallies of batches, in the order in which they were told."""
    rows = await tx.execute(
        sa.text(
            "select batch_no, pooling_area, industry, service_date - date '1970-01-01' as day,"
            " order_count from order_tally where batch_no = any(:numbers) order by 1, 2, 3, 4"
        ),
        {"numbers": list(numbers)},
    )
    found: dict[int, list[Tally]] = {}
    for row in rows:
        line = (row.pooling_area, row.industry, row.day, row.order_count)
        found.setdefault(row.batch_no, []).append(line)
    return found


def _entry(row: Any) -> Entry:
    head = None
    if row.log_size is not None:
        head = Checkpoint(row.log, row.log_size, bytes(row.head_root), row.note, row.head_time)
    return Entry(
        platform=row.log,
        index=row.place,
        # Its rejections and their reasons are recounted.
        batch=None if row.batch_no is None else batch_of(row, {}, []),
        head=head,
        noted=[bytes(one) for one in row.noted or ()],
        told=[bytes(one) for one in row.told or ()],
    )
