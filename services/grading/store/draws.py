"""Draws of panels: their seeds, their pools, and who is excluded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.dialects.postgresql import insert as upsert

from services.grading.domain.appraisals import Appraisal
from services.grading.domain.panels import Draw, Exclusion, ExclusionCode, Specialist
from services.grading.store.tables import draws, exclusions, panel_members, seeds
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction

members = panel_members.c


async def insert_seed(
    tx: Transaction,
    cipher: ColumnCipher,
    appraisal: Appraisal,
    seed: tuple[bytes, bytes],
    now: datetime,
) -> None:
    """Commit to the seed of the next draw, unless the draw has one."""
    draw = appraisal.draw + 1
    row = {
        "appraisal": appraisal.id,
        "draw": draw,
        "seed": cipher.encrypt(seed[0].hex(), _context(appraisal.id, draw)),
        "commitment": seed[1],
        "create_time": now,
    }
    await tx.execute(upsert(seeds).values(row).on_conflict_do_nothing())


async def get_seed(tx: Transaction, cipher: ColumnCipher, appraisal_id: str, draw: int) -> bytes:
    """The seed of a draw."""
    statement = sa.select(seeds.c.seed).where(
        seeds.c.appraisal == appraisal_id, seeds.c.draw == draw
    )
    value = bytes((await tx.execute(statement)).scalar_one())
    return bytes.fromhex(cipher.decrypt(value, _context(appraisal_id, draw)))


async def find_commitment(tx: Transaction, appraisal: Appraisal, draw: int) -> bytes:
    """What was published of the seed of a draw; empty if the draw has none."""
    statement = sa.select(seeds.c.commitment).where(
        seeds.c.appraisal == appraisal.id, seeds.c.draw == draw
    )
    return bytes((await tx.execute(statement)).scalar_one_or_none() or b"")


async def insert(
    tx: Transaction,
    appraisal: Appraisal,
    pool: Sequence[Specialist],
    panel: Sequence[Specialist],
    now: datetime,
    *,
    kept: Sequence[Specialist] = (),
) -> None:
    """Record who could be drawn for the newest panel; `kept` stayed from the panel before."""
    row = {
        "appraisal": appraisal.id,
        "draw": appraisal.draw,
        "pool": sorted(specialist.id for specialist in pool),
        "panel_size": len(panel),
        "kept": [specialist.id for specialist in kept],
        "create_time": now,
    }
    await tx.execute(sa.insert(draws).values(row))


async def list_draws(tx: Transaction, cipher: ColumnCipher) -> list[Draw]:
    """All panels that were drawn, as they are on record."""
    panel = (
        sa.select(sa.func.array_agg(aggregate_order_by(members.specialist, members.position)))
        .where(members.appraisal == draws.c.appraisal, members.draw == draws.c.draw)
        .scalar_subquery()
    )
    statement = sa.select(draws, seeds.c.seed, seeds.c.commitment, panel.label("panel")).join(seeds)
    return [
        Draw(
            bytes.fromhex(cipher.decrypt(bytes(row.seed), _context(row.appraisal, row.draw))),
            bytes(row.commitment),
            tuple(row.pool),
            row.panel_size,
            tuple(row.panel or ()),
            tuple(row.kept),
        )
        for row in await tx.execute(statement)
    ]


async def list_exclusions(tx: Transaction, appraisal_id: str) -> list[Exclusion]:
    """The exclusions of an appraisal, by specialist."""
    statement = (
        sa.select(exclusions)
        .where(exclusions.c.appraisal == appraisal_id)
        .order_by(exclusions.c.specialist)
    )
    return [
        Exclusion(row.specialist, ExclusionCode[row.code]) for row in await tx.execute(statement)
    ]


async def insert_exclusion(
    tx: Transaction, appraisal: Appraisal, exclusion: Exclusion, now: datetime
) -> None:
    """Store an exclusion from the next draw on."""
    row = {
        "appraisal": appraisal.id,
        "specialist": exclusion.specialist,
        "code": exclusion.code.name,
        "since_draw": appraisal.draw + 1,
        "create_time": now,
    }
    await tx.execute(sa.insert(exclusions).values(row))


def _context(appraisal_id: str, draw: int) -> str:
    return f"draw_seed:{appraisal_id}:{draw}"
