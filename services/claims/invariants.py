"""What must hold of the rows of claims, re-computed by `oip verify`."""

from __future__ import annotations

from services.claims.store.invariants import count_broken, list_confirmed
from services.kernel.periods import Month
from services.runtime.service.context import Check, Figure, Invariant, ServiceContext
from services.runtime.storage.database import Transaction

ONE_DETERMINATION = Invariant(
    "I14-claims",
    "a claim is determined exactly if it has one determination that was not withdrawn",
)
ONE_PLATFORM = Invariant(
    "I7-claims", "a confirmed case is borne by one platform, and a refused one by none"
)
EVERY_EVENT = Invariant("I6-claims", "every determination was published to the other services")
ONE_CLAIM = Invariant(
    "I15-claims",
    "an accident that stands has one claim, and a merged claim is part of such a claim",
)
NEAR_ACCIDENTS = Invariant(
    "I16-claims",
    "two accidents of a person near in time stand only where a person found them distinct",
)
NONE_PENDING = Invariant("I17-claims", "no determination stands on a pending or merged filing")

INVARIANTS = (
    ONE_DETERMINATION,
    ONE_PLATFORM,
    EVERY_EVENT,
    ONE_CLAIM,
    NEAR_ACCIDENTS,
    NONE_PENDING,
)


async def verify(tx: Transaction, _context: ServiceContext) -> list[Check]:
    """The invariants, each with the number of rows that break it."""
    broken = await count_broken(tx)
    return [
        ONE_DETERMINATION.result(
            holds=broken.without_determination == 0 and broken.with_several == 0,
            detail=f"{broken.without_determination} without, {broken.with_several} with several",
        ),
        ONE_PLATFORM.check(broken.charged_wrongly, "charged otherwise"),
        EVERY_EVENT.check(broken.unpublished, "more or fewer events than determinations"),
        ONE_CLAIM.check(broken.claims_without_accident, "claims without their accident"),
        NEAR_ACCIDENTS.check(broken.near_without_answer, "pairs without an answer"),
        NONE_PENDING.check(broken.pending_with_determination, "determinations"),
    ]


async def figures(tx: Transaction, first_month: Month) -> list[Figure]:
    """What benefits must know as confirmed; a digest, so that no claim is named."""
    return [
        Figure("I15-confirmed", month, count, str(digest))
        for month, count, digest in await list_confirmed(tx, first_month)
    ]
