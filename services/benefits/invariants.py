"""What must hold of the rows of benefits."""

from __future__ import annotations

from services.benefits.store import invariants as rows
from services.runtime.service.context import Check, Invariant, ServiceContext
from services.runtime.storage.database import Transaction

FOUNDED = Invariant(
    "I3-benefits-founded",
    "every payment instruction rests on an award and a rate decided for its month",
)
COMPLETE = Invariant(
    "I3-benefits-complete",
    "each entitlement-month up to the latest run is instructed exactly once",
)
RATES = Invariant("I3-benefits-rates", "no award has two rates in one month")
TOTALS = Invariant(
    "I7-benefits-totals",
    "the totals published for each run are the sums of its payment instructions",
)
INVARIANTS: tuple[Invariant, ...] = (FOUNDED, COMPLETE, RATES, TOTALS)


async def verify(tx: Transaction, _context: ServiceContext) -> list[Check]:
    """The invariants of benefits, checked on all rows."""
    return [
        FOUNDED.check(await rows.count_unfounded_payments(tx), "payments are not founded"),
        COMPLETE.check(
            await rows.count_missing_payments(tx), "months are missing; the key prevents repeats"
        ),
        RATES.check(await rows.count_overlapping_rates(tx), "rates overlap"),
        TOTALS.check(await rows.count_differing_totals(tx), "totals differ"),
    ]
