"""The producers of the fund: how far they are delivered, and the months they have ended."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

from oip.benefits.v1 import events_pb2 as benefit_events
from oip.claims.v1 import events_pb2 as claim_events
from oip.enrolment.v1 import events_pb2 as enrolment_events
from oip.grading.v1 import events_pb2 as grading_events
from oip.orders.v1 import events_pb2 as order_events
from oip.premiums.v1 import events_pb2 as premium_events

from services.fund import clients
from services.fund.domain.obstacles import delivery_obstacles
from services.fund.domain.problems import MonthEndedDiffers
from services.fund.domain.producers import (
    PRODUCERS,
    Deliveries,
    Delivery,
    EndedMonth,
    EventTotal,
    Position,
)
from services.fund.store import ended_months as month_store
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.phrases import service_label
from services.runtime.events import dead_letters, event_alarms, inbox, lost_events
from services.runtime.rpc.wire import month_from_wire
from services.runtime.service.context import CommandContext, ServiceContext, producer_of
from services.runtime.storage.database import Transaction

# How long a proposal waits for events that are under way.
WAIT_SECONDS = 2.0
POLL_SECONDS = 0.1


MonthEnded: TypeAlias = (
    enrolment_events.MonthEnded
    | order_events.MonthEnded
    | premium_events.MonthEnded
    | claim_events.MonthEnded
    | grading_events.MonthEnded
    | benefit_events.MonthEnded
)


async def ask_producers(context: ServiceContext, month: Month | None = None) -> Deliveries:
    """How far each producer is delivered; waits a moment for what is under way.

    With `month` it also waits for producers that are about to end that month. The fund's own state
    is read first, so that a producer confirms what the fund has consumed.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + WAIT_SECONDS
    targets: dict[str, int] = {}
    while True:
        async with context.database.begin() as tx:
            fund = await _own_delivery(tx)
            is_ended = month is None or await _is_ended(tx, month)
        positions = {name: (epoch, each.seq) for (name, epoch), each in fund.consumed.items()}
        answers = await clients.deliveries(context.channels, positions)
        for name, answer in answers.items():
            if answer is not None:
                targets.setdefault(name, answer.written_count)
        deliveries = Deliveries(fund, answers, targets)
        is_delivered = is_ended and not delivery_obstacles(deliveries)
        if is_delivered or None in answers.values() or loop.time() > end:
            return deliveries
        await asyncio.sleep(POLL_SECONDS)


async def on_month_ended(tx: Transaction, event: MonthEnded, context: CommandContext) -> None:
    """Record that a producer has ended a month; a repeat with the same counts changes nothing."""
    if context.envelope is None:
        raise ValueError("a MonthEnded comes with its number")
    ended = EndedMonth(
        producer=producer_of(type(event)),
        month=month_from_wire(event.summary.month, "month"),
        epoch=context.envelope.epoch,
        pub_seq=context.envelope.pub_seq,
        totals=tuple(
            EventTotal(entry.event, entry.event_count, Fen(entry.sum_fen))
            for entry in event.summary.events
        ),
    )
    if await month_store.insert(tx, ended, context.now):
        return
    stored = await month_store.list_ended(tx, ended.month)
    if stored[ended.producer].totals != ended.totals:
        raise MonthEndedDiffers(producer=service_label(ended.producer), month=ended.month)


async def _is_ended(tx: Transaction, month: Month) -> bool:
    return len(await month_store.list_ended(tx, month)) == len(PRODUCERS)


async def _own_delivery(tx: Transaction) -> Delivery:
    """What the fund has consumed of each producer, and what it could not handle."""
    consumed = {
        (producer, epoch.epoch): Position(
            epoch.whole_seq, epoch.fingerprint, is_whole=not epoch.has_gap
        )
        for producer in PRODUCERS
        for epoch in await inbox.progress(tx, producer)
    }
    return Delivery(
        epoch="",
        written_count=0,
        published_seq=0,
        dead_letter_count=await dead_letters.open_count(tx),
        alarm_count=await event_alarms.open_count(tx),
        lost_event_count=await lost_events.open_count(tx),
        consumed=consumed,
    )
