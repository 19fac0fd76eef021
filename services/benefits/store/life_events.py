"""Life events of workers, as officers recorded them."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from services.benefits.domain.case import CauseOfDeath
from services.benefits.domain.life import LifeEvent, LifeState
from services.benefits.store.tables import claims_of_case, life_events
from services.runtime.rpc.survivors import survivor_from_json, survivor_to_json
from services.runtime.rpc.wire import findings_from_json, findings_to_json
from services.runtime.storage import data_keys, revisions
from services.runtime.storage.crypto import ERASED, ColumnCipher
from services.runtime.storage.database import Transaction

# The details of an event of a worker who was erased.
_ERASED = json.dumps({"survivors": [], "findings": [], "reason": ERASED})


async def insert(tx: Transaction, cipher: ColumnCipher, event: LifeEvent) -> None:
    """Add an event; it counts from now on."""
    cipher = await data_keys.of_person(tx, cipher, event.worker)
    details = {
        "survivors": [survivor_to_json(survivor) for survivor in event.survivors],
        "findings": findings_to_json(event.findings),
        "reason": event.reason,
    }
    await tx.execute(
        sa.insert(life_events).values(
            id=event.id,
            claim=event.claim,
            worker=event.worker,
            state=event.state.value,
            day=event.day,
            cause=event.cause.value if event.cause else None,
            hardship=event.hardship,
            details=cipher.encrypt(json.dumps(details, ensure_ascii=False), _context(event.id)),
            document_hash=event.document_hash,
            record_date=event.record_date,
            member=event.member,
            create_time=event.create_time,
        )
    )


async def list_of_worker(tx: Transaction, cipher: ColumnCipher, worker: str) -> list[LifeEvent]:
    """The events of a worker in the order of their recording."""
    statement = (
        sa.select(life_events).where(life_events.c.worker == worker).order_by(life_events.c.number)
    )
    rows = (await tx.execute(statement)).all()
    cipher = await data_keys.for_rows(tx, cipher, rows)
    events = [_event(row, cipher) for row in rows]
    revisions.note(f"{worker}/lifeEvents", len(events))
    return events


async def list_of_claim(
    tx: Transaction, cipher: ColumnCipher, claim: str, after: tuple[int] | tuple[()], size: int
) -> list[tuple[int, LifeEvent]]:
    """The events recorded on the claims of one case, by number, after a number."""
    statement = (
        sa.select(life_events)
        .where(life_events.c.claim.in_(claims_of_case(claim)))
        .order_by(life_events.c.number)
        .limit(size)
    )
    if after:
        statement = statement.where(life_events.c.number > after[0])
    rows = (await tx.execute(statement)).all()
    cipher = await data_keys.for_rows(tx, cipher, rows)
    return [(row.number, _event(row, cipher)) for row in rows]


def _event(row: sa.Row[Any], cipher: ColumnCipher) -> LifeEvent:
    details = json.loads(cipher.show(bytes(row.details), _context(row.id), erased=_ERASED))
    return LifeEvent(
        id=row.id,
        claim=row.claim,
        worker=row.worker,
        state=LifeState(row.state),
        day=row.day,
        cause=CauseOfDeath(row.cause) if row.cause else None,
        hardship=row.hardship,
        survivors=tuple(survivor_from_json(survivor) for survivor in details["survivors"]),
        document_hash=bytes(row.document_hash),
        reason=details["reason"],
        record_date=row.record_date,
        member=row.member,
        findings=findings_from_json(details["findings"]),
        create_time=row.create_time,
    )


def _context(event: str) -> str:
    return f"life_event:{event}:details"
