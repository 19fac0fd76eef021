"""The months that a service has ended: one after the other, each with one event.

Every event belongs to a month that has not ended; the trigger of the outbox sees to it. A service
ends a month while no other transaction writes an event, so nothing that is numbered after its
MonthEnded belongs to that month or to an earlier one. Before it stand all events of the month, and
possibly some of later months.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text

from services.kernel.money import Fen, total
from services.kernel.periods import Month
from services.runtime.storage.database import Transaction

_KEY = "hashtextextended('oip months ' || current_schema(), 0)"
# While a month waits for the events under way, new ones wait for it; then it is tried again.
WAIT_SECONDS = 2


@dataclass(frozen=True)
class EventTotal:
    """The events of one kind in a month, and the money they report."""

    event: str
    event_count: int
    amount: Fen


async def accounting_month(tx: Transaction, month: Month) -> Month:
    """The month to which a fact of `month` belongs: the same, or the first that has not ended.

    It does not end before the transaction does. Take it after other locks: it keeps the service
    from ending a month.
    """
    await tx.execute(text(f"select pg_advisory_xact_lock_shared({_KEY})"))
    last = await find_last(tx)
    return month if last is None else max(month, last.plus(1))


async def lock_events(tx: Transaction) -> None:
    """Wait for transactions that write events, and keep new ones out until this one ends."""
    await tx.execute(
        text("select set_config('lock_timeout', :limit, true)"), {"limit": f"{WAIT_SECONDS}s"}
    )
    await tx.execute(text(f"select pg_advisory_xact_lock({_KEY})"))


async def find_last(tx: Transaction) -> Month | None:
    """The last month that this service has ended; None before the first."""
    day = (await tx.execute(text("select max(month) from ended_month"))).scalar_one()
    return None if day is None else Month.of(day)


async def get_first(tx: Transaction, month: Month) -> Month:
    """The month with which the sequence begins; the first call sets it to `month`."""
    find = text("select month from first_month")
    day: date | None = (await tx.execute(find)).scalar_one_or_none()
    if day is None:
        await tx.execute(
            text("insert into first_month (month) values (:month) on conflict do nothing"),
            {"month": month.first_day},
        )
        day = (await tx.execute(find)).scalar_one()
    return Month.of(day)


async def list_totals(tx: Transaction, month: Month) -> list[EventTotal]:
    """The events that belong to a month, by kind."""
    rows = await tx.execute(
        text(
            "select subject, count(*) as event_count, sum(amount_fen) as amount_fen from outbox"
            ' where month = :month group by subject order by subject collate "C"'
        ),
        {"month": month.first_day},
    )
    return [EventTotal(row.subject, row.event_count, Fen(int(row.amount_fen))) for row in rows]


async def insert(
    tx: Transaction,
    month: Month,
    previous: Month | None,
    totals: Sequence[EventTotal],
    now: datetime,
) -> None:
    """Record that a month has ended with the event that this transaction wrote last."""
    await tx.execute(
        text(
            "insert into ended_month (month, previous, event_id, event_count, sum_fen, create_time)"
            " select :month, :previous, max(id), :event_count, :sum_fen, :now from outbox"
            " where month = :month"
        ),
        {
            "month": month.first_day,
            "previous": None if previous is None else previous.first_day,
            "event_count": sum(entry.event_count for entry in totals),
            "sum_fen": total(entry.amount for entry in totals).count,
            "now": now,
        },
    )


# Months that do not follow the one before, whose event is not the last of the month, or whose
# counts are not those of the month's events.
_WRONG = """
    select count(*) from ended_month as ended join outbox as event on event.id = ended.event_id,
        lateral (
            select count(*) as event_count, coalesce(sum(amount_fen), 0)::bigint as sum_fen
            from outbox where month = ended.month and id <> event.id
        ) as counted
    where event.month <> ended.month or event.subject not like '%.MonthEnded'
        or exists (select from outbox where month <= ended.month and id > event.id)
        or ended.event_count <> counted.event_count or ended.sum_fen <> counted.sum_fen
        or (ended.previous is null) <> (ended.month = (select min(month) from ended_month))
        or ended.previous is distinct from (
            select max(month) from ended_month as earlier where earlier.month < ended.month)
"""


async def count_wrong(tx: Transaction) -> tuple[int, int]:
    """How many months were ended, and how many of them wrongly or twice."""
    ended_count = (await tx.execute(text("select count(*) from ended_month"))).scalar_one()
    event_count = (
        await tx.execute(text("select count(*) from outbox where subject like '%.MonthEnded'"))
    ).scalar_one()
    wrong_count = (await tx.execute(text(_WRONG))).scalar_one()
    return int(ended_count), int(wrong_count) + abs(int(event_count) - int(ended_count))
