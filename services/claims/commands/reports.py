"""Changes of accident reports."""

from __future__ import annotations

from dataclasses import replace

from services.claims.domain.law import law_as_known
from services.claims.domain.reports import AccidentReport, is_reported_late
from services.claims.store import reports as report_store
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def report_accident(
    tx: Transaction, context: CommandContext, report: AccidentReport, description: str
) -> AccidentReport:
    """Keep the first report of an accident, marked if it came late."""
    law = law_as_known(context.today)
    late = is_reported_late(report.accident_time, context.now, report.place_of_injury, law)
    report = replace(report, reported_late=late)
    await report_store.insert(tx, context.cipher, report, description)
    return report
