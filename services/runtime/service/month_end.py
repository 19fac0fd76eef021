"""Ends a service's months: one MonthEnded event per month, in order, also for a month of nothing.

A round in the background ends the next month as soon as the service may (`MonthEnd.latest`). A
round that was killed is simply repeated; of several replicas one ends the month.
"""

from __future__ import annotations

import asyncio

from oip.type.v1 import type_pb2

from services.kernel.periods import Month
from services.runtime.base.clock import today
from services.runtime.base.failpoints import failpoint
from services.runtime.base.log import logger
from services.runtime.events import ended_months, outbox
from services.runtime.rpc.wire import month_to_wire
from services.runtime.service.context import MonthEnd, ServiceContext
from services.runtime.service.requests import content_hash
from services.runtime.storage import audit

log = logger("month_end")

POLL_SECONDS = 0.5
PAUSE_SECONDS = 5.0


async def keep_ending(context: ServiceContext, month_end: MonthEnd) -> None:
    """End each month once the service may, until cancelled."""
    while True:
        pause = POLL_SECONDS
        try:
            while await end_next(context, month_end):
                pass
        except Exception as error:  # noqa: BLE001 - the next round ends the month
            log.warning("month_not_ended", service=context.service, error=type(error).__name__)
            pause = PAUSE_SECONDS
        await asyncio.sleep(pause)


async def end_next(context: ServiceContext, month_end: MonthEnd) -> bool:
    """End the next month if the service may; whether to look for another one.

    The sequence begins with the month before the service's first start, or with an earlier one if
    that is the first the service has anything of.
    """
    current = Month.of(today(context.clock))
    async with context.database.begin() as tx:
        first = await ended_months.get_first(tx, current.plus(-1))
        previous = await ended_months.find_last(tx)
        latest = await month_end.latest(tx, current)
    if latest is None:
        return False
    month = min(first, latest) if previous is None else previous.plus(1)
    if month > latest:
        return False
    await _end(context, month_end, month, previous)
    return True


async def _end(
    context: ServiceContext, month_end: MonthEnd, month: Month, previous: Month | None
) -> None:
    now = context.clock.now()
    async with context.database.begin() as tx:
        await ended_months.lock_events(tx)
        if await ended_months.find_last(tx) != previous:
            return
        totals = await ended_months.list_totals(tx, month)
        event = month_end.event(
            type_pb2.MonthSummary(
                month=month_to_wire(month),
                events=[
                    type_pb2.MonthSummary.EventTotal(
                        event=entry.event,
                        event_count=entry.event_count,
                        sum_fen=entry.amount.count,
                    )
                    for entry in totals
                ],
            )
        )
        await outbox.add(tx, event, now, month=month)
        await ended_months.insert(tx, month, previous, totals, now)
        await audit.append(
            tx,
            now=now,
            actor=f"services/{context.service}",
            action=event.DESCRIPTOR.full_name,
            resource=f"endedMonths/{month}",
            request_hash=content_hash(event),
        )
        await failpoint("month_end.before_commit")
    context.wake.set()
    log.info("month_ended", service=context.service, month=str(month))
