"""Local copy of enrolments, fed by WorkersEnrolled."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from services.runtime.storage.database import Transaction


async def list_enrolled(tx: Transaction, platform: str, workers: Iterable[int]) -> set[int]:
    """Those of these workers that are enrolled with the platform."""
    rows = await tx.execute(
        sa.text(
            "select worker from platform_worker"
            " where platform = :platform and worker = any(cast(:workers as bigint[]))"
        ),
        # As text, because the driver adapts the numbers of a list one by one.
        {"platform": platform, "workers": f"{{{','.join(map(str, workers))}}}"},
    )
    return set(rows.scalars())


async def insert(tx: Transaction, platform: str, workers: Iterable[int]) -> None:
    """Add enrolments; a repeat changes nothing."""
    await tx.execute(
        sa.text(
            "insert into platform_worker (platform, worker)"
            " select :platform, worker from unnest(cast(:workers as bigint[])) as row (worker)"
            " on conflict do nothing"
        ),
        {"platform": platform, "workers": list(workers)},
    )
