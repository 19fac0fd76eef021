"""Determinations with their services and revocations: added, never changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from services.claims.domain.case import Judgement
from services.claims.domain.confirmation import Determination, Result
from services.claims.store import ciphers
from services.claims.store.tables import determinations, revocations, services
from services.kernel.law import Finding, facts
from services.runtime.rpc.wire import findings_from_json, findings_to_json
from services.runtime.storage import data_keys, revisions
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


async def insert(
    tx: Transaction,
    cipher: ColumnCipher,
    determination: Determination,
    judgements: Sequence[Judgement],
    claim_revision: int,
) -> None:
    """Add a determination. Findings and the reasons of judgements may speak of health."""
    key = determination.claim_id, determination.number
    cipher = await ciphers.get_of_claim(tx, cipher, determination.claim_id)
    reasons = json.dumps(
        {judgement.question: judgement.reason for judgement in judgements}, ensure_ascii=False
    )
    await tx.execute(
        sa.insert(determinations).values(
            claim_id=determination.claim_id,
            number=determination.number,
            claim_revision=claim_revision,
            result=determination.result.value,
            findings=cipher.encrypt(
                json.dumps(findings_to_json(determination.findings)), _context("findings", *key)
            ),
            judgements=cipher.encrypt(reasons, _context("judgements", *key)),
            platform=determination.platform,
            order_no=determination.order_no,
            adjudicator=determination.adjudicator,
            create_time=determination.create_time,
        )
    )


async def insert_revocation(
    tx: Transaction,
    cipher: ColumnCipher,
    determination: Determination,
    reason: str,
    *,
    revoked_by: str,
    now: datetime,
) -> None:
    """Withdraw a determination; it stays on record."""
    context = _context("revocation", determination.claim_id, determination.number)
    cipher = await ciphers.get_of_claim(tx, cipher, determination.claim_id)
    await tx.execute(
        sa.insert(revocations).values(
            claim_id=determination.claim_id,
            number=determination.number,
            reason=cipher.encrypt(reason, context),
            revoked_by=revoked_by,
            revoke_time=now,
        )
    )


async def insert_service(
    tx: Transaction, determination: Determination, day: date, recorded_by: str, now: datetime
) -> None:
    """Note on which day a conclusion was served."""
    await tx.execute(
        sa.insert(services).values(
            claim_id=determination.claim_id,
            number=determination.number,
            service_date=day,
            recorded_by=recorded_by,
            create_time=now,
        )
    )


async def list_of_claim(
    tx: Transaction,
    cipher: ColumnCipher,
    claim_id: str,
    *,
    after: tuple[int] | tuple[()] = (),
    size: int,
) -> list[Determination]:
    """A claim's determinations after a number, by number, withdrawn ones too."""
    statement = (
        _joined()
        .where(determinations.c.claim_id == claim_id)
        .order_by(determinations.c.number)
        .limit(size)
    )
    if after:
        statement = statement.where(determinations.c.number > after[0])
    rows = (await tx.execute(statement)).all()
    cipher = await data_keys.for_rows(tx, cipher, rows)
    return [_determination(row, cipher) for row in rows]


async def find_latest(tx: Transaction, cipher: ColumnCipher, claim_id: str) -> Determination | None:
    """The last determination of a claim, if it has one."""
    latest = (await find_latest_of_claims(tx, cipher, [claim_id])).get(claim_id)
    revisions.note(f"claims/{claim_id}/determinations", latest)
    return latest


async def find_latest_of_claims(
    tx: Transaction, cipher: ColumnCipher, claim_ids: Iterable[str]
) -> Mapping[str, Determination]:
    """The last determination of each claim that has one, by claim id."""
    statement = (
        _joined()
        .where(determinations.c.claim_id.in_(list(claim_ids)))
        .ext(distinct_on(determinations.c.claim_id))
        .order_by(determinations.c.claim_id, determinations.c.number.desc())
    )
    rows = (await tx.execute(statement)).all()
    cipher = await data_keys.for_rows(tx, cipher, rows)
    return {row.claim_id: _determination(row, cipher) for row in rows}


def _joined() -> sa.Select[Any]:
    def of_the_same(table: sa.Table) -> sa.ColumnElement[bool]:
        return sa.and_(
            table.c.claim_id == determinations.c.claim_id,
            table.c.number == determinations.c.number,
        )

    joined = determinations.outerjoin(revocations, of_the_same(revocations)).outerjoin(
        services, of_the_same(services)
    )
    return sa.select(
        determinations, revocations.c.revoke_time, services.c.service_date
    ).select_from(joined)


def _determination(row: sa.Row[Any], cipher: ColumnCipher) -> Determination:
    key = row.claim_id, row.number
    judgements, found = bytes(row.judgements), bytes(row.findings)
    reasons = json.loads(cipher.show(judgements, _context("judgements", *key), erased="{}"))
    findings = json.loads(cipher.show(found, _context("findings", *key), erased="[]"))
    return Determination(
        claim_id=row.claim_id,
        number=row.number,
        result=Result(row.result),
        findings=tuple(_with_reason(finding, reasons) for finding in findings_from_json(findings)),
        platform=row.platform,
        order_no=row.order_no,
        adjudicator=row.adjudicator,
        create_time=row.create_time,
        revoke_time=row.revoke_time,
        service_date=row.service_date,
    )


def _with_reason(finding: Finding, reasons: Mapping[str, str]) -> Finding:
    """A finding that a person decided, with the reason given for it."""
    question = dict(finding.inputs).get("question", "")
    if question not in reasons:
        return finding
    return replace(finding, outputs=(*finding.outputs, *facts(reason=reasons[question])))


def _context(column: str, claim_id: str, number: int) -> str:
    return f"claims:{claim_id}:{number}:{column}"
