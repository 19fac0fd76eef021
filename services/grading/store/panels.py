"""The pool of specialists, panels and their opinions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.grading.domain.appraisal import (
    Appraisal,
    CareItem,
    Impairment,
    Opinion,
    Specialist,
    State,
)
from services.grading.store.tables import appraisals, opinions, panel_members, specialists
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


async def insert_specialist(tx: Transaction, specialist: Specialist, now: datetime) -> None:
    """Add a specialist, unless the number is held."""
    row = {
        "id": specialist.id,
        "number": specialist.number,
        "field": specialist.field,
        "provincial": specialist.provincial,
        "create_time": now,
    }
    await tx.execute(insert(specialists).values(row).on_conflict_do_nothing())


async def get_specialist(tx: Transaction, number: str) -> Specialist | None:
    """The specialist with a committee's number."""
    statement = sa.select(specialists).where(specialists.c.number == number)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else _specialist(row)


async def list_specialists(tx: Transaction, after: str, size: int) -> list[Specialist]:
    """The pool by number."""
    statement = (
        sa.select(specialists)
        .where(specialists.c.number > after)
        .order_by(specialists.c.number)
        .limit(size)
    )
    return [_specialist(row) for row in await tx.execute(statement)]


async def pool(tx: Transaction, *, provincial: bool) -> list[Specialist]:
    """The specialists of the provincial committee, or of the prefectures'."""
    statement = (
        sa.select(specialists)
        .where(specialists.c.provincial == provincial)
        .order_by(specialists.c.id)
    )
    return [_specialist(row) for row in await tx.execute(statement)]


async def insert_panel(tx: Transaction, appraisal: Appraisal, panel: Sequence[Specialist]) -> None:
    """Keep a panel that was drawn, in the order drawn."""
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


async def get_panel(tx: Transaction, appraisal: Appraisal) -> list[Specialist]:
    """The members of the newest panel of an appraisal; none while it waits for one."""
    if appraisal.state is State.OPENED:
        return []
    statement = (
        sa.select(specialists)
        .join(panel_members, panel_members.c.specialist == specialists.c.id)
        .where(panel_members.c.appraisal == appraisal.id, panel_members.c.draw == appraisal.draw)
        .order_by(panel_members.c.position)
    )
    return [_specialist(row) for row in await tx.execute(statement)]


async def earlier_members(tx: Transaction, appraisal: Appraisal) -> list[str]:
    """The ids of all who sat on panels of the claim's other appraisals."""
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
    """Keep the opinion of a member of the newest panel."""
    specialist = opinion.specialist.removeprefix("specialists/")
    row = {
        "appraisal": appraisal.id,
        "draw": appraisal.draw,
        "specialist": specialist,
        "opinion": cipher.encrypt(_opinion_text(opinion), _opinion_context(appraisal, specialist)),
        "create_time": now,
    }
    await tx.execute(sa.insert(opinions).values(row))


async def get_opinions(
    tx: Transaction, cipher: ColumnCipher, appraisal: Appraisal
) -> list[Opinion]:
    """The opinions of the newest panel, in the order of the panel."""
    if appraisal.state is State.OPENED:
        return []
    table = opinions
    statement = (
        sa.select(table.c.specialist, table.c.opinion)
        .join(
            panel_members,
            sa.and_(
                panel_members.c.appraisal == table.c.appraisal,
                panel_members.c.draw == table.c.draw,
                panel_members.c.specialist == table.c.specialist,
            ),
        )
        .where(table.c.appraisal == appraisal.id, table.c.draw == appraisal.draw)
        .order_by(panel_members.c.position)
    )
    return [
        _opinion(
            f"specialists/{row.specialist}",
            cipher.decrypt(bytes(row.opinion), _opinion_context(appraisal, row.specialist)),
        )
        for row in await tx.execute(statement)
    ]


def _opinion_context(appraisal: Appraisal, specialist: str) -> str:
    return f"opinion:{appraisal.id}:{appraisal.draw}:{specialist}"


def _opinion_text(opinion: Opinion) -> str:
    return json.dumps(
        {
            "impairments": [
                [
                    one.item,
                    one.pre_existing,
                    one.worsened,
                    one.grade_of_injury_alone,
                    one.measure,
                ]
                for one in opinion.impairments
            ],
            "care_items": sorted(item.name for item in opinion.care_items),
        }
    )


def _opinion(specialist: str, text: str) -> Opinion:
    content = json.loads(text)
    return Opinion(
        specialist,
        tuple(Impairment(*row) for row in content["impairments"]),
        frozenset(CareItem[name] for name in content["care_items"]),
    )


def _specialist(row: sa.Row[Any]) -> Specialist:
    return Specialist(row.id, row.number, row.field, row.provincial)
