"""Order records by their number, by worker and moment, by day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.rows import dict_row

from services.kernel.periods import first_moment
from services.kernel.phrases import Phrase
from services.orderlog.entries import order_name
from services.orders.domain.orders import Record
from services.orders.domain.problems import RecordsChanged
from services.orders.domain.row_rules import State
from services.runtime.storage.database import Transaction, as_database_error, driver_of

# When the first accident was reported that a record covers: one of its worker, within the order or
# on the day of its acceptance in Asia/Shanghai.
_REPORT_TIME_SQL = """
select min(f.create_time) from order_freeze f where f.worker = o.worker and (
    (f.moment at time zone 'Asia/Shanghai')::date
        = (o.accept_time at time zone 'Asia/Shanghai')::date
    or f.moment >= o.accept_time and (o.end_time is null or f.moment <= o.end_time))
"""

# `domain.orders.lateness` says which records are late. It is SQL because nothing stores it: it is
# asked of each record found, and reports and earlier revisions lie here, not with the caller. The
# query must see all revisions of an order, or the mark misses some.
_RECORDS_SQL = f"""
select o.platform, o.order_no, o.revision, o.worker, o.industry, o.state, o.accept_time,
    o.pick_up_time, o.end_time, o.place_of_acceptance as place, coalesce(o.reason, '') as reason,
    o.batch_no, b.batch_id, o.leaf_index, b.create_time,
    coalesce(min(({_REPORT_TIME_SQL})) over (
        partition by o.platform, o.order_no order by o.revision) < b.create_time, false) as late
from orders o join order_batch b on b.batch_no = o.batch_no
"""

# All revisions of the orders of which one names the worker near the moment.
_NEAR_SQL = f"""
{_RECORDS_SQL} join (
    select distinct n.platform, n.order_no from orders n
    where n.worker = %(worker)s and n.accept_time between %(first)s and %(last)s
        and case when n.end_time is null then 'infinity' else n.end_time end >= %(from)s
) near on near.platform = o.platform and near.order_no = o.order_no
"""


async def list_revisions(tx: Transaction, platform: str, order_no: str) -> list[Record]:
    """All revisions of an order, oldest first. Raises RecordsChanged if one cannot be read."""
    statement = sa.text(
        f"{_RECORDS_SQL} where o.platform = :platform and o.order_no = :order_no"
        " order by o.revision"
    )
    with _readable(order_name(platform, order_no)):
        rows = await tx.execute(statement, {"platform": platform, "order_no": order_no})
    return [_record(row) for row in rows.mappings()]


async def list_revisions_near(
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
    # Runs for every claim while platforms upload; the bare driver takes a third of the time.
    with as_database_error(driver):
        async with driver.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_NEAR_SQL, values)
            with _readable(f"workers/{worker}"):
                rows = await cursor.fetchall()
    return [_record(row) for row in rows]


async def list_of_day(
    tx: Transaction, worker: int, day: date, after: tuple[datetime, str, str] | None, size: int
) -> list[Record]:
    """The orders a worker accepted on a day in Asia/Shanghai, by acceptance.

    Each is the latest revision that names the worker. `after` is the time of acceptance, the
    platform and the number of the last order of the page before. Raises RecordsChanged if one
    cannot be read.
    """
    keyset = ""
    keys: dict[str, Any] = {}
    if after is not None:
        keyset = " and (o.accept_time, o.platform, o.order_no) > (:moment, :platform, :order_no)"
        keys = dict(zip(("moment", "platform", "order_no"), after, strict=True))
    with _readable(f"workers/{worker}"):
        rows = await tx.execute(
            sa.text(
                "with day as materialized ("
                "select o.platform, o.order_no, o.revision from orders o"
                " where o.worker = :worker and o.accept_time >= :first and o.accept_time < :end"
                " and not exists (select from orders l where l.platform = o.platform"
                " and l.order_no = o.order_no and l.worker = o.worker"
                f" and l.revision > o.revision){keyset}"
                " order by o.accept_time, o.platform, o.order_no limit :size"
                f") select held.* from ({_RECORDS_SQL} join day on day.platform = o.platform"
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


async def count_of_day(tx: Transaction, worker: int, day: date) -> int:
    """How many records of a worker were accepted on a day in Asia/Shanghai."""
    result = await tx.execute(
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
    return int(result.scalar_one())


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except (sa.exc.DataError, psycopg.DataError) as error:
        raise RecordsChanged(
            name=name, what=Phrase("MOMENT", "a moment cannot be read", "有时间无法读取")
        ) from error


def _record(row: Mapping[Any, Any]) -> Record:
    try:
        state = State(row["state"])
    except ValueError:
        name = order_name(row["platform"], row["order_no"])
        raise RecordsChanged(
            name=name,
            what=Phrase.of(
                "STATE", "{state} is not a state", "{state} 不是订单状态", state=row["state"]
            ),
        ) from None
    return Record(**{**row, "state": state})
