"""Cases as claims and grading have published them: determinations and conclusions."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.benefits.domain.case import Case, CaseState, Conclusion
from services.benefits.store.tables import awards, cases, conclusions
from services.kernel.scheme import AppraisalLevel, CareDependence, Relation, Survivor
from services.runtime.storage.database import Transaction


async def lock(tx: Transaction, claim: str) -> None:
    """Keep other decisions about a claim out, also before there is a row of it."""
    await tx.execute(
        sa.text("select pg_advisory_xact_lock(hashtextextended(:claim, 1))"), {"claim": claim}
    )


async def update(tx: Transaction, case: Case, revision: int, worker: str, now: datetime) -> bool:
    """Store a determination; False if an equal or newer revision is stored."""
    row = {
        "claim": case.claim,
        "revision": revision,
        "state": case.state.value,
        "worker": worker,
        "pooling_area": case.pooling_area,
        "industry": case.industry,
        "accident_date": case.accident_date,
        "determine_date": case.determine_date,
        "death_date": case.death_date,
        "survivors": [_survivor_to_json(survivor) for survivor in case.survivors],
        "law_version": "",
        "update_time": now,
    }
    return await _update_if_newer(tx, cases, row, "claim")


async def update_revoked(tx: Transaction, claim: str, revision: int, now: datetime) -> bool:
    """Mark a determination as revoked; False if an equal or newer revision is stored."""
    changed = {"revision": revision, "state": CaseState.REVOKED.value, "update_time": now}
    statement = (
        insert(cases)
        .values(
            claim=claim,
            worker="",
            pooling_area="",
            industry=0,
            survivors=[],
            law_version="",
            **changed,
        )
        .on_conflict_do_update(
            index_elements=["claim"], set_=changed, where=cases.c.revision < revision
        )
        .returning(cases.c.claim)
    )
    return (await tx.execute(statement)).first() is not None


async def find(tx: Transaction, claim: str) -> Case | None:
    """The case; None before its determination, even if the revocation came first."""
    statement = sa.select(cases).where(cases.c.claim == claim, cases.c.accident_date.is_not(None))
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        return None
    return Case(
        claim=row.claim,
        state=CaseState(row.state),
        pooling_area=row.pooling_area,
        industry=row.industry,
        accident_date=row.accident_date,
        determine_date=row.determine_date,
        death_date=row.death_date,
        survivors=tuple(_survivor_from_json(survivor) for survivor in row.survivors),
    )


async def update_law_version(tx: Transaction, claim: str, law_version: str) -> None:
    """Store the version of the law on which a case was planned."""
    await tx.execute(sa.update(cases).where(cases.c.claim == claim).values(law_version=law_version))


async def list_on_older_law(tx: Transaction, law_version: str, size: int) -> list[str]:
    """The claims of confirmed cases planned on another version of the law, by claim."""
    statement = (
        sa.select(cases.c.claim)
        .where(_is_on_older_law(law_version))
        .order_by(cases.c.claim)
        .limit(size)
    )
    return list((await tx.execute(statement)).scalars())


async def count_on_older_law(tx: Transaction, law_version: str) -> int:
    """The number of confirmed cases planned on another version of the law."""
    statement = sa.select(sa.func.count()).select_from(cases).where(_is_on_older_law(law_version))
    return int((await tx.execute(statement)).scalar_one())


async def list_provisional(tx: Transaction, law_version: str) -> list[str]:
    """The claims with a provisional award, planned on another version of the law, by claim."""
    statement = (
        sa.select(awards.c.claim)
        .join(cases, cases.c.claim == awards.c.claim)
        .where(awards.c.provisional, cases.c.law_version != law_version)
        .distinct()
        .order_by(awards.c.claim)
    )
    return list((await tx.execute(statement)).scalars())


def _is_on_older_law(law_version: str) -> sa.ColumnElement[bool]:
    return sa.and_(cases.c.law_version != law_version, cases.c.state == CaseState.CONFIRMED.value)


async def update_conclusion(
    tx: Transaction, claim: str, conclusion: Conclusion, revision: int, now: datetime
) -> bool:
    """Store a conclusion; False if an equal or newer revision is stored."""
    row = {
        "appraisal": conclusion.appraisal,
        "revision": revision,
        "claim": claim,
        "level": conclusion.level.value,
        "grade": conclusion.grade,
        "care": conclusion.care.value,
        "conclude_date": conclusion.conclude_date,
        "update_time": now,
    }
    return await _update_if_newer(tx, conclusions, row, "appraisal")


async def list_conclusions(tx: Transaction, claim: str) -> tuple[Conclusion, ...]:
    """The conclusions of a claim, oldest first."""
    statement = (
        sa.select(conclusions)
        .where(conclusions.c.claim == claim)
        .order_by(conclusions.c.conclude_date, conclusions.c.appraisal)
    )
    return tuple(
        Conclusion(
            appraisal=row.appraisal,
            level=AppraisalLevel(row.level),
            grade=row.grade,
            care=CareDependence(row.care),
            conclude_date=row.conclude_date,
        )
        for row in await tx.execute(statement)
    )


async def _update_if_newer(tx: Transaction, table: sa.Table, row: dict[str, Any], key: str) -> bool:
    statement = (
        insert(table)
        .values(row)
        .on_conflict_do_update(
            index_elements=[key],
            set_={name: value for name, value in row.items() if name != key},
            where=table.c.revision < row["revision"],
        )
        .returning(table.c[key])
    )
    return (await tx.execute(statement)).first() is not None


def _survivor_to_json(survivor: Survivor) -> dict[str, Any]:
    return {
        "survivor_id": survivor.survivor_id,
        "relation": survivor.relation.value,
        "birth_date": survivor.birth_date.isoformat() if survivor.birth_date else None,
        "male": survivor.male,
        "totally_disabled": survivor.totally_disabled,
        "alone": survivor.alone,
    }


def _survivor_from_json(row: dict[str, Any]) -> Survivor:
    birth = row["birth_date"]
    return Survivor(
        survivor_id=row["survivor_id"],
        relation=Relation(row["relation"]),
        birth_date=date.fromisoformat(birth) if birth else None,
        male=row["male"],
        totally_disabled=row["totally_disabled"],
        alone=row["alone"],
    )
