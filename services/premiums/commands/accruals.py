"""Accruals: orders counted batch by batch, and days on which counts differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from google.protobuf.json_format import MessageToDict
from oip.orders.v1 import events_pb2 as order_events

from services.kernel import names
from services.kernel.problems import Malformed
from services.kernel.scheme import Industry
from services.premiums.domain.assessment import bill_month
from services.premiums.domain.days import require_day_of_scheme
from services.premiums.domain.law import law
from services.premiums.domain.tallies import Accrual, Tally
from services.premiums.store import accruals as accrual_store
from services.premiums.store import assessment as assessment_store
from services.runtime.rpc.wire import date_from_wire
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction

_INDUSTRIES = frozenset(industry.value for industry in Industry)


async def on_order_batch_recorded(
    tx: Transaction, event: order_events.OrderBatchRecorded, context: CommandContext
) -> None:
    """Accrue a batch's signed tallies, each in the bill of its month or in the next open one.

    The shared lock on the newest assessed month keeps a tally from arriving between two bills.
    """
    rules = law(context.province, context.today)
    counts: dict[Tally, int] = defaultdict(int)
    for tally in _tallies(event):
        # A month from before the scheme could never be assessed, and all later ones wait for it.
        require_day_of_scheme("service_date", tally.service_date, context.today, rules)
        counts[replace(tally, order_count=0)] += tally.order_count
    latest = await assessment_store.lock_latest_month(tx)
    accruals = [
        Accrual(replace(cell, order_count=count), bill_month(cell.key.month, latest))
        for cell, count in counts.items()
        if count
    ]
    await accrual_store.insert(tx, event.order_batch, accruals, context.now)


async def on_order_gap_found(
    tx: Transaction, event: order_events.OrderGapFound, _context: CommandContext
) -> None:
    """Replace the gaps of a platform's day; an event older than the stored one is ignored."""
    (platform,) = names.parse(event.platform, "platforms", field="platform")
    day = date_from_wire(event.service_date, "service_date")
    gaps = [MessageToDict(gap, preserving_proto_field_name=True) for gap in event.gaps]
    await accrual_store.update_gaps(tx, platform, day, event.revision, gaps)


def _tallies(event: order_events.OrderBatchRecorded) -> Iterator[Tally]:
    """The tallies of a batch; raises Malformed for one that cannot be counted."""
    (platform,) = names.parse(event.platform, "platforms", field="platform")
    for index, tally in enumerate(event.tallies):
        field = f"tallies[{index}]"
        if tally.industry not in _INDUSTRIES:
            raise Malformed.choice(f"{field}.industry", Industry)
        if tally.platform not in {"", event.platform}:
            raise Malformed.of(
                f"{field}.platform",
                "OF_ANOTHER_PLATFORM",
                "it is not the platform of the batch",
                "不是该批次的平台",
            )
        day = date_from_wire(tally.service_date, f"{field}.service_date")
        yield Tally(platform, tally.pooling_area, tally.industry, day, tally.order_count)
