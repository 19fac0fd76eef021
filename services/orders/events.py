"""The events that orders publishes: domain values in, messages out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from google.protobuf.message import Message
from oip.orders.v1 import events_pb2, orders_pb2
from oip.type.v1 import type_pb2

from services.kernel import names
from services.orders.domain.batches import Batch, Tally
from services.orders.domain.gaps import Gap
from services.runtime.rpc.wire import date_to_wire, enum_number
from services.runtime.service.context import Guard

EPOCH_DAY = date(1970, 1, 1)
# A tally takes about 30 bytes, so that a part stays far below the limit of an event.
TALLIES_MAX = 10_000


def _recorded(event: events_pb2.OrderBatchRecorded) -> str:
    return f"{event.order_batch}, part {event.part}: {event.created_count} orders"


# Lost in a restore, a batch keeps its platform from sending the same orders under another name.
GUARDS: Mapping[type[Message], Guard] = {
    events_pb2.OrderBatchRecorded: Guard("platform", _recorded)
}


def order_batch_recorded(
    batch: Batch, tallies: Sequence[Tally]
) -> list[events_pb2.OrderBatchRecorded]:
    """A batch was committed: one event, or several parts if its tallies are too many for one."""
    parts = [
        tallies[start : start + TALLIES_MAX] for start in range(0, len(tallies), TALLIES_MAX)
    ] or [[]]
    return [
        events_pb2.OrderBatchRecorded(
            order_batch=batch.name,
            platform=names.name("platforms", batch.platform),
            tallies=[_tally(*tally) for tally in part],
            created_count=batch.created_count,
            merkle_root=batch.root,
            log_index=batch.log_index,
            part=number,
            part_count=len(parts),
        )
        for number, part in enumerate(parts, start=1)
    ]


def order_gap_found(
    platform: str, day: date, revision: int, gaps: Sequence[Gap]
) -> events_pb2.OrderGapFound:
    """A day's declared and stored orders were compared."""
    return events_pb2.OrderGapFound(
        platform=names.name("platforms", platform),
        service_date=date_to_wire(day),
        revision=revision,
        gaps=[order_gap(platform, day, gap) for gap in gaps],
    )


def order_tally(
    platform: str, area: int, industry: int, day_number: int, order_count: int
) -> orders_pb2.OrderTally:
    """Orders that count; the day is counted from 1970-01-01."""
    tally = _tally(area, industry, day_number, order_count)
    tally.platform = names.name("platforms", platform)
    return tally


def _tally(area: int, industry: int, day_number: int, order_count: int) -> orders_pb2.OrderTally:
    return orders_pb2.OrderTally(
        pooling_area=str(area),
        industry=enum_number(industry),
        service_date=date_to_wire(EPOCH_DAY + timedelta(days=day_number)),
        order_count=order_count,
    )


def order_gap(platform: str, day: date, gap: Gap) -> orders_pb2.OrderGap:
    """One difference of a day."""
    return orders_pb2.OrderGap(
        platform=names.name("platforms", platform),
        service_date=date_to_wire(day),
        pooling_area=str(gap.pooling_area) if gap.pooling_area else "",
        industry=enum_number(gap.industry),
        declared_count=gap.declared_count,
        held_count=gap.held_count,
        late_count=gap.late_count,
        kind=enum_number(int(gap.kind)),
    )


def month_ended(summary: type_pb2.MonthSummary) -> events_pb2.MonthEnded:
    """A month ended with what the summary counts."""
    return events_pb2.MonthEnded(summary=summary)
