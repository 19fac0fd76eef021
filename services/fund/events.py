"""Events that the fund publishes: domain values in, event messages out."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message
from oip.fund.v1 import events_pb2

from services.kernel.periods import Month
from services.runtime.rpc.wire import month_from_wire, month_to_wire
from services.runtime.service.context import Guard


def _closed(event: events_pb2.SettlementPeriodClosed) -> str:
    return f"settlementPeriods/{month_from_wire(event.month, 'month')}: closed"


# Lost in a restore, a close keeps months from being closed with other figures.
GUARDS: Mapping[type[Message], Guard] = {events_pb2.SettlementPeriodClosed: Guard("", _closed)}


def settlement_period_closed(month: Month, digest: bytes) -> events_pb2.SettlementPeriodClosed:
    """A month was closed with the figures that have this hash."""
    return events_pb2.SettlementPeriodClosed(month=month_to_wire(month), hash=digest)
