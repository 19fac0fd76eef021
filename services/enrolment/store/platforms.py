"""Registered platforms."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert

from services.enrolment.domain.platforms import Platform, RegisteredPlatform, platform_name
from services.enrolment.store.tables import platforms
from services.kernel.problems import NotFound
from services.kernel.scheme import Industry
from services.runtime.storage.database import Transaction


async def insert(tx: Transaction, platform: Platform, now: datetime) -> bool:
    """Add a platform; False if its credit code is registered already."""
    statement = (
        upsert(platforms)
        .values(
            credit_code=platform.credit_code,
            display_name=platform.display_name,
            industries=[industry.value for industry in platform.industries],
            create_time=now,
            revision=1,
        )
        .on_conflict_do_nothing()
        .returning(platforms.c.credit_code)
    )
    return (await tx.execute(statement)).first() is not None


async def get(tx: Transaction, credit_code: str) -> RegisteredPlatform:
    """The platform with a credit code; raises NotFound."""
    statement = sa.select(platforms).where(platforms.c.credit_code == credit_code)
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise NotFound(name=platform_name(credit_code))
    return _platform(row)


async def list_by_code(tx: Transaction, after: str, size: int) -> list[RegisteredPlatform]:
    """At most `size` platforms with a credit code above `after`, in its order."""
    statement = (
        sa.select(platforms)
        .where(platforms.c.credit_code > after)
        .order_by(platforms.c.credit_code)
        .limit(size)
    )
    return [_platform(row) for row in await tx.execute(statement)]


async def lock(tx: Transaction, credit_code: str) -> bool:
    """Let one enrolment of a platform run at a time; False if the platform is not registered."""
    statement = (
        sa.select(platforms.c.credit_code)
        .where(platforms.c.credit_code == credit_code)
        .with_for_update(key_share=False)
    )
    return (await tx.execute(statement)).first() is not None


def _platform(row: sa.Row[tuple[object, ...]]) -> RegisteredPlatform:
    platform = Platform(
        row.credit_code, row.display_name, tuple(Industry(number) for number in row.industries)
    )
    return RegisteredPlatform(platform, row.create_time, row.revision)
