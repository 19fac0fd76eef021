"""Appraisals, and the words with which a step was taken; findings and words are encrypted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.grading.domain.appraisals import (
    OPEN_STATES,
    Applicant,
    Appraisal,
    Cause,
    State,
    appraisal_name,
)
from services.grading.store import ciphers
from services.grading.store.tables import appraisals, injuries, notes
from services.kernel.problems import NotFound
from services.kernel.scheme import AppraisalLevel, CareDependence
from services.runtime.rpc.wire import findings_from_json, findings_to_json
from services.runtime.storage import data_keys, listing, revisions
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import StaleRevisionError, Transaction


async def insert(tx: Transaction, cipher: ColumnCipher, appraisal: Appraisal) -> None:
    """Add an appraisal."""
    cipher = await ciphers.get_of_claim(tx, cipher, appraisal.claim)
    await tx.execute(sa.insert(appraisals).values(_values(cipher, appraisal)))


async def update(tx: Transaction, cipher: ColumnCipher, appraisal: Appraisal) -> None:
    """Save a newer revision of an appraisal; the caller holds its lock."""
    cipher = await ciphers.get_of_claim(tx, cipher, appraisal.claim)
    result = await tx.execute(
        sa.update(appraisals)
        .where(appraisals.c.id == appraisal.id, appraisals.c.revision < appraisal.revision)
        .values(_values(cipher, appraisal))
    )
    if result.rowcount != 1:
        raise StaleRevisionError(appraisal.name)


async def get(tx: Transaction, cipher: ColumnCipher, appraisal_id: str) -> Appraisal:
    """The appraisal with an id; raises NotFound."""
    return await _get(tx, cipher, appraisal_id, sa.select(appraisals))


async def lock(tx: Transaction, cipher: ColumnCipher, appraisal_id: str) -> Appraisal:
    """The appraisal with an id, locked; raises NotFound."""
    appraisal = await _get(tx, cipher, appraisal_id, sa.select(appraisals).with_for_update())
    revisions.note(appraisal.name, appraisal.revision)
    return appraisal


async def lock_newest(
    tx: Transaction, cipher: ColumnCipher, claim: str, state: State | None = None
) -> Appraisal | None:
    """The newest appraisal of a claim, or the newest in a state, locked; None without any."""
    statement = (
        sa.select(appraisals)
        .where(appraisals.c.claim == claim)
        .order_by(appraisals.c.number.desc())
        .limit(1)
        .with_for_update()
    )
    if state is not None:
        statement = statement.where(appraisals.c.state == state.name)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else (await _appraisals(tx, cipher, [row]))[0]


async def get_next_number(tx: Transaction, claim: str) -> int:
    """The number of the claim's next appraisal; the caller holds the lock of the injury."""
    statement = sa.select(sa.func.max(appraisals.c.number)).where(appraisals.c.claim == claim)
    return ((await tx.execute(statement)).scalar_one_or_none() or 0) + 1


async def list_followers(
    tx: Transaction, cipher: ColumnCipher, appraisal: Appraisal
) -> list[Appraisal]:
    """The re-appraisals and reviews of an appraisal's conclusion, the earliest first."""
    statement = (
        sa.select(appraisals)
        .where(appraisals.c.previous == appraisal.name)
        .order_by(appraisals.c.number)
    )
    followers = await _appraisals(tx, cipher, (await tx.execute(statement)).all())
    revisions.note(f"{appraisal.name} followers", [each.revision for each in followers])
    return followers


async def find_open(tx: Transaction, worker: str) -> str | None:
    """The id of an open appraisal of a worker."""
    statement = (
        sa.select(appraisals.c.id)
        .join(injuries, injuries.c.claim == appraisals.c.claim)
        .where(
            injuries.c.worker == worker,
            appraisals.c.state.in_([state.name for state in OPEN_STATES]),
        )
        .order_by(appraisals.c.id)
        .limit(1)
    )
    found: str | None = (await tx.execute(statement)).scalar_one_or_none()
    return found


@dataclass(frozen=True)
class AppraisalFilter:
    """Which appraisals to list; what is empty does not filter."""

    states: Sequence[State] = ()
    claim: str = ""
    newest_first: bool = False


async def list_appraisals(
    tx: Transaction,
    cipher: ColumnCipher,
    chosen: AppraisalFilter,
    *,
    after: Sequence[Any],
    size: int,
) -> list[Appraisal]:
    """Appraisals after a key: by due date and id, or newest first by time of creation and id."""
    first = appraisals.c.create_time if chosen.newest_first else appraisals.c.due_date
    statement = listing.page_of_rows(
        _matching(chosen), (first, appraisals.c.id), after, size, newest_first=chosen.newest_first
    )
    return await _appraisals(tx, cipher, (await tx.execute(statement)).all())


async def count_appraisals(tx: Transaction, chosen: AppraisalFilter) -> int:
    """The number of appraisals."""
    return await listing.count_rows(tx, _matching(chosen))


def _matching(chosen: AppraisalFilter) -> sa.Select[Any]:
    statement = sa.select(appraisals)
    if chosen.states:
        names = [state.name for state in chosen.states]
        statement = statement.where(appraisals.c.state.in_(names))
    if chosen.claim:
        statement = statement.where(appraisals.c.claim == chosen.claim)
    return statement


async def insert_note(
    tx: Transaction, cipher: ColumnCipher, appraisal: Appraisal, note: str, now: datetime
) -> None:
    """Add the reason for the appraisal's present revision."""
    cipher = await ciphers.get_of_claim(tx, cipher, appraisal.claim)
    row = {
        "appraisal": appraisal.id,
        "revision": appraisal.revision,
        "note": cipher.encrypt(note, f"note:{appraisal.id}:{appraisal.revision}"),
        "create_time": now,
    }
    await tx.execute(sa.insert(notes).values(row))


async def list_notes(
    tx: Transaction, cipher: ColumnCipher, appraisal: Appraisal
) -> list[tuple[int, str, datetime]]:
    """The revision, the words and the time of each note, the earliest first."""
    statement = sa.select(notes).where(notes.c.appraisal == appraisal.id).order_by(notes.c.revision)
    rows = (await tx.execute(statement)).all()
    cipher = await data_keys.for_rows(tx, cipher, rows)
    return [
        (
            row.revision,
            cipher.show(bytes(row.note), f"note:{appraisal.id}:{row.revision}"),
            row.create_time,
        )
        for row in rows
    ]


async def _get(
    tx: Transaction,
    cipher: ColumnCipher,
    appraisal_id: str,
    statement: sa.Select[tuple[Any, ...]],
) -> Appraisal:
    row = (await tx.execute(statement.where(appraisals.c.id == appraisal_id))).one_or_none()
    if row is None:
        raise NotFound(name=appraisal_name(appraisal_id))
    return (await _appraisals(tx, cipher, [row]))[0]


async def _appraisals(
    tx: Transaction, cipher: ColumnCipher, rows: Sequence[sa.Row[Any]]
) -> list[Appraisal]:
    cipher = await data_keys.for_rows(tx, cipher, rows)
    return [_appraisal(cipher, row) for row in rows]


def _values(cipher: ColumnCipher, appraisal: Appraisal) -> dict[str, Any]:
    care = appraisal.care_dependence
    findings = json.dumps(findings_to_json(appraisal.findings), ensure_ascii=False)
    return {
        "id": appraisal.id,
        "claim": appraisal.claim,
        "number": appraisal.number,
        "applicant": appraisal.applicant.name,
        "application_date": appraisal.application_date,
        "documents_date": appraisal.documents_date,
        "level": appraisal.level.name,
        "state": appraisal.state.name,
        "due_date": appraisal.due_date,
        "rest_days": appraisal.rest_days,
        "create_time": appraisal.create_time,
        "previous": appraisal.previous,
        "not_before": appraisal.not_before,
        "extended": appraisal.extended,
        "absence_count": appraisal.absence_count,
        "draw": appraisal.draw,
        "grade": appraisal.grade,
        "care_dependence": care.name if care else None,
        "findings": cipher.encrypt(findings, _findings_context(appraisal.id)),
        "conclude_date": appraisal.conclude_date,
        "correct_date": appraisal.correct_date,
        "serve_due_date": appraisal.serve_due_date,
        "conclusion_number": appraisal.conclusion_number,
        "cause": appraisal.cause.name if appraisal.cause else None,
        "revision": appraisal.revision,
    }


def _findings_context(appraisal_id: str) -> str:
    return f"appraisal/{appraisal_id}/findings"


def _appraisal(cipher: ColumnCipher, row: sa.Row[Any]) -> Appraisal:
    context = _findings_context(row.id)
    findings = json.loads(cipher.show(row.findings, context, erased="[]"))
    return Appraisal(
        id=row.id,
        claim=row.claim,
        level=AppraisalLevel[row.level],
        state=State[row.state],
        due_date=row.due_date,
        rest_days=row.rest_days,
        create_time=row.create_time,
        applicant=Applicant[row.applicant],
        application_date=row.application_date,
        number=row.number,
        documents_date=row.documents_date,
        previous=row.previous,
        not_before=row.not_before,
        extended=row.extended,
        absence_count=row.absence_count,
        draw=row.draw,
        grade=row.grade,
        care_dependence=CareDependence[row.care_dependence] if row.care_dependence else None,
        findings=findings_from_json(findings),
        conclude_date=row.conclude_date,
        correct_date=row.correct_date,
        serve_due_date=row.serve_due_date,
        conclusion_number=row.conclusion_number,
        cause=Cause[row.cause] if row.cause else None,
        revision=row.revision,
        erased=cipher.is_erased(row.findings),
    )
