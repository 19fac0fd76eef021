"""Moments around which a worker's records are kept."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from services.runtime.storage.database import Transaction


async def insert(
    tx: Transaction, worker: int, moment: datetime, holder: str, now: datetime
) -> None:
    """Keep a worker's records around a moment; a repeat changes nothing."""
    await tx.execute(
        sa.text(
            "insert into order_freeze (worker, moment, holder, create_time)"
            " values (:worker, :moment, :holder, :now) on conflict do nothing"
        ),
        {"worker": worker, "moment": moment, "holder": holder, "now": now},
    )
