"""What must hold of the rows of claims, re-computed by `oip verify`."""

from __future__ import annotations

from services.claims.store.invariants import count_broken
from services.runtime.service.context import Check, Invariant, ServiceContext
from services.runtime.storage.database import Transaction

ONE_DETERMINATION = Invariant(
    "I14-claims",
    "a claim is determined exactly if it has one determination that was not withdrawn",
)
WHOLE_CHARGES = Invariant(
    "I7-claims", "the platforms' shares of a confirmed case sum to 100 percent"
)
EVERY_EVENT = Invariant("I6-claims", "every determination was published to the other services")

INVARIANTS = (ONE_DETERMINATION, WHOLE_CHARGES, EVERY_EVENT)


async def verify(tx: Transaction, _context: ServiceContext) -> list[Check]:
    """The invariants, each with the number of rows that break it."""
    broken = await count_broken(tx)
    return [
        ONE_DETERMINATION.result(
            holds=broken.without_determination == 0 and broken.with_several == 0,
            detail=f"{broken.without_determination} without, {broken.with_several} with several",
        ),
        WHOLE_CHARGES.check(broken.charged_wrongly, "charged otherwise"),
        EVERY_EVENT.check(broken.unpublished, "more or fewer events than determinations"),
    ]
