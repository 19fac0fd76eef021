"""The command for each event that the fund consumes."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message
from oip.benefits.v1 import events_pb2 as benefit_events
from oip.claims.v1 import events_pb2 as claim_events
from oip.enrolment.v1 import events_pb2 as enrolment_events
from oip.grading.v1 import events_pb2 as grading_events
from oip.orders.v1 import events_pb2 as order_events
from oip.premiums.v1 import events_pb2 as premium_events

from services.fund.commands import ledger, producers
from services.runtime.service.context import Handler

HANDLERS: Mapping[type[Message], Handler] = {
    premium_events.PremiumAssessed: ledger.on_premium_assessed,
    premium_events.PremiumReceived: ledger.on_premium_received,
    benefit_events.PaymentInstructed: ledger.on_payment_instructed,
    enrolment_events.MonthEnded: producers.on_month_ended,
    order_events.MonthEnded: producers.on_month_ended,
    premium_events.MonthEnded: producers.on_month_ended,
    claim_events.MonthEnded: producers.on_month_ended,
    grading_events.MonthEnded: producers.on_month_ended,
    benefit_events.MonthEnded: producers.on_month_ended,
}
