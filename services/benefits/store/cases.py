"""Cases as claims and grading have published them: determinations and conclusions."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.benefits.domain.case import (
    Applicant,
    AppraisalEnd,
    Case,
    CaseState,
    Conclusion,
    EndCause,
)
from services.benefits.store.tables import (
    appraisal_ends,
    cases,
    conclusions,
    mergers,
    not_erased,
)
from services.kernel.scheme import AppraisalLevel, CareDependence, Survivor
from services.runtime.rpc.survivors import survivor_from_json, survivor_to_json
from services.runtime.storage import data_keys, revisions
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


async def lock(tx: Transaction, name: str) -> None:
    """Keep other decisions about a claim or a worker out, also before there is a row of it."""
    await tx.execute(
        sa.text("select pg_advisory_xact_lock(hashtextextended(:name, 1))"), {"name": name}
    )


async def list_workers(tx: Transaction, claims: Iterable[str]) -> list[str]:
    """The workers of claims, without claims that are not determined."""
    statement = (
        sa.select(cases.c.worker)
        .where(cases.c.claim.in_(claims), cases.c.worker != "")
        .distinct()
        .order_by(cases.c.worker)
    )
    return list((await tx.execute(statement)).scalars())


async def update(
    tx: Transaction, cipher: ColumnCipher, case: Case, revision: int, now: datetime
) -> bool:
    """Store a determination; False if an equal or newer revision is stored."""
    cipher = await data_keys.of_person(tx, cipher, case.worker)
    survivors = json.dumps([survivor_to_json(survivor) for survivor in case.survivors])
    row = {
        "claim": case.claim,
        "revision": revision,
        "state": case.state.value,
        "worker": case.worker,
        "accident": case.accident,
        "pooling_area": case.pooling_area,
        "industry": case.industry,
        "accident_date": case.accident_date,
        "determine_date": case.determine_date,
        "death_date": case.death_date,
        "survivors": cipher.encrypt(survivors, _survivors_context(case.claim)),
        "is_relapse": case.is_relapse,
        "law_version": "",
        "update_time": now,
    }
    return await _update_if_newer(tx, cases, row, "claim")


async def find_revision(tx: Transaction, claim: str) -> int:
    """The revision of a claim's last determination or revocation; 0 without one."""
    statement = sa.select(cases.c.revision).where(cases.c.claim == claim)
    return (await tx.execute(statement)).scalar_one_or_none() or 0


async def update_revoked(tx: Transaction, claim: str, revision: int, now: datetime) -> bool:
    """Mark a determination as revoked; False if an equal or newer revision is stored."""
    changed = {"revision": revision, "state": CaseState.REVOKED.value, "update_time": now}
    statement = (
        insert(cases)
        .values(
            claim=claim,
            worker="",
            accident="",
            pooling_area="",
            industry=0,
            survivors=b"",
            is_relapse=False,
            law_version="",
            **changed,
        )
        .on_conflict_do_update(
            index_elements=["claim"], set_=changed, where=cases.c.revision < revision
        )
        .returning(cases.c.claim)
    )
    return (await tx.execute(statement)).first() is not None


async def update_accident(tx: Transaction, claim: str, accident: str) -> str:
    """Let a claim count for an accident; the claim's worker, empty before its determination."""
    statement = (
        sa.update(cases)
        .where(cases.c.claim == claim)
        .values(accident=accident)
        .returning(cases.c.worker)
    )
    return (await tx.execute(statement)).scalar_one_or_none() or ""


async def list_of_worker(tx: Transaction, cipher: ColumnCipher, worker: str) -> list[Case]:
    """The determined claims of a worker, by claim.

    A claim that ended in another one counts as withdrawn, unless that one is the same worker's and
    is determined: then both are one case, which that one decides.
    """
    survivor = cases.alias()
    statement = (
        sa.select(cases, mergers.c.claim.label("merged_into"), survivor.c.worker.label("other"))
        .outerjoin(mergers, mergers.c.merged_claim == cases.c.claim)
        .outerjoin(survivor, survivor.c.claim == mergers.c.claim)
        .where(cases.c.worker == worker, cases.c.accident_date.is_not(None))
        .order_by(cases.c.claim)
    )
    rows = (await tx.execute(statement)).all()
    cipher = await data_keys.for_rows(tx, cipher, rows)
    return [
        Case(
            claim=row.claim,
            state=CaseState(row.state)
            if row.merged_into is None or row.other == worker
            else CaseState.REVOKED,
            pooling_area=row.pooling_area,
            industry=row.industry,
            accident_date=row.accident_date,
            determine_date=row.determine_date,
            death_date=row.death_date,
            survivors=_survivors(
                cipher.show(row.survivors, _survivors_context(row.claim), erased="[]")
            ),
            worker=row.worker,
            accident=row.accident,
            merged_into=row.merged_into or "",
            is_relapse=row.is_relapse,
        )
        for row in rows
    ]


async def list_of_claim(tx: Transaction, cipher: ColumnCipher, claim: str) -> list[Case]:
    """The determined claims of one worker about the accident of a claim, by claim."""
    statement = sa.select(cases.c.worker, cases.c.accident).where(cases.c.claim == claim)
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        return []
    of_worker = await list_of_worker(tx, cipher, row.worker)
    found = [case for case in of_worker if case.accident == row.accident]
    revisions.note(claim, found)
    return found


async def update_law_version(tx: Transaction, worker: str, law_version: str) -> None:
    """Store the version of the law on which the cases of a worker were planned."""
    statement = sa.update(cases).where(cases.c.worker == worker).values(law_version=law_version)
    await tx.execute(statement)


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


async def list_claims(tx: Transaction, workers: Iterable[str]) -> list[str]:
    """The determined claims of workers, by name."""
    statement = sa.select(cases.c.claim).where(cases.c.worker.in_(workers)).order_by(cases.c.claim)
    return list((await tx.execute(statement)).scalars())


def _is_on_older_law(law_version: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        cases.c.law_version != law_version,
        cases.c.state == CaseState.CONFIRMED.value,
        not_erased(cases),
    )


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
        "revoked": False,
        "update_time": now,
    }
    return await _update_if_newer(tx, conclusions, row, "appraisal")


async def update_revoked_conclusion(
    tx: Transaction, claim: str, appraisal: str, revision: int, now: datetime
) -> bool:
    """Mark a conclusion as revoked; False if an equal or newer revision is stored."""
    changed = {"revision": revision, "revoked": True, "update_time": now}
    statement = (
        insert(conclusions)
        .values(appraisal=appraisal, claim=claim, level=0, grade=0, care=0, **changed)
        .on_conflict_do_update(
            index_elements=["appraisal"], set_=changed, where=conclusions.c.revision < revision
        )
        .returning(conclusions.c.appraisal)
    )
    return (await tx.execute(statement)).first() is not None


async def update_appraisal_end(
    tx: Transaction, claim: str, end: AppraisalEnd, revision: int, now: datetime
) -> bool:
    """Store the end of an appraisal; False if an equal or newer revision is stored."""
    row = {
        "appraisal": end.appraisal,
        "revision": revision,
        "claim": claim,
        "cause": end.cause.value,
        "applicant": end.applicant.value,
        "end_date": end.end_date,
        "update_time": now,
    }
    return await _update_if_newer(tx, appraisal_ends, row, "appraisal")


async def update_appraisal_resumed(
    tx: Transaction, claim: str, appraisal: str, revision: int, now: datetime
) -> bool:
    """Take back the end of an appraisal; False if an equal or newer revision is stored."""
    row = {
        "appraisal": appraisal,
        "revision": revision,
        "claim": claim,
        "cause": None,
        "applicant": None,
        "end_date": None,
        "update_time": now,
    }
    return await _update_if_newer(tx, appraisal_ends, row, "appraisal")


async def list_appraisal_ends(
    tx: Transaction, claims: Iterable[str]
) -> dict[str, list[AppraisalEnd]]:
    """The appraisals of claims that ended without a conclusion, by claim."""
    statement = (
        sa.select(appraisal_ends)
        .where(appraisal_ends.c.claim.in_(claims), appraisal_ends.c.cause.is_not(None))
        .order_by(appraisal_ends.c.end_date, appraisal_ends.c.appraisal)
    )
    by_claim: dict[str, list[AppraisalEnd]] = defaultdict(list)
    for row in await tx.execute(statement):
        end = AppraisalEnd(
            row.appraisal, EndCause(row.cause), Applicant(row.applicant), row.end_date
        )
        by_claim[row.claim].append(end)
    return by_claim


async def list_conclusions(tx: Transaction, claims: Iterable[str]) -> dict[str, list[Conclusion]]:
    """The conclusions of claims that are not revoked, by claim and oldest first."""
    statement = (
        sa.select(conclusions)
        .where(conclusions.c.claim.in_(claims), ~conclusions.c.revoked)
        .order_by(conclusions.c.conclude_date, conclusions.c.appraisal)
    )
    by_claim: dict[str, list[Conclusion]] = defaultdict(list)
    for row in await tx.execute(statement):
        by_claim[row.claim].append(
            Conclusion(
                appraisal=row.appraisal,
                level=AppraisalLevel(row.level),
                grade=row.grade,
                care=CareDependence(row.care),
                conclude_date=row.conclude_date,
            )
        )
    return by_claim


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


def _survivors(text: str) -> tuple[Survivor, ...]:
    return tuple(survivor_from_json(row) for row in json.loads(text))


def _survivors_context(claim: str) -> str:
    return f"case_facts/{claim}/survivors"
