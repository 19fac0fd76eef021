"""What orders tells: domain values in, event messages out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from oip.orders.v1 import events_pb2, orders_pb2

from services.orders.domain.gaps import Gap
from services.orders.domain.judging import Tally
from services.orders.domain.records import Batch
from services.runtime.rpc.wire import date_to_wire, enum_number

EPOCH_DAY = date(1970, 1, 1)


def order_batch_recorded(batch: Batch, tallies: Sequence[Tally]) -> events_pb2.OrderBatchRecorded:
    """A batch was committed."""
    return events_pb2.OrderBatchRecorded(
        order_batch=batch.name,
        platform=batch.platform,
        tallies=[tally(batch.platform, *one) for one in tallies],
        created_count=batch.created_count,
        merkle_root=batch.root,
        log_index=batch.log_index,
    )


def order_gap_found(
    platform: str, day: date, revision: int, gaps: Sequence[Gap]
) -> events_pb2.OrderGapFound:
    """A day's declared and held orders were compared."""
    return events_pb2.OrderGapFound(
        platform=platform,
        service_date=date_to_wire(day),
        revision=revision,
        gaps=[gap(platform, day, one) for one in gaps],
    )


def tally(
    platform: str, area: int, industry: int, day_number: int, order_count: int
) -> orders_pb2.OrderTally:
    """Orders that count; the day is counted from 1970-01-01."""
    return orders_pb2.OrderTally(
        platform=platform,
        pooling_area=str(area),
        industry=enum_number(industry),
        service_date=date_to_wire(EPOCH_DAY + timedelta(days=day_number)),
        order_count=order_count,
    )


def gap(platform: str, day: date, one: Gap) -> orders_pb2.OrderGap:
    """One difference of a day."""
    return orders_pb2.OrderGap(
        platform=platform,
        service_date=date_to_wire(day),
        pooling_area=str(one.pooling_area) if one.pooling_area else "",
        industry=enum_number(one.industry),
        declared_count=one.declared_count,
        held_count=one.held_count,
        late_count=one.late_count,
        kind=enum_number(int(one.kind)),
    )
