"""Entrance for messages: orders counted, gaps found, platforms registered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from oip.enrolment.v1 import events_pb2 as enrolment_events
from oip.orders.v1 import events_pb2 as order_events

from services.kernel.problems import Malformed
from services.premiums import commands
from services.premiums.domain.assessing import Tally
from services.premiums.domain.terms import Industry
from services.runtime.rpc.wire import date_from_wire
from services.runtime.service.context import Handler
from services.runtime.storage.database import Transaction

_INDUSTRIES = frozenset(industry.value for industry in Industry)


async def order_batch_recorded(
    tx: Transaction, event: order_events.OrderBatchRecorded, now: datetime
) -> None:
    """Accrue what a batch adds to the orders that count, or takes from them."""
    tallies = []
    for index, tally in enumerate(event.tallies):
        field = f"tallies[{index}]"
        if tally.industry not in _INDUSTRIES:
            raise Malformed.of(f"{field}.industry", "it is none of the scheme's industries")
        if tally.platform not in {"", event.platform}:
            raise Malformed.of(f"{field}.platform", "it is not the platform of the batch")
        day = date_from_wire(tally.service_date, f"{field}.service_date")
        tallies.append(
            Tally(event.platform, tally.pooling_area, tally.industry, day, tally.order_count)
        )
    await commands.accrue_premiums(tx, event.order_batch, tallies, now)


async def order_gap_found(
    tx: Transaction, event: order_events.OrderGapFound, _now: datetime
) -> None:
    """Keep the day's differences; an older revision than held is ignored."""
    day = date_from_wire(event.service_date, "service_date")
    gaps = [MessageToDict(gap, preserving_proto_field_name=True) for gap in event.gaps]
    await commands.keep_gaps(tx, event.platform, day, event.revision, gaps)


async def platform_registered(
    tx: Transaction, event: enrolment_events.PlatformRegistered, _now: datetime
) -> None:
    """Keep what a platform is registered for; an older revision than held is ignored."""
    await commands.keep_platform(tx, event.platform, event.revision, list(event.industries))


HANDLERS: Mapping[str, Mapping[type[Message], Handler]] = {
    "orders": {
        order_events.OrderBatchRecorded: order_batch_recorded,
        order_events.OrderGapFound: order_gap_found,
    },
    "enrolment": {enrolment_events.PlatformRegistered: platform_registered},
}
