"""The events that premiums consumes, and the command for each."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message
from oip.enrolment.v1 import events_pb2 as enrolment_events
from oip.orders.v1 import events_pb2 as order_events

from services.premiums.commands import accruals, registrations
from services.runtime.service.context import Handler

HANDLERS: Mapping[type[Message], Handler] = {
    order_events.OrderBatchRecorded: accruals.on_order_batch_recorded,
    order_events.OrderGapFound: accruals.on_order_gap_found,
    enrolment_events.PlatformRegistered: registrations.on_platform_registered,
}
