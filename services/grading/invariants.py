"""What must hold of the rows of grading; `oip verify` counts what breaks it."""

from __future__ import annotations

from services.grading.store import draws as draw_store
from services.grading.store import invariants as counts
from services.runtime.service.context import Check, Invariant, ServiceContext
from services.runtime.storage.database import Transaction

PUBLISHED_CONCLUSIONS = Invariant(
    "I14-grading-events",
    "every conclusion, correction and revocation was published to the other services",
)
WHOLE_PANELS = Invariant(
    "I9-grading-opinions", "every conclusion rests on the opinions of its whole panel"
)
OTHER_EXPERTS = Invariant(
    "I9-grading-experts", "no member of a re-appraisal's panel appraised the same claim before"
)
FAIR_DRAWS = Invariant(
    "I9-grading-draws",
    "every panel is the one that the seed committed to before draws from all who may sit",
)
APPLIED_FOR = Invariant(
    "I9-grading-applications",
    "every re-appraisal and review was applied for after the conclusion that it contests",
)
SERVED_IN_TIME = Invariant(
    "I9-grading-services",
    "every conclusion was served between the day of its conclusion and that of the record",
)
WHOLE_CORRECTIONS = Invariant(
    "I9-grading-corrections", "every changed conclusion has its corrections on record"
)
INVARIANTS = (
    PUBLISHED_CONCLUSIONS,
    WHOLE_PANELS,
    OTHER_EXPERTS,
    FAIR_DRAWS,
    APPLIED_FOR,
    SERVED_IN_TIME,
    WHOLE_CORRECTIONS,
)


async def verify(tx: Transaction, context: ServiceContext) -> list[Check]:
    """Re-compute the invariants."""
    unpublished_count = await counts.count_unpublished_conclusions(tx)
    incomplete_count = await counts.count_conclusions_without_opinions(tx)
    repeated_count = await counts.count_repeated_members(tx)
    unfair_count = await counts.count_wrong_pools(tx)
    draws = await draw_store.list_draws(tx, context.cipher)
    unfair_count += sum(not draw.is_fair for draw in draws)
    return [
        PUBLISHED_CONCLUSIONS.check(unpublished_count, "conclusions without an event"),
        WHOLE_PANELS.check(incomplete_count, "conclusions without all opinions"),
        OTHER_EXPERTS.check(repeated_count, "members who sat before"),
        FAIR_DRAWS.check(unfair_count, "draws that differ"),
        APPLIED_FOR.check(
            await counts.count_wrong_applications(tx), "appraisals without their conclusion"
        ),
        SERVED_IN_TIME.check(
            await counts.count_wrong_services(tx), "services outside of their days"
        ),
        WHOLE_CORRECTIONS.check(
            await counts.count_wrong_corrections(tx), "conclusions without their corrections"
        ),
    ]
