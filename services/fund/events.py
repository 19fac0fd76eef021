"""Events that the fund publishes: domain values in, event messages out."""

from __future__ import annotations

from oip.fund.v1 import events_pb2

from services.kernel.periods import Month
from services.runtime.rpc.wire import month_to_wire


def settlement_period_closed(month: Month, digest: bytes) -> events_pb2.SettlementPeriodClosed:
    """A month was closed with the figures that have this hash."""
    return events_pb2.SettlementPeriodClosed(month=month_to_wire(month), hash=digest)
