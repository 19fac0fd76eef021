"""Local copy of the registered platforms, fed by PlatformRegistered."""

from __future__ import annotations

import sqlalchemy as sa

from services.runtime.storage.database import Transaction


async def find(tx: Transaction, platform: str) -> bool:
    """Whether the platform is registered."""
    result = await tx.execute(
        sa.text("select exists (select from registered_platform where platform = :platform)"),
        {"platform": platform},
    )
    return bool(result.scalar_one())


async def insert(tx: Transaction, platform: str) -> None:
    """Add a platform; a repeat changes nothing."""
    await tx.execute(
        sa.text("insert into registered_platform values (:platform) on conflict do nothing"),
        {"platform": platform},
    )
