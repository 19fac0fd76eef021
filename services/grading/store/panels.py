"""Panels and their opinions; opinions say what is wrong with a person and are encrypted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.grading.domain.appraisals import Appraisal
from services.grading.domain.care import CareItem
from services.grading.domain.grades import Impairment
from services.grading.domain.panels import Opinion, Specialist, specialist_name
from services.grading.store import ciphers
from services.grading.store.specialists import selection, specialist_of
from services.grading.store.tables import appraisals, opinions, panel_members, specialists
from services.kernel import names
from services.runtime.storage import data_keys
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction

# The opinion about a worker who was erased.
_ERASED = json.dumps({"impairments": [], "care_items": []})


async def insert(tx: Transaction, appraisal: Appraisal, panel: Sequence[Specialist]) -> None:
    """Add the newest panel of an appraisal, in the order drawn."""
    rows = [
        {
            "appraisal": appraisal.id,
            "draw": appraisal.draw,
            "position": position,
            "specialist": member.id,
        }
        for position, member in enumerate(panel, start=1)
    ]
    await tx.execute(sa.insert(panel_members), rows)


async def list_members(tx: Transaction, appraisal: Appraisal) -> list[Specialist]:
    """The members of the newest panel, in the order drawn; none before it is drawn."""
    if not appraisal.has_panel:
        return []
    statement = (
        selection()
        .join(panel_members, panel_members.c.specialist == specialists.c.id)
        .where(panel_members.c.appraisal == appraisal.id, panel_members.c.draw == appraisal.draw)
        .order_by(panel_members.c.position)
    )
    return [specialist_of(row) for row in await tx.execute(statement)]


async def list_earlier_members(tx: Transaction, appraisal: Appraisal) -> list[str]:
    """The ids of all specialists on panels of the claim's other appraisals."""
    statement = (
        sa.select(panel_members.c.specialist)
        .distinct()
        .join(appraisals, appraisals.c.id == panel_members.c.appraisal)
        .where(appraisals.c.claim == appraisal.claim, appraisals.c.id != appraisal.id)
        .order_by(panel_members.c.specialist)
    )
    return list((await tx.execute(statement)).scalars())


async def insert_opinion(
    tx: Transaction, cipher: ColumnCipher, appraisal: Appraisal, opinion: Opinion, now: datetime
) -> None:
    """Add the opinion of a member of the newest panel."""
    (specialist,) = names.parse(opinion.specialist, "specialists")
    cipher = await ciphers.get_of_claim(tx, cipher, appraisal.claim)
    row = {
        "appraisal": appraisal.id,
        "draw": appraisal.draw,
        "specialist": specialist,
        "opinion": cipher.encrypt(_opinion_json(opinion), _context(appraisal, specialist)),
        "create_time": now,
    }
    await tx.execute(sa.insert(opinions).values(row))


async def list_opinions(
    tx: Transaction, cipher: ColumnCipher, appraisal: Appraisal
) -> list[Opinion]:
    """The opinions of the newest panel, in the order of the panel."""
    if not appraisal.has_panel:
        return []
    statement = (
        sa.select(opinions.c.specialist, opinions.c.opinion)
        .join(
            panel_members,
            sa.and_(
                panel_members.c.appraisal == opinions.c.appraisal,
                panel_members.c.draw == opinions.c.draw,
                panel_members.c.specialist == opinions.c.specialist,
            ),
        )
        .where(opinions.c.appraisal == appraisal.id, opinions.c.draw == appraisal.draw)
        .order_by(panel_members.c.position)
    )
    rows = (await tx.execute(statement)).all()
    cipher = await data_keys.for_rows(tx, cipher, rows)
    return [
        _opinion(
            row.specialist,
            cipher.show(bytes(row.opinion), _context(appraisal, row.specialist), erased=_ERASED),
        )
        for row in rows
    ]


def _context(appraisal: Appraisal, specialist: str) -> str:
    return f"opinion:{appraisal.id}:{appraisal.draw}:{specialist}"


def _opinion_json(opinion: Opinion) -> str:
    return json.dumps(
        {
            "impairments": [asdict(impairment) for impairment in opinion.impairments],
            "care_items": sorted(item.name for item in opinion.care_items),
        }
    )


def _opinion(specialist: str, text: str) -> Opinion:
    content = json.loads(text)
    return Opinion(
        specialist_name(specialist),
        tuple(_impairment(**row) for row in content["impairments"]),
        frozenset(CareItem[name] for name in content["care_items"]),
    )


def _impairment(measurements: list[tuple[str, str]], **fields: Any) -> Impairment:
    pairs = tuple((name, value) for name, value in measurements)
    return Impairment(measurements=pairs, **fields)
