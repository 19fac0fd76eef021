"""What the invariants of grading count."""

from __future__ import annotations

import sqlalchemy as sa

from services.runtime.storage.database import Transaction


async def count_conclusions_untold(tx: Transaction) -> int:
    """How many more conclusions there are than events that tell them; none, or less than that."""
    statement = sa.text(
        "select (select count(*) from appraisal where state = 'CONCLUDED')"
        " - (select count(*) from outbox where subject = 'oip.grading.v1.AppraisalConcluded')"
    )
    return max(0, int((await tx.execute(statement)).scalar_one()))


async def count_conclusions_without_opinions(tx: Transaction) -> int:
    """Conclusions for which not every member of the panel gave an opinion; there are none."""
    statement = sa.text(
        "select count(*) from appraisal a where a.state = 'CONCLUDED' and (a.draw = 0 or exists ("
        " select from panel_member m where m.appraisal = a.id and m.draw = a.draw"
        " and not exists (select from opinion o where o.appraisal = m.appraisal"
        " and o.draw = m.draw and o.specialist = m.specialist)))"
    )
    return int((await tx.execute(statement)).scalar_one())


async def count_repeated_experts(tx: Transaction) -> int:
    """Members of a re-appraisal's panel who sat on an earlier one of the claim; there are none."""
    statement = sa.text(
        "select count(*) from panel_member m join appraisal a on a.id = m.appraisal"
        " where a.level = 'RE_APPRAISAL' and exists ("
        " select from panel_member e join appraisal b on b.id = e.appraisal"
        " where b.claim = a.claim and b.create_time < a.create_time"
        " and e.specialist = m.specialist)"
    )
    return int((await tx.execute(statement)).scalar_one())
