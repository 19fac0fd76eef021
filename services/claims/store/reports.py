"""Accident reports: added, never changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.claims.domain.reports import AccidentReport
from services.claims.store import ciphers
from services.claims.store.tables import claims, reports
from services.kernel.names import name
from services.kernel.problems import NotFound
from services.runtime.storage import data_keys
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


async def insert(
    tx: Transaction, cipher: ColumnCipher, report: AccidentReport, description: str
) -> None:
    """Add an accident report; its description is encrypted."""
    cipher = await ciphers.get_of_worker(tx, cipher, report.worker)
    await tx.execute(
        sa.insert(reports).values(
            report_id=report.id,
            worker=report.worker,
            accident_time=report.accident_time,
            place_of_injury=report.place_of_injury,
            description=cipher.encrypt(description, _context(report.id)),
            platforms=list(report.platforms),
            reported_late=report.reported_late,
            create_time=report.create_time,
        )
    )


async def find(tx: Transaction, report_id: str) -> AccidentReport | None:
    """An accident report, if there is one that the transaction may see."""
    statement = sa.select(reports).where(reports.c.report_id == report_id)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else _report(row)


async def get_with_description(
    tx: Transaction, cipher: ColumnCipher, report_id: str
) -> tuple[AccidentReport, str]:
    """An accident report with what was written of it; raises NotFound as `get`."""
    statement = sa.select(reports).where(reports.c.report_id == report_id)
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise NotFound(name=name("accidentReports", report_id))
    cipher = await data_keys.for_rows(tx, cipher, [row])
    return _report(row), cipher.show(bytes(row.description), _context(report_id))


async def list_newest_first(
    tx: Transaction,
    worker: int | None,
    *,
    unclaimed_only: bool,
    before: tuple[datetime, str] | tuple[()],
    size: int,
) -> list[AccidentReport]:
    """Reports before a key (time of creation, id), newest first; of one person if one is named."""
    time, report_id = reports.c.create_time, reports.c.report_id
    statement = sa.select(reports).order_by(time.desc(), report_id.desc()).limit(size)
    if worker is not None:
        statement = statement.where(reports.c.worker == worker)
    if unclaimed_only:
        claimed = sa.exists().where(claims.c.accident_report == report_id)
        statement = statement.where(~claimed)
    if before:
        key = sa.tuple_(time, report_id)
        statement = statement.where(key < sa.tuple_(*(sa.literal(part) for part in before)))
    return [_report(row) for row in await tx.execute(statement)]


async def get(tx: Transaction, report_id: str) -> AccidentReport:
    """An accident report; raises NotFound for one that the transaction may not see."""
    report = await find(tx, report_id)
    if report is None:
        raise NotFound(name=name("accidentReports", report_id))
    return report


def _report(row: sa.Row[Any]) -> AccidentReport:
    return AccidentReport(
        id=row.report_id,
        worker=row.worker,
        accident_time=row.accident_time,
        place_of_injury=row.place_of_injury,
        platforms=tuple(row.platforms),
        reported_late=row.reported_late,
        create_time=row.create_time,
    )


def _context(report_id: str) -> str:
    """What the encrypted description is bound to."""
    return f"claims:{report_id}:report_description"
