"""Recoveries: money paid that was not due, and what people still owe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from services.benefits.domain.recovery import Recovery
from services.benefits.store.tables import recoveries
from services.kernel.money import Fen
from services.runtime.rpc.wire import findings_from_json, findings_to_json
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


async def insert(tx: Transaction, marked: Iterable[Recovery], now: datetime) -> None:
    """Mark money for recovery."""
    rows = [
        {
            "id": recovery.id,
            "award": recovery.award,
            "claim": recovery.claim,
            "beneficiary": recovery.beneficiary,
            "amount_fen": recovery.amount.count,
            "reason": recovery.reason,
            "findings": findings_to_json(recovery.findings),
            "create_time": now,
        }
        for recovery in marked
    ]
    if rows:
        await tx.execute(sa.insert(recoveries), rows)


async def list_recoveries(
    tx: Transaction, claim: str, after: tuple[str, str] | tuple[()], size: int
) -> list[Recovery]:
    """Recoveries by claim and id, of one claim or of all, after a claim and an id."""
    key = sa.tuple_(recoveries.c.claim, recoveries.c.id)
    statement = sa.select(recoveries).order_by(recoveries.c.claim, recoveries.c.id).limit(size)
    if claim:
        statement = statement.where(recoveries.c.claim == claim)
    if after:
        statement = statement.where(key > sa.tuple_(*map(sa.literal, after)))
    return [
        Recovery(
            id=row.id,
            award=row.award,
            claim=row.claim,
            beneficiary=row.beneficiary,
            amount=Fen(row.amount_fen),
            reason=row.reason,
            findings=findings_from_json(row.findings),
            create_time=row.create_time,
        )
        for row in await tx.execute(statement)
    ]


async def list_open_debts(tx: Transaction) -> list[OpenDebt]:
    """The awards of people who have money to give back, by number."""
    rows = await tx.execute(
        sa.text(
            "with marked as (select claim, beneficiary, sum(amount_fen) as marked"
            "  from recovery group by claim, beneficiary),"
            " open as (select m.claim, m.beneficiary, row_number() over"
            "   (order by m.claim, m.beneficiary) as person,"
            "   m.marked - coalesce((select sum(p.withheld_fen) from award a"
            "    join payment p on p.number = a.number and p.kind = a.kind"
            "    where a.claim = m.claim and a.beneficiary = m.beneficiary), 0) as owed"
            "  from marked m)"
            " select a.number, o.person, a.pooling_area, o.owed from open o"
            " join award a on a.claim = o.claim and a.beneficiary = o.beneficiary"
            " where o.owed > 0 order by a.number"
        )
    )
    return [
        OpenDebt(int(row.number), int(row.person), row.pooling_area, Fen(int(row.owed)))
        for row in rows
    ]
