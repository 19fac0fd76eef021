"""Registrations: local copy of the platforms' industries, fed by PlatformRegistered."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.premiums.store.tables import platforms
from services.runtime.storage.database import Transaction


async def update(tx: Transaction, platform: str, revision: int, industries: Sequence[int]) -> None:
    """Replace a platform's industries unless a newer revision is stored."""
    values = {"revision": revision, "industries": list(industries)}
    statement = insert(platforms).values(platform=platform, **values)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["platform"], set_=values, where=platforms.c.revision < revision
        )
    )


async def find_industries(tx: Transaction, platform: str) -> tuple[int, ...] | None:
    """The industries that a platform is registered for; None if it is not known yet."""
    statement = sa.select(platforms.c.industries).where(platforms.c.platform == platform)
    industries = (await tx.execute(statement)).scalar_one_or_none()
    return None if industries is None else tuple(industries)
