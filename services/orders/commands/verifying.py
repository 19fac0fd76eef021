"""Re-computes what orders answers for, from the rows: receipts, tallies, roots and logs."""

from __future__ import annotations

import sqlalchemy as sa

from services.orders.domain import merkle
from services.orders.domain.records import batch_name, log_entry
from services.orders.store import log as store
from services.runtime.database import Transaction
from services.runtime.running import Check

BATCHES_AT_A_TIME = 20
SHOWN_MAX = 5

# Each row belongs to a batch, and a batch has as many rows as its receipt says.
_STRAY = """
select count(*) from (
    select batch_no, count(*) as held from orders group by batch_no
) o full join order_batch b using (batch_no)
where coalesce(o.held, 0) is distinct from b.created_count
"""

_RECEIPTS = """
select count(*) from order_batch b
where b.received_count <> b.created_count + b.exists_count + b.conflict_count + b.rejected_count
    or b.conflict_count + b.rejected_count
        <> (select count(*) from order_rejection r where r.batch_no = b.batch_no)
"""

# The latest revision of an order counts if it was completed or cancelled.
_TALLIES = """
with latest as (
    select distinct on (platform, order_no)
        platform, pooling_area, industry, state, end_time
    from orders order by platform, order_no, revision desc
), recounted as (
    select platform, pooling_area, industry,
        (end_time at time zone 'Asia/Shanghai')::date as service_date, count(*) as order_count
    from latest where state in (2, 3) group by 1, 2, 3, 4
), told as (
    select platform, pooling_area, industry, service_date, sum(order_count) as order_count
    from order_tally group by 1, 2, 3, 4 having sum(order_count) <> 0
)
select count(*) from recounted r
full join told t using (platform, pooling_area, industry, service_date)
where r.order_count is distinct from t.order_count
"""


async def verify(tx: Transaction) -> list[Check]:
    """The invariants that orders answers for."""
    stray = await _count(tx, _STRAY)
    receipts = await _count(tx, _RECEIPTS)
    tallies = await _count(tx, _TALLIES)
    changed = await _changed(tx)
    return [
        Check(
            "I2",
            "every accepted order is stored once, and each batch has as many as its receipt says",
            stray == 0,
            f"{stray} batches differ",
        ),
        Check(
            "I13",
            "received = created + exists + conflict + rejected in every batch",
            receipts == 0,
            f"{receipts} batches differ",
        ),
        Check(
            "I2-tallies",
            "the tallies told are those that a recount of the orders gives",
            tallies == 0,
            f"{tallies} lines differ",
        ),
        Check(
            "I5",
            "the rows of each batch give its root, and the roots give the signed head of the log",
            not changed,
            "; ".join(changed[:SHOWN_MAX]) or "no difference",
        ),
    ]


async def _changed(tx: Transaction) -> list[str]:
    """What no longer fits: batches by name, logs by their platform and size."""
    found: list[str] = []
    entries: dict[str, dict[int, bytes]] = {}
    after = 0
    while batches := await store.hashes_after(tx, after, BATCHES_AT_A_TIME):
        for batch in batches:
            hashes = merkle.unpack(batch.packed)
            name = batch_name(batch.platform, batch.batch_id)
            if merkle.root(hashes) != batch.root:
                found.append(f"the rows of {name} do not give its root")
            entry = log_entry(batch.created_count, batch.create_time, batch.root, name)
            entries.setdefault(batch.platform, {})[batch.log_index] = merkle.leaf_hash(entry)
        after = batches[-1].batch_no
    platforms = await tx.execute(sa.text("select platform, log_size from order_log order by 1"))
    for platform, size in platforms.all():
        found += await _check_log(tx, platform, size, entries.get(platform, {}))
    return found


async def _check_log(
    tx: Transaction, platform: str, size: int, entries: dict[int, bytes]
) -> list[str]:
    head = await store.get_checkpoint(tx, platform)
    if sorted(entries) != list(range(size)) or (head.log_size if head else 0) != size:
        missing = sorted(set(range(size)) - set(entries))
        return [f"the log of {platform} has {size} batches; missing are {missing[:SHOWN_MAX]}"]
    root = merkle.root([entries[index] for index in range(size)])
    if head is not None and head.root != root:
        return [f"the batches of {platform} do not give the head of its log at {size}"]
    return []


async def _count(tx: Transaction, question: str) -> int:
    return int((await tx.execute(sa.text(question))).scalar_one())
