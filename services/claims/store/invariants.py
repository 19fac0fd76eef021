"""The SQL of `oip verify`: claims that break an invariant."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from services.claims.domain.accidents import AccidentAnswer
from services.claims.domain.claim import ClaimState
from services.claims.domain.confirmation import Result
from services.kernel.periods import Month
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class BrokenCounts:
    """The number of claims, determinations and events that break an invariant; all are 0."""

    without_determination: int
    with_several: int
    charged_wrongly: int
    unpublished: int
    claims_without_accident: int
    near_without_answer: int
    pending_with_determination: int


async def count_broken(tx: Transaction) -> BrokenCounts:
    """Claims whose state, determinations, platforms and events do not agree."""
    values = {
        "determined": ClaimState.DETERMINED.value,
        "confirmed": Result.CONFIRMED.value,
        "pending": ClaimState.PENDING.value,
        "merged": ClaimState.MERGED.value,
        "distinct": AccidentAnswer.DISTINCT.value,
    }
    row = (await tx.execute(sa.text(_BROKEN), values)).one()
    return BrokenCounts(*row)


async def list_confirmed(tx: Transaction, first_month: Month) -> list[tuple[str, int, int]]:
    """Month, count and digest of the claims confirmed, by the day of determination in Shanghai."""
    values = {"confirmed": Result.CONFIRMED.value, "first": first_month.first_day}
    rows = await tx.execute(sa.text(_CONFIRMED), values)
    return [(row.month, row.claim_count, int(row.digest)) for row in rows]


_CONFIRMED = """
select to_char(d.create_time at time zone 'Asia/Shanghai', 'YYYY-MM') as month,
    count(*) as claim_count,
    sum(('x' || substr(md5('claims/' || d.claim_id), 1, 15))::bit(60)::bigint) as digest
from determination d
where d.result = :confirmed
    and (d.create_time at time zone 'Asia/Shanghai')::date >= :first
    and not exists (
        select from revocation r where r.claim_id = d.claim_id and r.number = d.number
    )
group by 1 order by 1
"""

_BROKEN = """
with standing as (
    select d.* from determination d
    where not exists (
        select from revocation r where r.claim_id = d.claim_id and r.number = d.number
    )
)
select
    (select count(*) from claim c
        where (c.state = :determined)
            <> exists (select from standing where standing.claim_id = c.claim_id)
    ) as without_determination,
    (select count(*)
        from (select from standing group by claim_id having count(*) > 1) several
    ) as with_several,
    (select count(*) from determination d
        where (d.result = :confirmed) <> (d.platform <> '')
    ) as charged_wrongly,
    (select abs(
        (select count(*) from determination)
        - (select count(*) from outbox where subject = 'oip.claims.v1.ClaimDetermined')
    )) as unpublished,
    (select count(*) from claim c
        left join accident a using (claim_id)
        left join accident whole on whole.claim_id = c.merged_into
        where not coalesce(case c.state
            when :pending then a.accident_id is null
            when :merged then a.merged_into = whole.accident_id and whole.merged_into = ''
                and a.worker = whole.worker
            else a.merged_into = '' and a.accident_id = c.accident_id and a.worker = c.worker
        end, false)
    ) as claims_without_accident,
    (select count(*) from accident earlier
        join accident later on earlier.worker = later.worker
            and earlier.time_window && later.time_window
            and (earlier.create_time, earlier.accident_id)
                < (later.create_time, later.accident_id)
        where earlier.merged_into = '' and later.merged_into = ''
            and not exists (
                select from filing_answer f
                where f.answer = :distinct and (
                    f.claim_id = later.claim_id
                    or f.claim_id = earlier.claim_id and earlier.create_time = later.create_time
                )
            )
    ) as near_without_answer,
    (select count(*) from standing join claim using (claim_id)
        where claim.state in (:pending, :merged)
    ) as pending_with_determination
"""
