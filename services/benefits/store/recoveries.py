"""Recoveries: money paid that was not due, and what people still owe."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from services.benefits.domain.recovery import Recovery
from services.benefits.store.tables import claims_of_case, recoveries
from services.kernel.money import Fen
from services.runtime.rpc.wire import findings_from_json, findings_to_json
from services.runtime.storage import data_keys
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class OpenDebt:
    """One award of a person who has money to give back, and the fen that person still owes.

    `number` is the award's key, `person` numbers the people within one answer.
    """

    number: int
    person: int
    pooling_area: str
    owed: Fen


async def insert(
    tx: Transaction, cipher: ColumnCipher, worker: str, marked: Sequence[Recovery], now: datetime
) -> None:
    """Mark money of a worker's awards for recovery."""
    if not marked:
        return
    cipher = await data_keys.of_person(tx, cipher, worker)
    rows = [
        {
            "id": recovery.id,
            "award": recovery.award,
            "claim": recovery.claim,
            "beneficiary": recovery.beneficiary,
            "amount_fen": recovery.amount.count,
            "reason": cipher.encrypt(recovery.reason, _context(recovery.id, "reason")),
            "findings": cipher.encrypt(
                json.dumps(findings_to_json(recovery.findings), ensure_ascii=False),
                _context(recovery.id, "findings"),
            ),
            "create_time": now,
        }
        for recovery in marked
    ]
    await tx.execute(sa.insert(recoveries), rows)


async def list_recoveries(
    tx: Transaction,
    cipher: ColumnCipher,
    claim: str,
    after: tuple[str, str] | tuple[()],
    size: int,
) -> list[Recovery]:
    """Recoveries by claim and id, after a claim and an id: of all, or of the case of one claim."""
    key = sa.tuple_(recoveries.c.claim, recoveries.c.id)
    statement = sa.select(recoveries).order_by(recoveries.c.claim, recoveries.c.id).limit(size)
    if claim:
        statement = statement.where(recoveries.c.claim.in_(claims_of_case(claim)))
    if after:
        statement = statement.where(key > sa.tuple_(*map(sa.literal, after)))
    rows = (await tx.execute(statement)).all()
    cipher = await data_keys.for_rows(tx, cipher, rows)
    return [
        Recovery(
            id=row.id,
            award=row.award,
            claim=row.claim,
            beneficiary=row.beneficiary,
            amount=Fen(row.amount_fen),
            reason=cipher.show(row.reason, _context(row.id, "reason")),
            findings=findings_from_json(
                json.loads(cipher.show(row.findings, _context(row.id, "findings"), erased="[]"))
            ),
            create_time=row.create_time,
        )
        for row in rows
    ]


def _context(recovery: str, column: str) -> str:
    return f"recovery/{recovery}/{column}"


async def list_open_debts(tx: Transaction) -> list[OpenDebt]:
    """The awards of people who have money to give back, by number."""
    rows = await tx.execute(
        sa.text(
            "with marked as (select a.worker, a.accident, a.beneficiary,"
            "  sum(r.amount_fen) as marked from recovery r join award a on a.id = r.award"
            "  group by a.worker, a.accident, a.beneficiary),"
            " open as (select m.worker, m.accident, m.beneficiary, row_number() over"
            "   (order by m.worker, m.accident, m.beneficiary) as person,"
            "   m.marked - coalesce((select sum(p.withheld_fen) from award a"
            "    join payment p on p.number = a.number and p.kind = a.kind"
            "    where a.worker = m.worker and a.accident = m.accident"
            "    and a.beneficiary = m.beneficiary), 0) as owed"
            "  from marked m)"
            " select a.number, o.person, a.pooling_area, o.owed from open o"
            " join award a on a.worker = o.worker and a.accident = o.accident"
            "  and a.beneficiary = o.beneficiary"
            " where o.owed > 0 order by a.number"
        )
    )
    return [
        OpenDebt(int(row.number), int(row.person), row.pooling_area, Fen(int(row.owed)))
        for row in rows
    ]
