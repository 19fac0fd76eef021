"""What must hold of the rows of the staff register; `oip verify` counts what breaks it."""

from __future__ import annotations

from services.runtime.service.context import Check, Invariant, ServiceContext
from services.runtime.storage.database import Transaction
from services.staff.store import invariants as counts

COMPLETE = Invariant(
    "I9-staff-references", "every account, grant and absence belongs to a person of the register"
)
NO_SELF_GRANTS = Invariant("I9-staff-self", "nobody granted a role to themselves")
COPIED = Invariant(
    "I9-staff-copy", "the register's own local copy has the newest entry of every person"
)
INVARIANTS = (COMPLETE, NO_SELF_GRANTS, COPIED)


async def verify(tx: Transaction, _context: ServiceContext) -> list[Check]:
    """Re-compute the invariants."""
    return [
        COMPLETE.check(await counts.count_orphans(tx), "rows without their person"),
        NO_SELF_GRANTS.check(await counts.count_self_grants(tx), "own grants"),
        COPIED.check(await counts.count_stale_copies(tx), "entries differ"),
    ]
