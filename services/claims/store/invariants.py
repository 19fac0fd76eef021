"""The SQL of `oip verify`: claims that break an invariant."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from services.claims.domain.attribution import WHOLE_PERCENT
from services.claims.domain.claim import ClaimState
from services.claims.domain.confirmation import Result
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class BrokenCounts:
    """The number of claims, determinations and events that break an invariant; all are 0."""

    without_determination: int
    with_several: int
    charged_wrongly: int
    unpublished: int


async def count_broken(tx: Transaction) -> BrokenCounts:
    """Claims whose state, determinations, charges and events do not agree."""
    values = {
        "determined": ClaimState.DETERMINED.value,
        "confirmed": Result.CONFIRMED.value,
        "whole": WHOLE_PERCENT,
    }
    row = (await tx.execute(sa.text(_BROKEN), values)).one()
    return BrokenCounts(
        row.without_determination, row.with_several, row.charged_wrongly, row.unpublished
    )


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
        where (d.result = :confirmed) <> (:whole = (
            select coalesce(sum((charge ->> 2)::int), 0)
            from jsonb_array_elements(d.charges) charge
        ))
    ) as charged_wrongly,
    (select abs(
        (select count(*) from determination)
        - (select count(*) from outbox where subject = 'oip.claims.v1.ClaimDetermined')
    )) as unpublished
"""
