"""The parts of an archive: the batches of a month by log index, and their rows in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from services.runtime.storage.database import Transaction, as_database_error, driver_of

# In the order of orderlog.columns.SCHEMA. Batch numbers follow the log only roughly, so the rows
# follow the order in which the batches are given.
_ROWS_SQL = """
copy (
    select order_no, revision, worker, industry, state,
        (extract(epoch from accept_time) * 1000000)::bigint,
        (extract(epoch from pick_up_time) * 1000000)::bigint,
        (extract(epoch from end_time) * 1000000)::bigint,
        place_of_acceptance, nullif(reason, '')
    from orders where batch_no = any(%(numbers)s::bigint[])
    order by array_position(%(numbers)s::bigint[], batch_no), leaf_index
) to stdout (format csv)
"""


@dataclass(frozen=True)
class Extent:
    """The batches of some months in a platform's log: log indexes [start, end), and their rows."""

    start: int
    end: int
    row_count: int


async def get_extent(tx: Transaction, platform: str, first: datetime, end: datetime) -> Extent:
    """The batches from the first one taken at `first` or later up to the first at `end` or later.

    Both bounds are found in the same way, so months leave no batch out and share none.
    """
    row = (
        await tx.execute(
            sa.text(
                "with bound as (select coalesce(min(log_index) filter (where create_time >= :end),"
                " max(log_index) + 1, 0) as later,"
                " min(log_index) filter (where create_time >= :first) as first"
                " from order_batch where platform = :platform)"
                " select coalesce(first, later) as start, later, (select"
                " coalesce(sum(created_count), 0)::bigint from order_batch"
                " where platform = :platform and log_index >= first and log_index < later)"
                " as row_count from bound"
            ),
            {"platform": platform, "first": first, "end": end},
        )
    ).one()
    return Extent(row.start, row.later, row.row_count)


async def get_rows_as_csv(tx: Transaction, batch_numbers: Sequence[int]) -> bytes:
    """The rows of batches as CSV, batch by batch in the order given, each in leaf order."""
    driver = await driver_of(tx)
    content = bytearray()
    with as_database_error(driver):
        async with (
            driver.cursor() as cursor,
            cursor.copy(_ROWS_SQL, {"numbers": list(batch_numbers)}) as source,
        ):
            async for part in source:
                content += part
    return bytes(content)
