"""Claims and their stays: rows in, values out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as pg_insert

from services.claims.domain.claim import Claim, ClaimantKind, ClaimState, Enrolment, Situation
from services.claims.domain.time_limits import Pause, Step, StepClock, TimeLimit, Unit
from services.claims.store.tables import claims, stays
from services.kernel.law import ParameterVersion, Tag
from services.kernel.names import name
from services.kernel.problems import NotFound
from services.kernel.scheme import Industry, Relation, Survivor
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import StaleRevisionError, Transaction


@dataclass(frozen=True)
class QueueFilter:
    """Which claims of the queue to list; what is empty does not filter."""

    states: Sequence[ClaimState] = ()
    worker: int | None = None
    due_by: date | None = None


async def insert(
    tx: Transaction, cipher: ColumnCipher, claim: Claim, description: str, queue_date: date
) -> bool:
    """Add a claim; False if the same accident of the same worker has one already.

    `queue_date` is the day by which the queue is sorted.
    """
    statement = (
        pg_insert(claims)
        .values(
            claim_id=claim.id,
            claimant_kind=claim.claimant_kind.value,
            worker=claim.worker,
            accident_time=claim.accident_time,
            place_of_injury=claim.place_of_injury,
            situation=claim.situation.value,
            accident_report=claim.accident_report,
            description=_encrypt(cipher, description, claim.id, "description"),
            platforms=list(claim.platforms),
            enrolments=[
                [enrolment.platform, enrolment.enrol_date.isoformat()]
                for enrolment in claim.enrolments
            ],
            filed_late=claim.filed_late,
            create_time=claim.create_time,
            **_changing(cipher, claim, queue_date),
        )
        .on_conflict_do_nothing()
        .returning(claims.c.claim_id)
    )
    return (await tx.execute(statement)).first() is not None


async def update(tx: Transaction, cipher: ColumnCipher, claim: Claim, queue_date: date) -> None:
    """Save a claim's next revision; `lock` has locked the row."""
    statement = (
        sa.update(claims)
        .where(claims.c.claim_id == claim.id, claims.c.revision == claim.revision - 1)
        .values(**_changing(cipher, claim, queue_date))
    )
    updated = await tx.execute(statement)
    if updated.rowcount != 1:
        raise StaleRevisionError(claim.name)


async def get(tx: Transaction, cipher: ColumnCipher, claim_id: str) -> Claim:
    """A claim; raises NotFound for one that the transaction may not see."""
    return _claim(await _row(tx, sa.select(claims), claim_id), cipher)


async def get_with_description(
    tx: Transaction, cipher: ColumnCipher, claim_id: str
) -> tuple[Claim, str]:
    """A claim with what the claimant wrote of the accident; raises NotFound as `get`."""
    row = await _row(tx, sa.select(claims), claim_id)
    return _claim(row, cipher), _decrypt(cipher, row.description, row.claim_id, "description")


async def lock(tx: Transaction, cipher: ColumnCipher, claim_id: str) -> Claim:
    """A claim, locked until the transaction ends; raises NotFound as `get`."""
    return _claim(await _row(tx, sa.select(claims).with_for_update(), claim_id), cipher)


async def find_id_of_accident(tx: Transaction, claim: Claim) -> str | None:
    """The id of the claim on the same accident of the same worker, if there is one."""
    statement = sa.select(claims.c.claim_id).where(
        claims.c.worker == claim.worker, claims.c.accident_time == claim.accident_time
    )
    return (await tx.execute(statement)).scalar_one_or_none()


async def find_other_accidents(tx: Transaction, claim: Claim) -> list[datetime]:
    """The times of the worker's accidents in other claims."""
    statement = sa.select(claims.c.accident_time).where(
        claims.c.worker == claim.worker, claims.c.claim_id != claim.id
    )
    return list((await tx.execute(statement)).scalars())


async def list_queue(
    tx: Transaction,
    cipher: ColumnCipher,
    queue: QueueFilter,
    *,
    after: tuple[date, str] | tuple[()],
    size: int,
) -> list[Claim]:
    """The queue after a key (due date, id): by due date, claims with a stopped clock last."""
    statement = sa.select(claims).order_by(claims.c.due_date, claims.c.claim_id).limit(size)
    if queue.states:
        states = [state.value for state in queue.states]
        statement = statement.where(claims.c.state.in_(states))
    if queue.worker is not None:
        statement = statement.where(claims.c.worker == queue.worker)
    if queue.due_by is not None:
        statement = statement.where(claims.c.due_date <= queue.due_by)
    if after:
        key = sa.tuple_(claims.c.due_date, claims.c.claim_id)
        statement = statement.where(key > sa.tuple_(*(sa.literal(part) for part in after)))
    return [_claim(row, cipher) for row in await tx.execute(statement)]


async def insert_stay(
    tx: Transaction,
    cipher: ColumnCipher,
    claim: Claim,
    reason: str,
    *,
    stayed_by: str,
    now: datetime,
) -> None:
    """Record why the time limit is stopped."""
    context = f"claims:{claim.id}:{claim.revision}:stay"
    await tx.execute(
        sa.insert(stays).values(
            claim_id=claim.id,
            claim_revision=claim.revision,
            reason=cipher.encrypt(reason, context),
            stayed_by=stayed_by,
            create_time=now,
        )
    )


async def _row(tx: Transaction, statement: sa.Select[Any], claim_id: str) -> sa.Row[Any]:
    rows = await tx.execute(statement.where(claims.c.claim_id == claim_id))
    row: sa.Row[Any] | None = rows.one_or_none()
    if row is None:
        raise NotFound(name=name("claims", claim_id))
    return row


def _changing(cipher: ColumnCipher, claim: Claim, queue_date: date) -> dict[str, Any]:
    requested = json.dumps(claim.requested_evidence, ensure_ascii=False)
    return {
        "revision": claim.revision,
        "state": claim.state.value,
        "death_date": claim.death_date,
        "pooling_area": claim.pooling_area,
        "industry": claim.industry.value if claim.industry else None,
        "survivors": _encrypt(cipher, _survivors_text(claim), claim.id, "survivors"),
        "requested_evidence": _encrypt(cipher, requested, claim.id, "requested_evidence"),
        "clock": _clock_to_json(claim.clock),
        "reply": _clock_to_json(claim.reply),
        "due_date": queue_date,
    }


def _claim(row: sa.Row[Any], cipher: ColumnCipher) -> Claim:
    survivors = json.loads(_decrypt(cipher, row.survivors, row.claim_id, "survivors"))
    requested = _decrypt(cipher, row.requested_evidence, row.claim_id, "requested_evidence")
    return Claim(
        id=row.claim_id,
        revision=row.revision,
        state=ClaimState(row.state),
        claimant_kind=ClaimantKind(row.claimant_kind),
        worker=row.worker,
        accident_time=row.accident_time,
        place_of_injury=row.place_of_injury,
        situation=Situation(row.situation),
        death_date=row.death_date,
        survivors=tuple(_survivor(survivor) for survivor in survivors),
        accident_report=row.accident_report,
        enrolments=tuple(Enrolment(code, date.fromisoformat(day)) for code, day in row.enrolments),
        pooling_area=row.pooling_area,
        industry=Industry(row.industry) if row.industry else None,
        filed_late=row.filed_late,
        requested_evidence=tuple(json.loads(requested)),
        clock=_clock_from_json(row.clock),
        reply=_clock_from_json(row.reply),
        create_time=row.create_time,
    )


def _survivors_text(claim: Claim) -> str:
    rows = [_survivor_to_json(survivor) for survivor in claim.survivors]
    return json.dumps(rows, ensure_ascii=False)


def _survivor_to_json(survivor: Survivor) -> dict[str, Any]:
    assert survivor.birth_date is not None, survivor.survivor_id
    return {
        "id": survivor.survivor_id,
        "relation": survivor.relation.value,
        "birth_date": survivor.birth_date.isoformat(),
        "totally_disabled": survivor.totally_disabled,
        "alone": survivor.alone,
        "male": survivor.male,
    }


def _survivor(row: Mapping[str, Any]) -> Survivor:
    return Survivor(
        survivor_id=row["id"],
        relation=Relation(row["relation"]),
        birth_date=date.fromisoformat(row["birth_date"]),
        totally_disabled=row["totally_disabled"],
        alone=row["alone"],
        male=row["male"],
    )


def _clock_to_json(clock: StepClock | None) -> dict[str, Any] | None:
    if clock is None:
        return None
    version = clock.limit.version
    return {
        "step": clock.step.name,
        "start": clock.start.isoformat(),
        "count": clock.limit.count,
        "unit": clock.limit.unit.value,
        "pauses": [
            [pause.start.isoformat(), pause.end.isoformat() if pause.end else None]
            for pause in clock.pauses
        ],
        "version": None
        if version is None
        else [
            version.name,
            version.since.isoformat(),
            version.jurisdiction,
            version.value,
            version.source,
            version.tag.value,
        ],
    }


def _clock_from_json(row: Mapping[str, Any] | None) -> StepClock | None:
    if row is None:
        return None
    version = row["version"]
    if version is not None:
        parameter, since, jurisdiction, value, source, tag = version
        version = ParameterVersion(
            parameter, date.fromisoformat(since), jurisdiction, value, source, Tag(tag)
        )
    return StepClock(
        step=Step[row["step"]],
        start=date.fromisoformat(row["start"]),
        limit=TimeLimit(row["count"], Unit(row["unit"]), version),
        pauses=tuple(
            Pause(date.fromisoformat(start), date.fromisoformat(end) if end else None)
            for start, end in row["pauses"]
        ),
    )


def _encrypt(cipher: ColumnCipher, text: str, row_id: str, column: str) -> bytes:
    return cipher.encrypt(text, f"claims:{row_id}:{column}")


def _decrypt(cipher: ColumnCipher, value: bytes, row_id: str, column: str) -> str:
    return cipher.decrypt(bytes(value), f"claims:{row_id}:{column}")
