"""The staging table: rows that may be stored already, and a statement with a verdict on each.

Both statements give `row_count`, and `positions` and `verdicts` (a digit each) of the rows that do
not exist already: of a file sent again, nearly all do, and are dropped where they are compared.
`refused` are the rows that are not stored, in full if they conflict, and `tallies` what the new
rows add or take back.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.orders.domain.resolutions import Refusal, Resolution, Verdict
from services.orders.domain.row_rules import COUNTING_STATES, State
from services.orders.store.intake import insert_by_copy
from services.orders.store.legs import LEG_COLUMNS, counted_legs_sql
from services.orders.store.tables import sql_list
from services.runtime.storage.database import Transaction

_CREATE_TABLE_SQL = """
create temporary table if not exists staged (
    batch_no bigint, worker bigint, accept_time timestamptz, pick_up_time timestamptz,
    end_time timestamptz, leaf_index integer, revision integer, place_of_acceptance integer,
    pooling_area integer, industry smallint, state smallint, platform text collate "C",
    order_no text collate "C", reason text
) on commit delete rows
"""
# The content of a staged row (s) and of a stored one (h) is the same.
_IS_SAME = """(s.worker is not distinct from h.worker
            and s.industry is not distinct from h.industry
            and s.state is not distinct from h.state
            and s.accept_time is not distinct from h.accept_time
            and s.pick_up_time is not distinct from h.pick_up_time
            and s.end_time is not distinct from h.end_time
            and s.place_of_acceptance is not distinct from h.place_of_acceptance
            and s.reason is not distinct from h.reason)"""
_NEW, _EXISTS = int(Verdict.NEW), int(Verdict.EXISTS)
_CONFLICT, _OLDER = int(Verdict.CONFLICT), int(Verdict.OLDER)
_COUNTING = sql_list(COUNTING_STATES)
_REVERSED = int(State.REVERSED)
_VERDICTS = """
    (select count(*) from staged) as row_count,
    (select coalesce(array_agg(leaf_index order by leaf_index), '{}') from resolved) as positions,
    (select coalesce(string_agg(verdict::text, '' order by leaf_index), '') from resolved)
        as verdicts"""

# For batches of first revisions, of a platform that never began with a later one: what is not held
# is new, and takes nothing back. One look-up by the whole key is all it needs. It is lateral and
# limited so that it stays one a row: of a platform unknown to the statistics, the planner assumes a
# row or two, and would read all of its rows for each row sent.
_RESOLVE_FIRST_REVISIONS_SQL = f"""
with compared as (
    select s.*,
        case when h.revision is null then {_NEW} when {_IS_SAME} then {_EXISTS}
            else {_CONFLICT} end as verdict
    from staged s
    left join lateral (
        select * from orders o where o.platform = :platform and o.order_no = s.order_no
            and o.revision = s.revision
        limit 1
    ) h on true
), resolved as materialized (
    select * from compared where verdict <> {_EXISTS}
), tally as (
    select pooling_area, industry,
        (end_time at time zone 'Asia/Shanghai')::date - date '1970-01-01' as day,
        count(*) as order_count
    from resolved where verdict = {_NEW} and state in {_COUNTING}
    group by 1, 2, 3 order by 1, 2, 3
)
select {_VERDICTS},
    (select coalesce(json_agg(json_build_object(
            'leaf_index', leaf_index, 'order_no', order_no, 'verdict', verdict,
            'content', json_build_object(
                'revision', revision, 'worker', worker, 'industry', industry, 'state', state,
                'accept_time', accept_time, 'pick_up_time', pick_up_time, 'end_time', end_time,
                'place_of_acceptance', place_of_acceptance, 'reason', reason)
        ) order by leaf_index), '[]') from resolved where verdict = {_CONFLICT}) as refused,
    (select coalesce(json_agg(json_build_array(pooling_area, industry, day, order_count)), '[]')
        from tally) as tallies,
    false as misses_first_revisions
"""

# For all other batches. One look-up by index finds the latest revision held; the revision sent is
# looked up only if it is lower. A new revision counts by itself and takes back the one before it,
# and leaves the legs of other workers as they are. Only where a worker changes or an order is
# reversed are all revisions read, and the legs counted without and with the new ones: the latest
# revision held says whether, and of an order that is not held the batch itself. `is true` keeps
# that a look-up in a hash table for each row, where a join would compare each with each. `offset 0`
# keeps the look-up of revisions one an order, for the same reason as the limit above.
_CHAIN_COLUMNS = ", ".join(LEG_COLUMNS)
_RESOLVE_REVISIONS_SQL = f"""
with compared as (
    select s.*,
        case when h.revision is null or h.revision < s.revision then {_NEW}
            when h.revision = s.revision then
                case when {_IS_SAME} then {_EXISTS} else {_CONFLICT} end
            else coalesce((
                select case when {_IS_SAME} then {_EXISTS} else {_CONFLICT} end from orders h
                where h.platform = :platform and h.order_no = s.order_no
                    and h.revision = s.revision
            ), {_OLDER})
        end as verdict,
        h.revision as held_revision, h.state as held_state, h.end_time as held_end,
        h.worker as held_worker, h.pooling_area as held_area, h.industry as held_industry
    from staged s
    left join lateral (
        select * from orders o where o.platform = :platform and o.order_no = s.order_no
        order by o.revision desc limit 1
    ) h on true
), resolved as materialized (
    select * from compared where verdict <> {_EXISTS}
), changing as materialized (
    select order_no from resolved
    where verdict = {_NEW} and (worker <> held_worker or {_REVERSED} in (state, held_state))
    union
    select order_no from resolved where verdict = {_NEW} and held_revision is null
    group by order_no having min(worker) <> max(worker)
), newest as (
    select distinct on (order_no) * from resolved
    where verdict = {_NEW} and (order_no in (select order_no from changing)) is false
    order by order_no, revision desc, leaf_index
), added as (
    select distinct on (order_no, revision) * from resolved
    where verdict = {_NEW} and (order_no in (select order_no from changing)) is true
    order by order_no, revision, leaf_index
), chain as (
    select c.order_no, h.*, false as is_new
    from changing c cross join lateral (
        select o.revision, o.worker, o.state, o.accept_time, o.end_time,
            b.create_time as record_time, o.pooling_area, o.industry
        from orders o join order_batch b using (batch_no)
        where o.platform = :platform and o.order_no = c.order_no
        offset 0
    ) h
    union all
    select order_no, revision, worker, state, accept_time, end_time,
        cast(:now as timestamptz), pooling_area, industry, true
    from added
), chains as (
    select order_no, -1 as change, {_CHAIN_COLUMNS} from chain where not is_new
    union all
    select order_no, 1, {_CHAIN_COLUMNS} from chain
), missing_first_revision as (
    insert into order_missing_first_revision (platform, order_no)
    select :platform, order_no from resolved where verdict = {_NEW} and held_revision is null
    group by order_no having min(revision) > 1
    on conflict do nothing returning 1
), changed as (
    select pooling_area, industry, (end_time at time zone 'Asia/Shanghai')::date as service_date,
        1 as change
    from newest where state in {_COUNTING}
    union all
    select held_area, held_industry, (held_end at time zone 'Asia/Shanghai')::date, -1
    from newest where held_state in {_COUNTING}
    union all
    select pooling_area, industry, service_date, change
    from ({counted_legs_sql("chains", "order_no, change")}) legs
), tally as (
    select pooling_area, industry, service_date - date '1970-01-01' as day,
        sum(change)::bigint as order_count
    from changed group by 1, 2, 3 having sum(change) <> 0 order by 1, 2, 3
)
select {_VERDICTS},
    (select coalesce(json_agg(json_build_object(
            'leaf_index', leaf_index, 'order_no', order_no, 'verdict', verdict,
            'content', case when verdict = {_CONFLICT} then json_build_object(
                'revision', revision, 'worker', worker, 'industry', industry, 'state', state,
                'accept_time', accept_time, 'pick_up_time', pick_up_time, 'end_time', end_time,
                'place_of_acceptance', place_of_acceptance, 'reason', reason) end
        ) order by leaf_index), '[]') from resolved where verdict in ({_CONFLICT}, {_OLDER}))
        as refused,
    (select coalesce(json_agg(json_build_array(pooling_area, industry, day, order_count)), '[]')
        from tally) as tallies,
    exists (select from missing_first_revision) as misses_first_revisions
"""


async def insert_staged(tx: Transaction, parts: Iterable[Any]) -> None:
    """COPY rows into the staging table of this session."""
    await tx.execute(sa.text(_CREATE_TABLE_SQL))
    await insert_by_copy(tx, "staged", parts)


async def list_verdicts(
    tx: Transaction, platform: str, now: datetime, *, is_first: bool
) -> Resolution:
    """The verdict on each staged row, from one statement; `now` is when the batch is recorded.

    It also keeps the orders of which a later revision arrived before the first.
    """
    # The staging table has no statistics; a look-up by index for each row is always right here.
    await tx.execute(
        sa.text(
            "select set_config('enable_hashjoin', 'off', true),"
            " set_config('enable_mergejoin', 'off', true)"
        )
    )
    statement = sa.text(_RESOLVE_FIRST_REVISIONS_SQL if is_first else _RESOLVE_REVISIONS_SQL)
    values = {"platform": platform} | ({} if is_first else {"now": now})
    row = (await tx.execute(statement, values)).one()
    return Resolution(
        row_count=row.row_count,
        positions=row.positions,
        other_verdicts=row.verdicts,
        refusals=[
            Refusal(
                leaf_index=refused["leaf_index"],
                order_no=refused["order_no"],
                verdict=Verdict(refused["verdict"]),
                content=refused["content"],
            )
            for refused in row.refused
        ],
        tallies=[(area, industry, day, count) for area, industry, day, count in row.tallies],
        misses_first_revisions=row.misses_first_revisions,
    )
