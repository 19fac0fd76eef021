"""What was heard of claims, and their appraisals."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.grading.domain.appraisal import (
    Appraisal,
    CareDependence,
    Cause,
    Injury,
    Level,
    State,
)
from services.grading.store.tables import appraisals, injuries, notes
from services.runtime.rpc.wire import findings_from_json, findings_to_json
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


async def lock_injury(tx: Transaction, claim: str) -> Injury:
    """What is held of a claim, locked; a claim not heard of yet gets revision 0."""
    first = {"claim": claim, "revision": 0, "appraisable": False, "pooling_area": ""}
    await tx.execute(insert(injuries).values(first).on_conflict_do_nothing())
    statement = sa.select(injuries).where(injuries.c.claim == claim).with_for_update()
    return _injury((await tx.execute(statement)).one())


async def get_injury(tx: Transaction, claim: str) -> Injury | None:
    """What is held of a claim; None if nothing was heard."""
    statement = sa.select(injuries).where(injuries.c.claim == claim)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else _injury(row)


async def update_injury(tx: Transaction, injury: Injury) -> None:
    """Keep what was heard of a claim."""
    await tx.execute(
        sa.update(injuries)
        .where(injuries.c.claim == injury.claim)
        .values(
            revision=injury.revision,
            appraisable=injury.appraisable,
            accident_date=injury.accident_date,
            pooling_area=injury.pooling_area,
        )
    )


async def insert_appraisal(tx: Transaction, appraisal: Appraisal) -> None:
    """Add an appraisal."""
    await tx.execute(sa.insert(appraisals).values(_row(appraisal)))


async def update_appraisal(tx: Transaction, appraisal: Appraisal) -> None:
    """Keep an appraisal as it is now; the caller holds its lock."""
    result = await tx.execute(
        sa.update(appraisals)
        .where(appraisals.c.id == appraisal.id, appraisals.c.revision < appraisal.revision)
        .values(_row(appraisal))
    )
    assert result.rowcount == 1


async def get_appraisal(tx: Transaction, appraisal_id: str) -> Appraisal | None:
    """One appraisal."""
    statement = sa.select(appraisals).where(appraisals.c.id == appraisal_id)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else _appraisal(row)


async def lock_appraisal(tx: Transaction, appraisal_id: str) -> Appraisal | None:
    """One appraisal, locked."""
    statement = sa.select(appraisals).where(appraisals.c.id == appraisal_id).with_for_update()
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else _appraisal(row)


async def lock_newest(tx: Transaction, claim: str, state: State | None = None) -> Appraisal | None:
    """The newest appraisal of a claim, or the newest in a state, locked."""
    wanted = [appraisals.c.state == state.name] if state else []
    statement = (
        sa.select(appraisals)
        .where(appraisals.c.claim == claim, *wanted)
        .order_by(appraisals.c.create_time.desc(), appraisals.c.id.desc())
        .limit(1)
        .with_for_update()
    )
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else _appraisal(row)


async def list_appraisals(
    tx: Transaction,
    states: Iterable[State],
    claim: str,
    after: tuple[date, str] | None,
    size: int,
) -> list[Appraisal]:
    """Appraisals by due date."""
    statement = sa.select(appraisals)
    wanted = [state.name for state in states]
    if wanted:
        statement = statement.where(appraisals.c.state.in_(wanted))
    if claim:
        statement = statement.where(appraisals.c.claim == claim)
    if after is not None:
        key = sa.tuple_(appraisals.c.due_date, appraisals.c.id)
        statement = statement.where(key > sa.tuple_(sa.literal(after[0]), sa.literal(after[1])))
    statement = statement.order_by(appraisals.c.due_date, appraisals.c.id).limit(size)
    return [_appraisal(row) for row in await tx.execute(statement)]


async def insert_note(
    tx: Transaction, cipher: ColumnCipher, appraisal: Appraisal, note: str, now: datetime
) -> None:
    """Keep why the appraisal was changed to its present revision."""
    row = {
        "appraisal": appraisal.id,
        "revision": appraisal.revision,
        "note": cipher.encrypt(note, f"note:{appraisal.id}:{appraisal.revision}"),
        "create_time": now,
    }
    await tx.execute(sa.insert(notes).values(row))


def _row(appraisal: Appraisal) -> dict[str, Any]:
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
        level=Level[row.level],
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


def _injury(row: sa.Row[Any]) -> Injury:
    return Injury(row.claim, row.revision, row.appraisable, row.accident_date, row.pooling_area)
