"""Completeness: a platform declares a day's totals; differences are found, told, and told again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

from services.kernel.periods import Month
from services.orders import events
from services.orders.domain import gaps
from services.orders.domain.gaps import Gap, GapKind, Line
from services.orders.store import totals as store
from services.orders.store.totals import Totals
from services.runtime import outbox
from services.runtime.database import Transaction


async def declare_totals(
    tx: Transaction,
    platform: str,
    day: date,
    *,
    order_count: int,
    lines: Mapping[Line, int],
    now: datetime,
) -> Totals:
    """Keep a platform's totals of a day; a later declaration counts, all are kept."""
    gaps.require_sum(order_count, lines)
    before = (await store.declared_of_days(tx, platform, [day])).get(day)
    revision = before.revision + 1 if before else 1
    declared = Totals(platform, day, revision, order_count, lines, now)
    await store.insert_totals(tx, declared)
    await _compare(tx, declared, now)
    return declared


async def find_gaps(
    tx: Transaction, platform: str, day_numbers: Iterable[int], now: datetime
) -> None:
    """Compare again those of these days (from 1970-01-01) that were declared."""
    days = [events.EPOCH_DAY + timedelta(days=number) for number in sorted(day_numbers)]
    if not days:
        return
    for declared in (await store.declared_of_days(tx, platform, days)).values():
        await _compare(tx, declared, now)


async def list_gaps(tx: Transaction, platform: str, month: Month) -> list[tuple[str, date, Gap]]:
    """Every difference of a month: declared days compared, others undeclared or silent."""
    held = await store.held_of_month(tx, platform, month)
    declared = await store.declared_of_month(tx, platform, month)
    found: list[tuple[str, date, Gap]] = []
    for one, day in sorted({*held, *declared}):
        lines = held.get((one, day), {})
        totals = declared.get((one, day))
        differences = gaps.compare(totals.lines, lines) if totals else gaps.undeclared(lines)
        found += [(one, day, gap) for gap in differences]
    for one in sorted({name for name, _ in held}):
        days = sorted(day for name, day in held if name == one)
        for number in range(1, (days[-1] - days[0]).days):
            day = days[0] + timedelta(days=number)
            if (one, day) not in held and (one, day) not in declared:
                found.append((one, day, Gap(0, 0, 0, 0, 0, GapKind.SILENCE)))
    return sorted(found, key=lambda row: (row[0], row[1], row[2].pooling_area, row[2].industry))


def gap_key(platform: str, day: date, gap: Gap) -> tuple[str, ...]:
    """Where a difference stands in a list; as text, sorted like the list."""
    return platform, day.isoformat(), f"{gap.pooling_area:06d}", str(gap.industry)


async def _compare(tx: Transaction, declared: Totals, now: datetime) -> None:
    held = await store.held_of_day(tx, declared.platform, declared.service_date)
    differences = gaps.compare(declared.lines, held)
    revision, before = await store.newest_gaps(tx, declared.platform, declared.service_date)
    if differences == before:
        return
    day, following = declared.service_date, revision + 1
    await store.insert_gaps(
        tx, declared.platform, day, revision=following, gaps=differences, now=now
    )
    message = events.order_gap_found(declared.platform, day, following, differences)
    await outbox.add(tx, message, now)
