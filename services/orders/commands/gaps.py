"""Completeness: a platform declares a day's totals; differences are found, told, and told again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

from services.kernel.periods import Month
from services.orders import events
from services.orders.domain import gaps
from services.orders.domain.checks import Rules
from services.orders.domain.gaps import Gap, Line
from services.orders.store import totals as store
from services.orders.store.totals import Totals
from services.runtime.base.clock import today
from services.runtime.base.log import logger
from services.runtime.events import outbox
from services.runtime.service.context import ServiceContext
from services.runtime.storage.database import Transaction

# Days that each day's comparison looks back: the month being declared, and the one before.
DAYS_COMPARED_MAX = 62
CLOCK_SECONDS = 1.0
PAUSE_SECONDS = 10.0

log = logger("orders")


async def declare_totals(
    tx: Transaction,
    platform: str,
    day: date,
    *,
    order_count: int,
    lines: Mapping[Line, int],
    rules: Rules,
    now: datetime,
) -> Totals:
    """Keep a platform's totals of a day; a later declaration counts, all are kept."""
    gaps.require_known(day, lines, rules)
    gaps.require_sum(order_count, lines)
    await store.lock_totals(tx, platform)
    before = (await store.declared_of_days(tx, platform, [day])).get(day)
    revision = before.revision + 1 if before else 1
    declared = Totals(platform, day, revision, order_count, lines, now)
    await store.insert_totals(tx, declared)
    await _compare(tx, platform, [day], now)
    return declared


async def find_gaps(
    tx: Transaction, platform: str, day_numbers: Iterable[int], now: datetime
) -> None:
    """Compare again those of these days (from 1970-01-01) that a batch may make a difference to.

    These are the declared ones, and those that were told to be silent. Other undeclared days wait
    for the daily comparison, rather than being told with each batch.
    """
    days = [events.EPOCH_DAY + timedelta(days=number) for number in sorted(day_numbers)]
    if not days:
        return
    await store.lock_totals(tx, platform)
    declared = await store.declared_of_days(tx, platform, days)
    told = await store.gaps_of_days(tx, platform, days)
    silent = {day for day, (_, found) in told.items() if found == [gaps.SILENCE]}
    await _compare(tx, platform, sorted({*declared, *silent}), now)


async def compare_daily(context: ServiceContext) -> None:
    """Compare all platforms' days once each day in Asia/Shanghai, until cancelled.

    So silence is told though nobody sends anything. Repeating it tells nothing twice, so that each
    replica may do it, and whatever fails is done again.
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
    """Compare a platform's days before `day`, at most 62; how many differ from what was told."""
    await store.lock_totals(tx, platform)
    first = await store.first_day(tx, platform)
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
    after: tuple[str, ...],
    size: int,
) -> list[tuple[str, date, Gap]]:
    """The next differences of a month, up to the day before `day`; an empty platform means all.

    Declared days are compared; others, from the first with orders on, are undeclared or silent.
    """
    found: list[tuple[str, date, Gap]] = []
    for one in await store.platforms(tx, platform, after[0] if after else ""):
        days = _days(month.first_day, month.plus(1).first_day)
        held = await store.held_of_days(tx, one, days)
        declared = await store.declared_of_days(tx, one, days)
        first = await store.first_day(tx, one) or day
        for each in days:
            if each not in declared and not first <= each < day:
                continue
            totals = declared.get(each)
            lines = gaps.differences(totals.lines if totals else None, held.get(each, {}))
            rows = [(one, each, gap) for gap in lines]
            found += [row for row in rows if not after or gap_key(*row) > after]
        if len(found) >= size:
            break
    return found[:size]


def gap_key(platform: str, day: date, gap: Gap) -> tuple[str, ...]:
    """Where a difference stands in a list; as text, sorted like the list."""
    return platform, day.isoformat(), f"{gap.pooling_area:06d}", str(gap.industry)


async def _compare_all(context: ServiceContext) -> None:
    database, day = context.database, today(context.clock)
    async with database.begin() as tx:
        platforms = await store.platforms(tx, "", "")
    for platform in platforms:
        async with database.begin(platform) as tx:
            told = await compare_days(tx, platform, day, context.clock.now())
        if told:
            log.info("days_compared", platform=platform, told_count=told)
            context.wake.set()


async def _compare(tx: Transaction, platform: str, days: Sequence[date], now: datetime) -> int:
    """Compare days and tell what is not as it was told; the platform's totals are locked."""
    if not days:
        return 0
    held = await store.held_of_days(tx, platform, days)
    declared = await store.declared_of_days(tx, platform, days)
    told = await store.gaps_of_days(tx, platform, days)
    count = 0
    for day in days:
        totals = declared.get(day)
        found = gaps.differences(totals.lines if totals else None, held.get(day, {}))
        revision, before = told.get(day, (0, []))
        if found == before:
            continue
        count, following = count + 1, revision + 1
        await store.insert_gaps(tx, platform, day, revision=following, gaps=found, now=now)
        message = events.order_gap_found(platform, day, following, found)
        await outbox.add(tx, message, now)
    return count


def _days(first: date, end: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((end - first).days)]
