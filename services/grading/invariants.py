"""What must hold of the rows of grading; `oip verify` counts what breaks it."""

from __future__ import annotations

from services.grading.store import invariants as counts
from services.runtime.service.context import Check, Invariant, ServiceContext
from services.runtime.storage.database import Transaction

PUBLISHED_CONCLUSIONS = Invariant(
    "I14-grading-events", "every conclusion was published to the other services"
)
WHOLE_PANELS = Invariant(
    "I9-grading-opinions", "every conclusion rests on the opinions of its whole panel"
)
OTHER_EXPERTS = Invariant(
    "I9-grading-experts", "no member of a re-appraisal's panel appraised the same claim before"
)
INVARIANTS = (PUBLISHED_CONCLUSIONS, WHOLE_PANELS, OTHER_EXPERTS)


async def verify(tx: Transaction, _context: ServiceContext) -> list[Check]:
    """Re-compute the invariants."""
    unpublished_count = await counts.count_unpublished_conclusions(tx)
    incomplete_count = await counts.count_conclusions_without_opinions(tx)
    repeated_count = await counts.count_repeated_members(tx)
    return [
        PUBLISHED_CONCLUSIONS.check(unpublished_count, "conclusions without an event"),
        WHOLE_PANELS.check(incomplete_count, "conclusions without all opinions"),
        OTHER_EXPERTS.check(repeated_count, "members who sat before"),
    ]
