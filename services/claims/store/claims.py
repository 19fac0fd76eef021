"""Accident reports and claims: rows in, values out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.claims.domain.claim import (
    AccidentReport,
    Claim,
    ClaimantKind,
    ClaimState,
    Enrolment,
    Industry,
    Relation,
    Situation,
    Survivor,
)
from services.claims.domain.time_limits import Pause, Step, StepClock, TimeLimit, Unit
from services.claims.store.tables import NEVER, claims, reports
from services.kernel.law import ParameterVersion, Tag
from services.kernel.workdays import WorkCalendar
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


async def insert_report(
    tx: Transaction, cipher: ColumnCipher, report: AccidentReport, description: str
) -> None:
    """Add an accident report."""
    await tx.execute(
        sa.insert(reports).values(
            report_id=report.report_id,
            worker=report.worker,
            accident_time=report.accident_time,
            place_of_injury=report.place_of_injury,
            description=_close(cipher, description, report.report_id, "report_description"),
            platforms=list(report.platforms),
            reported_late=report.reported_late,
            create_time=report.create_time,
        )
    )


async def report_of(tx: Transaction, report_id: str) -> AccidentReport | None:
    """An accident report that the transaction may see."""
    statement = sa.select(reports).where(reports.c.report_id == report_id)
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        return None
    return AccidentReport(
        report_id=row.report_id,
        worker=row.worker,
        accident_time=row.accident_time,
        place_of_injury=row.place_of_injury,
        platforms=tuple(row.platforms),
        reported_late=row.reported_late,
        create_time=row.create_time,
    )


async def insert_claim(
    tx: Transaction, cipher: ColumnCipher, claim: Claim, description: str, calendar: WorkCalendar
) -> bool:
    """Add a claim; False if the same accident of the same worker has one already."""
    statement = (
        insert(claims)
        .values(
            claim_id=claim.claim_id,
            claimant_kind=claim.claimant_kind.value,
            worker=claim.worker,
            accident_time=claim.accident_time,
            place_of_injury=claim.place_of_injury,
            situation=claim.situation.value,
            accident_report=claim.accident_report,
            description=_close(cipher, description, claim.claim_id, "description"),
            platforms=list(claim.platforms),
            enrolments=[[one.platform, one.enrol_date.isoformat()] for one in claim.enrolments],
            filed_late=claim.filed_late,
            create_time=claim.create_time,
            **_changing(cipher, claim, calendar),
        )
        .on_conflict_do_nothing()
        .returning(claims.c.claim_id)
    )
    return (await tx.execute(statement)).first() is not None


async def update_claim(
    tx: Transaction, cipher: ColumnCipher, claim: Claim, calendar: WorkCalendar
) -> None:
    """Save a claim's next revision; the row is locked by `lock_claim`."""
    statement = (
        sa.update(claims)
        .where(claims.c.claim_id == claim.claim_id, claims.c.revision == claim.revision - 1)
        .values(**_changing(cipher, claim, calendar))
    )
    updated = await tx.execute(statement)
    assert updated.rowcount == 1, claim.name


async def get_claim(tx: Transaction, cipher: ColumnCipher, claim_id: str) -> Claim | None:
    """A claim that the transaction may see."""
    statement = sa.select(claims).where(claims.c.claim_id == claim_id)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else _claim(row, cipher)


async def lock_claim(tx: Transaction, cipher: ColumnCipher, claim_id: str) -> Claim | None:
    """A claim, kept from other changes until the transaction ends."""
    statement = sa.select(claims).where(claims.c.claim_id == claim_id).with_for_update()
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else _claim(row, cipher)


async def claim_with_text(
    tx: Transaction, cipher: ColumnCipher, claim_id: str
) -> tuple[Claim, str] | None:
    """A claim with what the claimant wrote of the accident."""
    statement = sa.select(claims).where(claims.c.claim_id == claim_id)
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        return None
    return _claim(row, cipher), _open(cipher, row.description, row.claim_id, "description")


async def claim_of_accident(tx: Transaction, claim: Claim) -> str | None:
    """The id of the claim on the same accident of the same worker, if there is one."""
    statement = sa.select(claims.c.claim_id).where(
        claims.c.worker == claim.worker, claims.c.accident_time == claim.accident_time
    )
    return (await tx.execute(statement)).scalar_one_or_none()


async def accidents_of(tx: Transaction, claim: Claim) -> list[datetime]:
    """When the worker had accidents in other claims."""
    statement = sa.select(claims.c.accident_time).where(
        claims.c.worker == claim.worker, claims.c.claim_id != claim.claim_id
    )
    return list((await tx.execute(statement)).scalars())


async def list_claims(
    tx: Transaction,
    cipher: ColumnCipher,
    *,
    states: Sequence[ClaimState],
    worker: int | None,
    due_by: date | None,
    after: tuple[date, str] | None,
    size: int,
) -> list[Claim]:
    """The queue: by due date, claims whose clock stands still last."""
    statement = sa.select(claims).order_by(claims.c.due_date, claims.c.claim_id).limit(size)
    if states:
        statement = statement.where(claims.c.state.in_([state.value for state in states]))
    if worker is not None:
        statement = statement.where(claims.c.worker == worker)
    if due_by is not None:
        statement = statement.where(claims.c.due_date <= due_by)
    if after is not None:
        key = sa.tuple_(claims.c.due_date, claims.c.claim_id)
        statement = statement.where(key > sa.tuple_(*(sa.literal(part) for part in after)))
    return [_claim(row, cipher) for row in await tx.execute(statement)]


def queue_date(claim: Claim, calendar: WorkCalendar) -> date:
    """The day by which a claim is sorted."""
    due = claim.running.due(calendar) if claim.running else None
    return due.day if due else NEVER


def _changing(cipher: ColumnCipher, claim: Claim, calendar: WorkCalendar) -> dict[str, Any]:
    asked = json.dumps(claim.requested_evidence, ensure_ascii=False)
    return {
        "revision": claim.revision,
        "state": claim.state.value,
        "death_date": claim.death_date,
        "pooling_area": claim.pooling_area,
        "industry": claim.industry.value if claim.industry else None,
        "survivors": _close(cipher, _survivors_text(claim), claim.claim_id, "survivors"),
        "requested_evidence": _close(cipher, asked, claim.claim_id, "requested_evidence"),
        "clock": _clock_to_json(claim.clock),
        "reply": _clock_to_json(claim.reply),
        "due_date": queue_date(claim, calendar),
    }


def _claim(row: sa.Row[Any], cipher: ColumnCipher) -> Claim:
    survivors = json.loads(_open(cipher, row.survivors, row.claim_id, "survivors"))
    asked = _open(cipher, row.requested_evidence, row.claim_id, "requested_evidence")
    return Claim(
        claim_id=row.claim_id,
        revision=row.revision,
        state=ClaimState(row.state),
        claimant_kind=ClaimantKind(row.claimant_kind),
        worker=row.worker,
        accident_time=row.accident_time,
        place_of_injury=row.place_of_injury,
        situation=Situation(row.situation),
        death_date=row.death_date,
        survivors=tuple(_survivor(one) for one in survivors),
        accident_report=row.accident_report,
        enrolments=tuple(Enrolment(code, date.fromisoformat(day)) for code, day in row.enrolments),
        pooling_area=row.pooling_area,
        industry=Industry(row.industry) if row.industry else None,
        filed_late=row.filed_late,
        requested_evidence=tuple(json.loads(asked)),
        clock=_clock_from_json(row.clock),
        reply=_clock_from_json(row.reply),
        create_time=row.create_time,
    )


def _survivors_text(claim: Claim) -> str:
    rows = [
        {
            "id": one.survivor_id,
            "relation": one.relation.value,
            "birth_date": one.birth_date.isoformat(),
            "totally_disabled": one.totally_disabled,
            "alone": one.alone,
            "male": one.male,
        }
        for one in claim.survivors
    ]
    return json.dumps(rows, ensure_ascii=False)


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
        name, since, jurisdiction, value, source, tag = version
        version = ParameterVersion(
            name, date.fromisoformat(since), jurisdiction, value, source, Tag(tag)
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


def _close(cipher: ColumnCipher, text: str, row_id: str, column: str) -> bytes:
    return cipher.encrypt(text, f"claims:{row_id}:{column}")


def _open(cipher: ColumnCipher, value: bytes, row_id: str, column: str) -> str:
    return cipher.decrypt(bytes(value), f"claims:{row_id}:{column}")
