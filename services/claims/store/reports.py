"""Accident reports: added, never changed."""

from __future__ import annotations

import sqlalchemy as sa

from services.claims.domain.reports import AccidentReport
from services.claims.store import ciphers
from services.claims.store.tables import reports
from services.kernel.names import name
from services.kernel.problems import NotFound
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


async def insert(
    tx: Transaction, cipher: ColumnCipher, report: AccidentReport, description: str
) -> None:
    """Add an accident report; its description is encrypted."""
    context = f"claims:{report.id}:report_description"
    cipher = await ciphers.get_of_worker(tx, cipher, report.worker)
    await tx.execute(
        sa.insert(reports).values(
            report_id=report.id,
            worker=report.worker,
            accident_time=report.accident_time,
            place_of_injury=report.place_of_injury,
            description=cipher.encrypt(description, context),
            platforms=list(report.platforms),
            reported_late=report.reported_late,
            create_time=report.create_time,
        )
    )


async def find(tx: Transaction, report_id: str) -> AccidentReport | None:
    """An accident report, if there is one that the transaction may see."""
    statement = sa.select(reports).where(reports.c.report_id == report_id)
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        return None
    return AccidentReport(
        id=row.report_id,
        worker=row.worker,
        accident_time=row.accident_time,
        place_of_injury=row.place_of_injury,
        platforms=tuple(row.platforms),
        reported_late=row.reported_late,
        create_time=row.create_time,
    )


async def get(tx: Transaction, report_id: str) -> AccidentReport:
    """An accident report; raises NotFound for one that the transaction may not see."""
    report = await find(tx, report_id)
    if report is None:
        raise NotFound(name=name("accidentReports", report_id))
    return report
