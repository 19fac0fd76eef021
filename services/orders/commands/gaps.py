"""Completeness: a platform declares a day's totals; the differences are found and published."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

from services.kernel.periods import Month
from services.kernel.scope import Scope
from services.orders import events
from services.orders.domain import gaps
from services.orders.domain.gaps import Gap, Line
from services.orders.domain.law import rules_at
from services.orders.store import gaps as gap_store
from services.orders.store import tallies as tally_store
from services.orders.store import totals as total_store
from services.orders.store.totals import Totals
from services.runtime.base.clock import today
from services.runtime.base.log import logger
from services.runtime.events import outbox
from services.runtime.service.context import CommandContext, ServiceContext
from services.runtime.storage.database import Transaction

# How many days the daily comparison looks back: the month being declared, and the one before.
DAYS_COMPARED_MAX = 62
CLOCK_SECONDS = 1.0
PAUSE_SECONDS = 10.0

# A difference's key in a list: platform, day, pooling area, industry.
GapKey = tuple[str, date, int, int]

log = logger("orders")


async def declare_order_totals(
    tx: Transaction,
    context: CommandContext,
    platform: str,
    day: date,
    *,
    order_count: int,
    lines: Mapping[Line, int],
) -> Totals:
    """Store a platform's totals of a day; the latest declaration counts, all are kept."""
    gaps.require_known(day, lines, rules_at(context.now, context.province))
    gaps.require_sum(order_count, lines)
    await total_store.lock(tx, platform)
    before = (await total_store.list_declared(tx, platform, [day])).get(day)
    revision = before.revision + 1 if before else 1
    totals = Totals(platform, day, revision, order_count, lines, context.now)
    await total_store.insert(tx, totals)
    await _compare(tx, platform, [day], context.now)
    return totals


async def compare_affected_days(
    tx: Transaction, platform: str, day_numbers: Iterable[int], now: datetime
) -> None:
    """Compare those of these days (from 1970-01-01) again whose published result may change.

    These are the declared days, and those published as silent. Other undeclared days wait for the
    daily comparison, instead of being published with each batch.
    """
    days = [events.EPOCH_DAY + timedelta(days=number) for number in sorted(day_numbers)]
    if not days:
        return
    await total_store.lock(tx, platform)
    declared = await total_store.list_declared(tx, platform, days)
    published = await gap_store.list_published(tx, platform, days)
    silent = {day for day, (_, differences) in published.items() if differences == [gaps.SILENCE]}
    await _compare(tx, platform, sorted({*declared, *silent}), now)


async def compare_daily(context: ServiceContext) -> None:
    """Compare all platforms' days once each day in Asia/Shanghai, until cancelled.

    In this way silence is published although nothing is sent. A repeat publishes nothing new, so
    that each replica may run it and a failed comparison is simply repeated.
    """
    compared: date | None = None
    while True:
        pause, day = CLOCK_SECONDS, today(context.clock)
        if day != compared:
            try:
                await _compare_all(context)
                compared = day
            except Exception as error:  # noqa: BLE001 - the next round compares
                log.warning("comparison_failed", error=type(error).__name__)
                pause = PAUSE_SECONDS
        await asyncio.sleep(pause)


async def compare_days(tx: Transaction, platform: str, day: date, now: datetime) -> int:
    """Compare a platform's days before `day`, at most 62; returns how many changed."""
    await total_store.lock(tx, platform)
    first = await tally_store.find_first_day(tx, platform)
    if first is None:
        return 0
    first = max(first, day - timedelta(days=DAYS_COMPARED_MAX))
    return await _compare(tx, platform, _days(first, day), now)


async def list_gaps(
    tx: Transaction,
    platform: str,
    month: Month,
    *,
    day: date,
    after: GapKey | None,
    size: int,
) -> list[tuple[str, date, Gap]]:
    """The next differences of a month, up to the day before `day`; an empty platform means all.

    Declared days are compared; other days, from the first with orders on, are undeclared or silent.
    """
    rows: list[tuple[str, date, Gap]] = []
    days = _days(month.first_day, month.plus(1).first_day)
    for name in await total_store.list_platforms(tx, platform, after[0] if after else ""):
        orders = await tally_store.count_held_orders(tx, name, days)
        declared = await total_store.list_declared(tx, name, days)
        first = await tally_store.find_first_day(tx, name) or day
        for each in days:
            if each not in declared and not first <= each < day:
                continue
            totals = declared.get(each)
            lines = gaps.differences(totals.lines if totals else None, orders.get(each, {}))
            candidates = [(name, each, gap) for gap in lines]
            rows += [row for row in candidates if after is None or gap_key(*row) > after]
        if len(rows) >= size:
            break
    return rows[:size]


def gap_key(platform: str, day: date, gap: Gap) -> GapKey:
    """The key of a difference in a list."""
    return platform, day, gap.pooling_area, gap.industry


async def _compare_all(context: ServiceContext) -> None:
    database, day = context.database, today(context.clock)
    async with database.begin() as tx:
        platforms = await total_store.list_platforms(tx, "", "")
    for platform in platforms:
        async with database.begin(Scope(platform=platform)) as tx:
            changed_count = await compare_days(tx, platform, day, context.clock.now())
        if changed_count:
            log.info("days_compared", platform=platform, changed_count=changed_count)
            context.wake.set()


async def _compare(tx: Transaction, platform: str, days: Sequence[date], now: datetime) -> int:
    """Compare days and publish changed results; the platform's totals are locked."""
    if not days:
        return 0
    orders = await tally_store.count_held_orders(tx, platform, days)
    declared = await total_store.list_declared(tx, platform, days)
    published = await gap_store.list_published(tx, platform, days)
    changed_count = 0
    for day in days:
        totals = declared.get(day)
        differences = gaps.differences(totals.lines if totals else None, orders.get(day, {}))
        revision, before = published.get(day, (0, []))
        if differences == before:
            continue
        changed_count, following = changed_count + 1, revision + 1
        await gap_store.insert(tx, platform, day, revision=following, gaps=differences, now=now)
        await outbox.add(tx, events.order_gap_found(platform, day, following, differences), now)
    return changed_count


def _days(first: date, end: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((end - first).days)]
