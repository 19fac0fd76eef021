"""What benefits has heard: determinations, conclusions, basic pensions."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.benefits.domain.model import (
    CareDependence,
    Case,
    CaseState,
    Conclusion,
    Level,
    Relation,
    Survivor,
)
from services.benefits.store.tables import cases, conclusions, month_of, number_of, pensions
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.runtime.storage.database import Transaction


async def lock_claim(tx: Transaction, claim: str) -> None:
    """Let one decision about a claim be taken at a time, also before anything is held of it."""
    await tx.execute(
        sa.text("select pg_advisory_xact_lock(hashtextextended(:claim, 1))"), {"claim": claim}
    )


async def save_case(tx: Transaction, case: Case, revision: int, worker: str, now: datetime) -> bool:
    """Keep a determination; False if an equal or newer revision is held."""
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
        "survivors": [_survivor_to_json(one) for one in case.survivors],
        "law_version": "",
        "update_time": now,
    }
    return await _save_newer(tx, cases, row, "claim")


async def revoke_case(tx: Transaction, claim: str, revision: int, now: datetime) -> bool:
    """Mark a determination as withdrawn; False if an equal or newer revision is held."""
    held = {"revision": revision, "state": CaseState.REVOKED.value, "update_time": now}
    statement = (
        insert(cases)
        .values(
            claim=claim,
            worker="",
            pooling_area="",
            industry=0,
            survivors=[],
            law_version="",
            **held,
        )
        .on_conflict_do_update(
            index_elements=["claim"], set_=held, where=cases.c.revision < revision
        )
        .returning(cases.c.claim)
    )
    return (await tx.execute(statement)).first() is not None


async def get_case(tx: Transaction, claim: str) -> Case | None:
    """The case; None if nothing but a withdrawal was heard of it."""
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
        survivors=tuple(_survivor_from_json(one) for one in row.survivors),
    )


async def mark_planned(tx: Transaction, claim: str, law_version: str) -> None:
    """Keep which state of the law a case was planned on."""
    await tx.execute(sa.update(cases).where(cases.c.claim == claim).values(law_version=law_version))


async def claims_behind(tx: Transaction, law_version: str, size: int) -> list[str]:
    """Confirmed cases that were planned on another state of the law, by claim."""
    statement = (
        sa.select(cases.c.claim).where(_behind(law_version)).order_by(cases.c.claim).limit(size)
    )
    return list((await tx.execute(statement)).scalars())


async def count_behind(tx: Transaction, law_version: str) -> int:
    """How many cases that are."""
    statement = sa.select(sa.func.count()).select_from(cases).where(_behind(law_version))
    return int((await tx.execute(statement)).scalar_one())


def _behind(law_version: str) -> sa.ColumnElement[bool]:
    return sa.and_(cases.c.law_version != law_version, cases.c.state == CaseState.CONFIRMED.value)


async def save_conclusion(
    tx: Transaction, claim: str, conclusion: Conclusion, revision: int, now: datetime
) -> bool:
    """Keep a conclusion; False if an equal or newer revision is held."""
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
    return await _save_newer(tx, conclusions, row, "appraisal")


async def list_conclusions(tx: Transaction, claim: str) -> tuple[Conclusion, ...]:
    """The conclusions of a claim, oldest first."""
    statement = (
        sa.select(conclusions)
        .where(conclusions.c.claim == claim)
        .order_by(conclusions.c.conclude_date, conclusions.c.appraisal)
    )
    return tuple(
        Conclusion(
            row.appraisal, Level(row.level), row.grade, CareDependence(row.care), row.conclude_date
        )
        for row in await tx.execute(statement)
    )


async def save_pension(
    tx: Transaction, claim: str, since: Month, amount: Fen, now: datetime
) -> None:
    """Keep the basic pension paid from a month on; a later word on the same month counts."""
    row = {
        "claim": claim,
        "since_month": number_of(since),
        "amount_fen": amount.count,
        "create_time": now,
    }
    statement = insert(pensions).values(row)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["claim", "since_month"],
            set_={"amount_fen": amount.count, "create_time": now},
        )
    )


async def list_pensions(tx: Transaction, claim: str) -> tuple[tuple[Month, Fen], ...]:
    """The basic pensions of a claim's worker, by month."""
    statement = (
        sa.select(pensions.c.since_month, pensions.c.amount_fen)
        .where(pensions.c.claim == claim)
        .order_by(pensions.c.since_month)
    )
    return tuple(
        (month_of(row.since_month), Fen(row.amount_fen)) for row in await tx.execute(statement)
    )


async def _save_newer(tx: Transaction, table: sa.Table, row: dict[str, Any], key: str) -> bool:
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


def _survivor_to_json(one: Survivor) -> dict[str, Any]:
    return {
        "survivor_id": one.survivor_id,
        "relation": one.relation.value,
        "birth_date": one.birth_date.isoformat() if one.birth_date else None,
        "male": one.male,
        "totally_disabled": one.totally_disabled,
        "alone": one.alone,
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
