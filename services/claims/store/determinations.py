"""What was determined, withdrawn and stayed; added, never changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from services.claims.domain.case import Judgement
from services.claims.domain.claim import Claim
from services.claims.domain.confirmation import Determination, Result
from services.claims.domain.evidence import Charge
from services.claims.store.tables import determinations, revocations, services, stays
from services.kernel.law import Finding, facts
from services.runtime.rpc.wire import findings_from_json, findings_to_json
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


async def insert_determination(
    tx: Transaction,
    cipher: ColumnCipher,
    made: Determination,
    judgements: Sequence[Judgement],
    claim_revision: int,
) -> None:
    """Add a determination. The reasons of judgements are encrypted: they may speak of health."""
    reasons = json.dumps({one.question: one.reason for one in judgements}, ensure_ascii=False)
    await tx.execute(
        sa.insert(determinations).values(
            claim_id=made.claim_id,
            number=made.number,
            claim_revision=claim_revision,
            result=made.result.value,
            findings=findings_to_json(made.findings),
            judgements=cipher.encrypt(reasons, _judgements_context(made.claim_id, made.number)),
            charges=[[one.platform, one.order_no, one.percent] for one in made.charges],
            adjudicator=made.adjudicator,
            create_time=made.create_time,
        )
    )


async def insert_revocation(
    tx: Transaction,
    cipher: ColumnCipher,
    made: Determination,
    reason: str,
    *,
    revoked_by: str,
    now: datetime,
) -> None:
    """Withdraw a determination; it stays on record."""
    context = f"claims:{made.claim_id}:{made.number}:revocation"
    await tx.execute(
        sa.insert(revocations).values(
            claim_id=made.claim_id,
            number=made.number,
            reason=cipher.encrypt(reason, context),
            revoked_by=revoked_by,
            revoke_time=now,
        )
    )


async def insert_service(
    tx: Transaction, made: Determination, day: date, recorded_by: str, now: datetime
) -> None:
    """Note on which day a conclusion was served."""
    await tx.execute(
        sa.insert(services).values(
            claim_id=made.claim_id,
            number=made.number,
            service_date=day,
            recorded_by=recorded_by,
            create_time=now,
        )
    )


async def insert_stay(
    tx: Transaction,
    cipher: ColumnCipher,
    claim: Claim,
    reason: str,
    *,
    stayed_by: str,
    now: datetime,
) -> None:
    """Note why the time stands still."""
    context = f"claims:{claim.claim_id}:{claim.revision}:stay"
    await tx.execute(
        sa.insert(stays).values(
            claim_id=claim.claim_id,
            claim_revision=claim.revision,
            reason=cipher.encrypt(reason, context),
            stayed_by=stayed_by,
            create_time=now,
        )
    )


async def determinations_of(
    tx: Transaction, cipher: ColumnCipher, claim_id: str, after: int = 0, size: int = 1000
) -> list[Determination]:
    """A claim's determinations by number, withdrawn ones too."""
    statement = (
        _joined()
        .where(determinations.c.claim_id == claim_id, determinations.c.number > after)
        .order_by(determinations.c.number)
        .limit(size)
    )
    return [_determination(row, cipher) for row in await tx.execute(statement)]


async def latest_determinations(
    tx: Transaction, cipher: ColumnCipher, claim_ids: Iterable[str]
) -> Mapping[str, Determination]:
    """The last determination of each claim that has one."""
    statement = (
        _joined()
        .where(determinations.c.claim_id.in_(list(claim_ids)))
        .ext(distinct_on(determinations.c.claim_id))
        .order_by(determinations.c.claim_id, determinations.c.number.desc())
    )
    rows = await tx.execute(statement)
    return {row.claim_id: _determination(row, cipher) for row in rows}


@dataclass(frozen=True)
class Broken:
    """How many claims break an invariant; all are 0."""

    without_determination: int
    with_two: int
    charged_wrongly: int
    untold: int


async def count_broken(tx: Transaction) -> Broken:
    """Claims whose state, determinations, charges and events do not agree."""
    row = (await tx.execute(sa.text(_BROKEN))).one()
    return Broken(row.without_determination, row.with_two, row.charged_wrongly, row.untold)


_BROKEN = """
with live as (
    select d.* from determination d
    where not exists (
        select from revocation r where r.claim_id = d.claim_id and r.number = d.number
    )
)
select
    (select count(*) from claim c
        where (c.state = 5) <> exists (select from live where live.claim_id = c.claim_id)
    ) as without_determination,
    (select count(*) from (select from live group by claim_id having count(*) > 1) doubled
    ) as with_two,
    (select count(*) from determination d
        where (d.result = 1) <> (100 = (
            select coalesce(sum((charge ->> 2)::int), 0)
            from jsonb_array_elements(d.charges) charge
        ))
    ) as charged_wrongly,
    (select abs(
        (select count(*) from determination)
        - (select count(*) from outbox where subject = 'oip.claims.v1.ClaimDetermined')
    )) as untold
"""


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
    context = _judgements_context(row.claim_id, row.number)
    reasons = json.loads(cipher.decrypt(bytes(row.judgements), context))
    return Determination(
        claim_id=row.claim_id,
        number=row.number,
        result=Result(row.result),
        findings=tuple(_with_reason(one, reasons) for one in findings_from_json(row.findings)),
        charges=tuple(Charge(*charge) for charge in row.charges),
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


def _judgements_context(claim_id: str, number: int) -> str:
    return f"claims:{claim_id}:{number}:judgements"
