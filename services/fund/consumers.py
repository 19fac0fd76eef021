"""The command for each event that the fund consumes."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message
from oip.benefits.v1 import events_pb2 as benefit_events
from oip.premiums.v1 import events_pb2 as premium_events

from services.fund.commands import ledger
from services.runtime.service.context import Handler

HANDLERS: Mapping[type[Message], Handler] = {
    premium_events.PremiumAssessed: ledger.on_premium_assessed,
    premium_events.PremiumReceived: ledger.on_premium_received,
    benefit_events.PaymentInstructed: ledger.on_payment_instructed,
}
