"""Questions about orders and batches, and freezing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.rows import dict_row

from services.kernel.periods import first_moment
from services.orderlog.entries import order_name
from services.orders.domain.changed import RecordsChanged
from services.orders.domain.checks import State, Status
from services.orders.domain.judging import Rejected
from services.orders.domain.records import INLINE_REJECTIONS_MAX, Batch, Record
from services.runtime.storage.database import Transaction, as_database_error, driver_of

# When the first accident was reported that a record lies under: its worker's, within it or on its
# day in Asia/Shanghai.
_FROZEN = """
select min(f.create_time) from order_freeze f where f.worker = o.worker and (
    (f.moment at time zone 'Asia/Shanghai')::date
        = (o.accept_time at time zone 'Asia/Shanghai')::date
    or f.moment >= o.accept_time and (o.end_time is null or f.moment <= o.end_time))
"""

# A record is late if it came after an accident had been reported that this or an earlier revision
# of its order lies under: whatever a correction says, it cannot lead its order away unmarked. Ask
# for orders with all their revisions, or the mark misses some.
_RECORD = f"""
select o.platform, o.order_no, o.revision, o.worker, o.industry, o.state, o.accept_time,
    o.pick_up_time, o.end_time, o.place_of_acceptance as place, coalesce(o.reason, '') as reason,
    o.batch_no, b.batch_id, o.leaf_index, b.create_time,
    coalesce(min(({_FROZEN})) over (
        partition by o.platform, o.order_no order by o.revision) < b.create_time, false) as late
from orders o join order_batch b on b.batch_no = o.batch_no
"""


# The orders, whole, of which one revision names the worker near the moment.
_NEAR = f"""
{_RECORD} join (
    select distinct n.platform, n.order_no from orders n
    where n.worker = %(worker)s and n.accept_time between %(first)s and %(last)s
        and case when n.end_time is null then 'infinity' else n.end_time end >= %(from)s
) near on near.platform = o.platform and near.order_no = o.order_no
"""


async def get_batch(tx: Transaction, platform: str, batch_id: str) -> Batch | None:
    """A batch with its first thousand rejections; None if there is none."""
    row = (
        await tx.execute(
            sa.text(
                "select * from order_batch where platform = :platform and batch_id = :batch_id"
            ),
            {"platform": platform, "batch_id": batch_id},
        )
    ).one_or_none()
    if row is None:
        return None
    refused = row.conflict_count + row.rejected_count
    rejections = await list_rejections(tx, row.batch_no, -1, INLINE_REJECTIONS_MAX)
    return _batch(row, rejections if refused else [])


async def list_batches(tx: Transaction, platform: str, after_index: int, size: int) -> list[Batch]:
    """A platform's batches by their place in its log, without rejections."""
    rows = await tx.execute(
        sa.text(
            "select * from order_batch where platform = :platform and log_index > :after"
            " order by log_index limit :size"
        ),
        {"platform": platform, "after": after_index, "size": size},
    )
    return [_batch(row, []) for row in rows]


async def list_rejections(
    tx: Transaction, batch_no: int, after_index: int, size: int
) -> list[Rejected]:
    """A batch's rejections by index."""
    rows = await tx.execute(
        sa.text(
            "select row_index, order_no, status, field, content from order_rejection"
            " where batch_no = :batch_no and row_index > :after order by row_index limit :size"
        ),
        {"batch_no": batch_no, "after": after_index, "size": size},
    )
    return [
        Rejected(row.row_index, row.order_no, Status(row.status), row.field, row.content)
        for row in rows
    ]


async def revisions_of(tx: Transaction, platform: str, order_no: str) -> list[Record]:
    """All revisions of an order, oldest first. Raises RecordsChanged if one cannot be read."""
    question = sa.text(
        f"{_RECORD} where o.platform = :platform and o.order_no = :order_no order by o.revision"
    )
    with _readable(order_name(platform, order_no)):
        rows = await tx.execute(question, {"platform": platform, "order_no": order_no})
    return [_record(row) for row in rows.mappings()]


async def revisions_near(
    tx: Transaction, worker: int, moment: datetime, margin: timedelta, order_us_max: int
) -> list[Record]:
    """All revisions of the orders of which one names the worker near the moment.

    One index range: an order lasts no longer than intake allows, so acceptance is bounded both
    ways, and the index knows the end too, so that of a worker's week only those rows are read.
    Raises RecordsChanged if one cannot be read.
    """
    driver = await driver_of(tx)
    values = {
        "worker": worker,
        "first": moment - margin - timedelta(microseconds=order_us_max),
        "last": moment + margin,
        "from": moment - margin,
    }
    # Asked for every claim while platforms send: the driver alone takes a third of the time.
    with as_database_error(driver):
        async with driver.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_NEAR, values)
            with _readable(f"workers/{worker}"):
                rows = await cursor.fetchall()
    return [_record(row) for row in rows]


async def list_day(
    tx: Transaction, worker: int, day: date, after: Sequence[str], size: int
) -> list[Record]:
    """The orders a worker accepted on a day in Asia/Shanghai, latest revisions, by acceptance.

    Raises RecordsChanged if one cannot be read.
    """
    keyset = ""
    keys: dict[str, Any] = {}
    if after:
        keyset = " and (o.accept_time, o.platform, o.order_no) > (:moment, :platform, :order_no)"
        moment, platform, order_no = after
        keys = {
            "moment": datetime.fromisoformat(moment),
            "platform": platform,
            "order_no": order_no,
        }
    with _readable(f"workers/{worker}"):
        rows = await tx.execute(
            sa.text(
                "with day as materialized ("
                "select o.platform, o.order_no, o.revision from orders o"
                " where o.worker = :worker and o.accept_time >= :first and o.accept_time < :end"
                " and not exists (select from orders l where l.platform = o.platform"
                f" and l.order_no = o.order_no and l.revision > o.revision){keyset}"
                " order by o.accept_time, o.platform, o.order_no limit :size"
                f") select held.* from ({_RECORD} join day on day.platform = o.platform"
                " and day.order_no = o.order_no) held join day using (platform, order_no, revision)"
                " order by accept_time, platform, order_no"
            ),
            {
                "worker": worker,
                "first": first_moment(day),
                "end": first_moment(day + timedelta(days=1)),
                "size": size,
                **keys,
            },
        )
    return [_record(row) for row in rows.mappings()]


async def insert_freeze(
    tx: Transaction, worker: int, moment: datetime, holder: str, now: datetime
) -> None:
    """Keep a worker's records around a moment; the first time counts."""
    await tx.execute(
        sa.text(
            "insert into order_freeze (worker, moment, holder, create_time)"
            " values (:worker, :moment, :holder, :now) on conflict do nothing"
        ),
        {"worker": worker, "moment": moment, "holder": holder, "now": now},
    )


async def count_day(tx: Transaction, worker: int, day: date) -> int:
    """How many records of a worker were accepted on a day in Asia/Shanghai."""
    found = await tx.execute(
        sa.text(
            "select count(*) from orders where worker = :worker"
            " and accept_time >= :first and accept_time < :end"
        ),
        {
            "worker": worker,
            "first": first_moment(day),
            "end": first_moment(day + timedelta(days=1)),
        },
    )
    return int(found.scalar_one())


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except (sa.exc.DataError, psycopg.DataError) as error:
        raise RecordsChanged(name=name, what="a moment cannot be read") from error


def _record(row: Mapping[Any, Any]) -> Record:
    try:
        state = State(row["state"])
    except ValueError:
        name = order_name(row["platform"], row["order_no"])
        raise RecordsChanged(name=name, what=f"{row['state']} is no state") from None
    return Record(**{**row, "state": state})


def batch_of(
    row: Any, rejected_by_reason: dict[Status, int], rejections: Sequence[Rejected]
) -> Batch:
    """A row of `order_batch`."""
    return Batch(
        platform=row.platform,
        batch_id=row.batch_id,
        batch_no=row.batch_no,
        log_index=row.log_index,
        received_count=row.received_count,
        created_count=row.created_count,
        exists_count=row.exists_count,
        conflict_count=row.conflict_count,
        rejected_count=row.rejected_count,
        rejected_by_reason=rejected_by_reason,
        root=bytes(row.root),
        content_hash=bytes(row.content_hash),
        create_time=row.create_time,
        rejections=rejections,
    )


def _batch(row: Any, rejections: Sequence[Rejected]) -> Batch:
    reasons = {Status(int(status)): count for status, count in row.rejected_by_reason.items()}
    return batch_of(row, reasons, rejections)
