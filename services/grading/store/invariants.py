"""Counts of rows that break an invariant of grading; all are 0."""

from __future__ import annotations

import sqlalchemy as sa
from oip.grading.v1 import events_pb2

from services.grading.domain.appraisals import State
from services.kernel.scheme import AppraisalLevel
from services.runtime.storage.database import Transaction


async def count_unpublished_conclusions(tx: Transaction) -> int:
    """The surplus of conclusions over AppraisalConcluded events; one may be published again."""
    statement = sa.text(
        "select (select count(*) from appraisal where state = :concluded)"
        " - (select count(*) from outbox where subject = :subject)"
    )
    values = {
        "concluded": State.CONCLUDED.name,
        "subject": events_pb2.AppraisalConcluded.DESCRIPTOR.full_name,
    }
    return max(0, int((await tx.execute(statement, values)).scalar_one()))


async def count_conclusions_without_opinions(tx: Transaction) -> int:
    """Conclusions for which a member of the panel gave no opinion."""
    statement = sa.text(
        "select count(*) from appraisal a where a.state = :concluded and (a.draw = 0 or exists ("
        " select from panel_member m where m.appraisal = a.id and m.draw = a.draw"
        " and not exists (select from opinion o where o.appraisal = m.appraisal"
        " and o.draw = m.draw and o.specialist = m.specialist)))"
    )
    values = {"concluded": State.CONCLUDED.name}
    return int((await tx.execute(statement, values)).scalar_one())


async def count_repeated_members(tx: Transaction) -> int:
    """Members of a re-appraisal's panel who sat on an earlier panel of the claim."""
    statement = sa.text(
        "select count(*) from panel_member m join appraisal a on a.id = m.appraisal"
        " where a.level = :re_appraisal and exists ("
        " select from panel_member e join appraisal b on b.id = e.appraisal"
        " where b.claim = a.claim and b.create_time < a.create_time"
        " and e.specialist = m.specialist)"
    )
    values = {"re_appraisal": AppraisalLevel.RE_APPRAISAL.name}
    return int((await tx.execute(statement, values)).scalar_one())
