"""Counts of rows that break an invariant of grading; all are 0."""

from __future__ import annotations

import sqlalchemy as sa
from oip.grading.v1 import events_pb2

from services.grading.domain.appraisals import State
from services.kernel.scheme import AppraisalLevel
from services.runtime.storage.database import Transaction


async def count_unpublished_conclusions(tx: Transaction) -> int:
    """The surplus of conclusions, corrections and revocations over their events."""
    statement = sa.text(
        "select greatest(0, (select coalesce(sum(conclusion_number), 0) from appraisal)"
        " - (select count(*) from outbox where subject = :concluded))"
        " + greatest(0, (select count(*) from appraisal where state = :revoked)"
        " - (select count(*) from outbox where subject = :revocation))"
    )
    values = {
        "revoked": State.REVOKED.name,
        "concluded": events_pb2.AppraisalConcluded.DESCRIPTOR.full_name,
        "revocation": events_pb2.AppraisalRevoked.DESCRIPTOR.full_name,
    }
    return int((await tx.execute(statement, values)).scalar_one())


async def count_conclusions_without_opinions(tx: Transaction) -> int:
    """Conclusions for which a member of the panel gave no opinion."""
    statement = sa.text(
        "select count(*) from appraisal a where a.conclude_date is not null"
        " and (a.draw = 0 or exists ("
        " select from panel_member m where m.appraisal = a.id and m.draw = a.draw"
        " and not exists (select from opinion o where o.appraisal = m.appraisal"
        " and o.draw = m.draw and o.specialist = m.specialist)))"
    )
    return int((await tx.execute(statement)).scalar_one())


async def count_repeated_members(tx: Transaction) -> int:
    """Members of a re-appraisal's panel who sat on an earlier panel of the claim."""
    statement = sa.text(
        "select count(*) from panel_member m join appraisal a on a.id = m.appraisal"
        " where a.level = :re_appraisal and exists ("
        " select from panel_member e join appraisal b on b.id = e.appraisal"
        " where b.claim = a.claim and b.number < a.number"
        " and e.specialist = m.specialist)"
    )
    values = {"re_appraisal": AppraisalLevel.RE_APPRAISAL.name}
    return int((await tx.execute(statement, values)).scalar_one())


async def count_wrong_applications(tx: Transaction) -> int:
    """Re-appraisals and reviews of no conclusion, of another claim's, or applied for before it."""
    statement = sa.text(
        "select count(*) from appraisal a where a.level <> :first and not exists ("
        " select from appraisal b where 'appraisals/' || b.id = a.previous and b.claim = a.claim"
        " and b.number < a.number and b.conclude_date <= a.application_date)"
    )
    values = {"first": AppraisalLevel.FIRST.name}
    return int((await tx.execute(statement, values)).scalar_one())


async def count_wrong_services(tx: Transaction) -> int:
    """Services on a day before the conclusion or after the record, or of no conclusion."""
    statement = sa.text(
        "select count(*) from conclusion_service s join appraisal a on a.id = s.appraisal"
        " where a.conclude_date is null or s.conclusion_number > a.conclusion_number"
        " or s.serve_date < a.conclude_date"
        " or s.serve_date > (s.create_time at time zone 'Asia/Shanghai')::date"
    )
    return int((await tx.execute(statement)).scalar_one())


async def count_wrong_corrections(tx: Transaction) -> int:
    """Appraisals whose number of conclusions is not that of their corrections and one."""
    statement = sa.text(
        "select count(*) from appraisal a where a.conclude_date is not null"
        " and a.conclusion_number <> 1 + (select count(*) from correction c"
        " where c.appraisal = a.id and c.conclusion_number <= a.conclusion_number)"
    )
    return int((await tx.execute(statement)).scalar_one())


async def count_wrong_pools(tx: Transaction) -> int:
    """Draws from others than all who may sit, and panels without a draw."""
    values = {"re_appraisal": AppraisalLevel.RE_APPRAISAL.name}
    return int((await tx.execute(sa.text(_WRONG_POOLS), values)).scalar_one())


# Pools with a specialist who may not sit, or without one who may. One who was registered in the
# minute before the draw may have been added by a transaction that ended after it. Who stayed from
# the panel before is not drawn again.
_WRONG_POOLS = """
    with eligible as (
        select d.appraisal, d.draw, d.create_time - s.create_time as registered_before, s.id
        from panel_draw d join appraisal a on a.id = d.appraisal
        join specialist s on s.provincial = (a.level = :re_appraisal)
        where s.create_time <= d.create_time
            and exists (
                select from specialist_term t
                where t.specialist = s.id and t.create_time <= d.create_time
                    and (d.create_time at time zone 'Asia/Shanghai')::date
                        between t.first_day and t.last_day
            )
            and not exists (
                select from exclusion e
                where e.appraisal = d.appraisal and e.specialist = s.id
                    and e.since_draw <= d.draw
            )
            and not (a.level = :re_appraisal and exists (
                select from panel_member m join appraisal b on b.id = m.appraisal
                where b.claim = a.claim and b.number < a.number and m.specialist = s.id
            ))
    )
    select count(*) + (
        select count(*) from panel_member m where not exists (
            select from panel_draw p where p.appraisal = m.appraisal and p.draw = m.draw)
    ) from panel_draw d
    where not d.pool <@ array(
            select id from eligible e where (e.appraisal, e.draw) = (d.appraisal, d.draw))
        or not (d.pool || d.kept) @> array(
            select id from eligible e where (e.appraisal, e.draw) = (d.appraisal, d.draw)
                and e.registered_before > interval '1 minute')
"""
