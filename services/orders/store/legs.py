"""The legs that premiums count, in SQL; `domain.legs.legs` is the specification."""

from __future__ import annotations

from services.orders.domain.row_rules import State

_REVERSED = int(State.REVERSED)

# The columns that `counted_legs_sql` reads, apart from its keys.
LEG_COLUMNS = (
    "revision",
    "worker",
    "state",
    "accept_time",
    "end_time",
    "record_time",
    "pooling_area",
    "industry",
)
# When a revision's leg ended: by itself, or by the next revision if that names another worker. The
# window `chain` has the revisions of an order; `record_time` is when the batch was committed.
LEG_END_SQL = """case
                when end_time is not null or lead(revision) over chain is null then end_time
                when lead(accept_time) over chain > accept_time then lead(accept_time) over chain
                else greatest(accept_time,
                    least(lead(end_time) over chain, lead(record_time) over chain))
            end"""


def counted_legs_sql(source: str, keys: str) -> str:
    """The legs that count of the orders in a source: keys, pooling area, industry, service date.

    The source has all revisions of each order, with LEG_COLUMNS. The keys are the columns that are
    the same in all revisions of an order.
    """
    return f"""
    select {keys}, pooling_area, industry,
        (leg_end at time zone 'Asia/Shanghai')::date as service_date
    from (
        select {keys}, pooling_area, industry, state,
            lead(revision) over own is null as is_latest_of_worker,
            first_value(state) over backwards as order_state,
            {LEG_END_SQL} as leg_end
        from {source}
        window chain as (partition by {keys} order by revision),
            backwards as (partition by {keys} order by revision desc),
            own as (partition by {keys}, worker order by revision)
    ) legs
    where is_latest_of_worker and leg_end is not null
        and state <> {_REVERSED} and order_state <> {_REVERSED}
    """
