"""Batches with their rejections and tallies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from services.orders.domain.batches import INLINE_REJECTIONS_MAX, Batch, Rejection, Tally
from services.orders.domain.row_rules import Status
from services.runtime.storage.database import Transaction


async def get(tx: Transaction, platform: str, batch_id: str) -> Batch | None:
    """A batch with its first thousand rejections; None if it does not exist."""
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


async def list_after(tx: Transaction, platform: str, after: int, size: int) -> list[Batch]:
    """A platform's batches by log index, without rejections."""
    rows = await tx.execute(
        sa.text(
            "select * from order_batch where platform = :platform and log_index > :after"
            " order by log_index limit :size"
        ),
        {"platform": platform, "after": after, "size": size},
    )
    return [_batch(row, []) for row in rows]


async def list_newest(tx: Transaction, platform: str, before: int | None, size: int) -> list[Batch]:
    """A platform's batches below a log index, newest first, without rejections."""
    rows = await tx.execute(
        sa.text(
            "select * from order_batch where platform = :platform"
            " and (cast(:before as bigint) is null or log_index < :before)"
            " order by log_index desc limit :size"
        ),
        {"platform": platform, "before": before, "size": size},
    )
    return [_batch(row, []) for row in rows]


async def count_batches(tx: Transaction, platform: str) -> int:
    """The number of a platform's batches."""
    statement = sa.text("select count(*) from order_batch where platform = :platform")
    return int((await tx.execute(statement, {"platform": platform})).scalar_one())


async def list_rejections(tx: Transaction, batch_no: int, after: int, size: int) -> list[Rejection]:
    """A batch's rejections by index."""
    rows = await tx.execute(
        sa.text(
            "select row_index, order_no, status, field, content from order_rejection"
            " where batch_no = :batch_no and row_index > :after order by row_index limit :size"
        ),
        {"batch_no": batch_no, "after": after, "size": size},
    )
    return [
        Rejection(row.row_index, row.order_no, Status(row.status), row.field, row.content)
        for row in rows
    ]


async def insert(tx: Transaction, batch: Batch, tallies: Sequence[Tally]) -> None:
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
    keys = {"batch_no": batch.batch_no, "platform": batch.platform}
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
            {**keys, "areas": areas, "industries": industries, "days": days, "counts": counts},
        )
    if batch.rejections:
        await _insert_rejections(tx, keys, batch.rejections)


def batch_of(
    row: Any, rejected_by_reason: dict[Status, int], rejections: Sequence[Rejection]
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


def _batch(row: Any, rejections: Sequence[Rejection]) -> Batch:
    reasons = {Status(int(status)): count for status, count in row.rejected_by_reason.items()}
    return batch_of(row, reasons, rejections)


async def _insert_rejections(
    tx: Transaction, keys: dict[str, Any], rejections: Sequence[Rejection]
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
            **keys,
            "indexes": [row.index for row in rejections],
            "order_nos": [row.order_no for row in rejections],
            "statuses": [int(row.status) for row in rejections],
            "fields": [row.field for row in rejections],
            "contents": [
                None if row.content is None else json.dumps(row.content, ensure_ascii=False)
                for row in rejections
            ],
        },
    )
