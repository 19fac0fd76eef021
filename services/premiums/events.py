"""The events of premiums: domain values in, event messages out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf.message import Message
from oip.premiums.v1 import events_pb2
from oip.type.v1 import type_pb2

from services.kernel.names import name
from services.kernel.periods import Month
from services.premiums.domain.bills import Bill, BilledTotal
from services.premiums.domain.receipts import Receipt
from services.runtime.rpc.wire import date_to_wire, enum_number, month_to_wire
from services.runtime.service.context import Guard


def _assessed(event: events_pb2.PremiumAssessed) -> str:
    return f"{event.bill}: {sum(line.premium_fen for line in event.lines)} fen"


def _received(event: events_pb2.PremiumReceived) -> str:
    parts = event.parts
    amount = sum(part.premium_fen + part.surcharge_fen + part.credit_fen for part in parts)
    return f"{event.receipt} of {event.platform}: {amount} fen"


# Lost in a restore, these keep others of the same platform from being published.
GUARDS: Mapping[type[Message], Guard] = {
    events_pb2.PremiumAssessed: Guard("platform", _assessed),
    events_pb2.PremiumReceived: Guard("platform", _received),
}


def premium_assessed(
    bill: Bill, totals: Sequence[BilledTotal], accounting_month: Month
) -> events_pb2.PremiumAssessed:
    """A platform's month was assessed; its lines are summed by pooling area and industry."""
    return events_pb2.PremiumAssessed(
        bill=bill.name,
        platform=name("platforms", bill.platform),
        month=month_to_wire(bill.month),
        due_date=date_to_wire(bill.due),
        revision=bill.revision,
        lines=[
            events_pb2.PremiumAssessed.Line(
                pooling_area=line.pooling_area,
                industry=enum_number(line.industry),
                order_count=line.order_count,
                premium_fen=line.premium.count,
            )
            for line in totals
        ],
        accounting_month=month_to_wire(accounting_month),
    )


def premium_received(receipt: Receipt, accounting_month: Month) -> events_pb2.PremiumReceived:
    """Money was received on a bill, or credit was given or set off (a receipt of 0 fen)."""
    return events_pb2.PremiumReceived(
        receipt=receipt.name,
        platform=name("platforms", receipt.platform),
        month=month_to_wire(receipt.month),
        receipt_date=date_to_wire(receipt.day),
        parts=[
            events_pb2.PremiumReceived.Part(
                pooling_area=part.pooling_area,
                premium_fen=part.premium.count,
                surcharge_fen=part.surcharge.count,
                credit_fen=part.credit.count,
            )
            for part in receipt.parts
        ],
        accounting_month=month_to_wire(accounting_month),
    )


def month_ended(summary: type_pb2.MonthSummary) -> events_pb2.MonthEnded:
    """A month ended with what the summary counts."""
    return events_pb2.MonthEnded(summary=summary)
