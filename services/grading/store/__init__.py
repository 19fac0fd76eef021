"""Tables of grading, and one function per question or change."""

from services.grading.store.appraisals import (
    get_appraisal,
    get_injury,
    insert_appraisal,
    insert_note,
    list_appraisals,
    lock_appraisal,
    lock_injury,
    lock_newest,
    update_appraisal,
    update_injury,
)
from services.grading.store.checks import (
    count_conclusions_untold,
    count_conclusions_without_opinions,
    count_repeated_experts,
)
from services.grading.store.panels import (
    earlier_members,
    get_opinions,
    get_panel,
    get_specialist,
    insert_opinion,
    insert_panel,
    insert_specialist,
    list_specialists,
    pool,
)
from services.grading.store.tables import (
    metadata,
)

__all__ = [
    "count_conclusions_untold",
    "count_conclusions_without_opinions",
    "count_repeated_experts",
    "earlier_members",
    "get_appraisal",
    "get_injury",
    "get_opinions",
    "get_panel",
    "get_specialist",
    "insert_appraisal",
    "insert_note",
    "insert_opinion",
    "insert_panel",
    "insert_specialist",
    "list_appraisals",
    "list_specialists",
    "lock_appraisal",
    "lock_injury",
    "lock_newest",
    "metadata",
    "pool",
    "update_appraisal",
    "update_injury",
]
