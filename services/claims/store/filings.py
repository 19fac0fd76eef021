"""Filings: the claims of the parties, with those that are part of another claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from services.claims.domain.accidents import Filing
from services.claims.domain.claim import Claim, ClaimState
from services.claims.store import accidents as accident_store
from services.claims.store import claims as claim_store
from services.claims.store.tables import answers, claims, contests
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class FilingFilter:
    """Which filings to list; what is empty does not filter."""

    claim_id: str = ""
    open_only: bool = False


async def get(tx: Transaction, cipher: ColumnCipher, claim_id: str) -> Filing:
    """A filing; raises NotFound for one that the transaction may not see."""
    claim, description = await claim_store.get_with_description(tx, cipher, claim_id)
    return (await _filings(tx, cipher, [(claim, description)]))[0]


async def list_by_time(
    tx: Transaction,
    cipher: ColumnCipher,
    chosen: FilingFilter,
    *,
    after: tuple[datetime, str] | tuple[()],
    size: int,
) -> list[Filing]:
    """Filings after a key (create time, id), oldest first."""
    time, claim_id = claims.c.create_time, claims.c.claim_id
    statement = sa.select(claims).order_by(time, claim_id).limit(size)
    if chosen.claim_id:
        statement = statement.where(_is_part_of(chosen.claim_id))
    if chosen.open_only:
        statement = statement.where(is_open())
    if after:
        key = sa.tuple_(time, claim_id)
        statement = statement.where(key > sa.tuple_(*(sa.literal(part) for part in after)))
    rows = await claim_store.find_with_description(tx, cipher, statement)
    return await _filings(tx, cipher, rows)


async def _filings(
    tx: Transaction, cipher: ColumnCipher, rows: Sequence[tuple[Claim, str]]
) -> list[Filing]:
    ids = [claim.id for claim, _ in rows]
    answers_of = await accident_store.find_answers(tx, cipher, ids)
    contests_of = await accident_store.find_contests(tx, cipher, ids)
    return [
        Filing(claim, description, answers_of.get(claim.id, ()), contests_of.get(claim.id, ()))
        for claim, description in rows
    ]


def _is_part_of(claim_id: str) -> sa.ColumnElement[bool]:
    return sa.or_(claims.c.claim_id == claim_id, claims.c.merged_into == claim_id)


def is_open() -> sa.ColumnElement[bool]:
    """Pending, or contested since the last answer; `Filing.is_open` says the same."""
    answer_count = (
        sa.select(sa.func.count())
        .where(answers.c.claim_id == claims.c.claim_id)
        .correlate(claims)
        .scalar_subquery()
    )
    contested = sa.exists().where(
        contests.c.claim_id == claims.c.claim_id, contests.c.answer_count == answer_count
    )
    return sa.or_(claims.c.state == ClaimState.PENDING.value, contested)
