"""What must hold of the rows of enrolment; `oip verify` counts what breaks it."""

from __future__ import annotations

from services.enrolment.store import invariants as counts
from services.runtime.service.context import Check, Invariant, ServiceContext
from services.runtime.storage.database import Transaction

COMPLETE_ENROLMENTS = Invariant(
    "I2-enrolment-references", "every enrolment has its worker and its registered platform"
)
INVARIANTS = (COMPLETE_ENROLMENTS,)


async def verify(tx: Transaction, _context: ServiceContext) -> list[Check]:
    """Re-compute the invariants."""
    incomplete_count = await counts.count_incomplete_enrolments(tx)
    return [COMPLETE_ENROLMENTS.check(incomplete_count, "enrolments without worker or platform")]
