"""Appraisals, and the encrypted notes on why one was deferred or extended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from services.grading.domain.appraisals import Appraisal, Cause, State, appraisal_name
from services.grading.store.tables import appraisals, notes
from services.kernel.problems import NotFound
from services.kernel.scheme import AppraisalLevel, CareDependence
from services.runtime.rpc.wire import findings_from_json, findings_to_json
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import StaleRevisionError, Transaction


async def insert(tx: Transaction, appraisal: Appraisal) -> None:
    """Add an appraisal."""
    await tx.execute(sa.insert(appraisals).values(_values(appraisal)))


async def update(tx: Transaction, appraisal: Appraisal) -> None:
    """Save a newer revision of an appraisal; the caller holds its lock."""
    result = await tx.execute(
        sa.update(appraisals)
        .where(appraisals.c.id == appraisal.id, appraisals.c.revision < appraisal.revision)
        .values(_values(appraisal))
    )
    if result.rowcount != 1:
        raise StaleRevisionError(appraisal.name)


async def get(tx: Transaction, appraisal_id: str) -> Appraisal:
    """The appraisal with an id; raises NotFound."""
    return await _get(tx, appraisal_id, sa.select(appraisals))


async def lock(tx: Transaction, appraisal_id: str) -> Appraisal:
    """The appraisal with an id, locked; raises NotFound."""
    return await _get(tx, appraisal_id, sa.select(appraisals).with_for_update())


async def lock_newest(tx: Transaction, claim: str, state: State | None = None) -> Appraisal | None:
    """The newest appraisal of a claim, or the newest in a state, locked; None without any."""
    statement = (
        sa.select(appraisals)
        .where(appraisals.c.claim == claim)
        .order_by(appraisals.c.create_time.desc(), appraisals.c.id.desc())
        .limit(1)
        .with_for_update()
    )
    if state is not None:
        statement = statement.where(appraisals.c.state == state.name)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else _appraisal(row)


async def list_by_due_date(
    tx: Transaction,
    states: Sequence[State],
    claim: str,
    after: tuple[date, str] | tuple[()],
    size: int,
) -> list[Appraisal]:
    """At most `size` appraisals by due date and id, from the one behind `after` on.

    Without states, and with an empty claim, all appraisals count.
    """
    statement = sa.select(appraisals)
    if states:
        statement = statement.where(appraisals.c.state.in_([state.name for state in states]))
    if claim:
        statement = statement.where(appraisals.c.claim == claim)
    if after:
        due_date, appraisal_id = after
        key = sa.tuple_(appraisals.c.due_date, appraisals.c.id)
        statement = statement.where(key > sa.tuple_(sa.literal(due_date), sa.literal(appraisal_id)))
    statement = statement.order_by(appraisals.c.due_date, appraisals.c.id).limit(size)
    return [_appraisal(row) for row in await tx.execute(statement)]


async def insert_note(
    tx: Transaction, cipher: ColumnCipher, appraisal: Appraisal, note: str, now: datetime
) -> None:
    """Add the reason for the appraisal's present revision."""
    row = {
        "appraisal": appraisal.id,
        "revision": appraisal.revision,
        "note": cipher.encrypt(note, f"note:{appraisal.id}:{appraisal.revision}"),
        "create_time": now,
    }
    await tx.execute(sa.insert(notes).values(row))


async def _get(
    tx: Transaction, appraisal_id: str, statement: sa.Select[tuple[Any, ...]]
) -> Appraisal:
    row = (await tx.execute(statement.where(appraisals.c.id == appraisal_id))).one_or_none()
    if row is None:
        raise NotFound(name=appraisal_name(appraisal_id))
    return _appraisal(row)


def _values(appraisal: Appraisal) -> dict[str, Any]:
    care = appraisal.care_dependence
    return {
        "id": appraisal.id,
        "claim": appraisal.claim,
        "level": appraisal.level.name,
        "state": appraisal.state.name,
        "due_date": appraisal.due_date,
        "create_time": appraisal.create_time,
        "previous": appraisal.previous,
        "not_before": appraisal.not_before,
        "extended": appraisal.extended,
        "absence_count": appraisal.absence_count,
        "draw": appraisal.draw,
        "grade": appraisal.grade,
        "care_dependence": care.name if care else None,
        "findings": findings_to_json(appraisal.findings),
        "conclude_date": appraisal.conclude_date,
        "cause": appraisal.cause.name if appraisal.cause else None,
        "revision": appraisal.revision,
    }


def _appraisal(row: sa.Row[Any]) -> Appraisal:
    return Appraisal(
        id=row.id,
        claim=row.claim,
        level=AppraisalLevel[row.level],
        state=State[row.state],
        due_date=row.due_date,
        create_time=row.create_time,
        previous=row.previous,
        not_before=row.not_before,
        extended=row.extended,
        absence_count=row.absence_count,
        draw=row.draw,
        grade=row.grade,
        care_dependence=CareDependence[row.care_dependence] if row.care_dependence else None,
        findings=findings_from_json(row.findings),
        conclude_date=row.conclude_date,
        cause=Cause[row.cause] if row.cause else None,
        revision=row.revision,
    )
