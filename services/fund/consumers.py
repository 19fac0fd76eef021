"""Entrance for messages: what premiums and benefits tell becomes transactions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from google.protobuf.message import Message
from oip.benefits.v1 import benefits_pb2
from oip.benefits.v1 import events_pb2 as benefit_events
from oip.premiums.v1 import events_pb2 as premium_events

from services.fund import commands
from services.fund.domain import ledger
from services.fund.domain.ledger import Industry, PaymentPart, PremiumLine, ReceiptPart
from services.kernel.money import Fen
from services.runtime.rpc.wire import date_from_wire, month_from_wire
from services.runtime.service.context import Handler
from services.runtime.storage.database import Transaction


async def premium_assessed(
    tx: Transaction, event: premium_events.PremiumAssessed, now: datetime
) -> None:
    """A platform's month was assessed."""
    month = month_from_wire(event.month, "month")
    lines = [
        PremiumLine(
            line.pooling_area,
            Industry(line.industry),
            line.order_count,
            Fen(line.premium_fen),
        )
        for line in event.lines
    ]
    await commands.post(tx, ledger.premium_assessed(event.bill, month, lines), now)


async def premium_received(
    tx: Transaction, event: premium_events.PremiumReceived, now: datetime
) -> None:
    """Money came in for a bill."""
    day = date_from_wire(event.receipt_date, "receipt_date")
    parts = [
        ReceiptPart(
            part.pooling_area,
            Fen(part.premium_fen),
            Fen(part.surcharge_fen),
            Fen(part.credit_fen),
        )
        for part in event.parts
    ]
    await commands.post(tx, ledger.premium_received(event.receipt, day, parts), now)


async def payment_instructed(
    tx: Transaction, event: benefit_events.PaymentInstructed, now: datetime
) -> None:
    """Payments were instructed for a pooling area, industry and kind."""
    month = month_from_wire(event.month, "month")
    part = PaymentPart(
        event.part.pooling_area,
        Industry(event.part.industry),
        benefits_pb2.BenefitKind.Name(event.part.kind),
        event.part.payment_count,
        Fen(event.part.sum_fen),
    )
    fact = ledger.benefits_instructed(event.payment_run, event.revision, month, part)
    await commands.post_benefits(tx, fact, now)


HANDLERS: Mapping[str, Mapping[type[Message], Handler]] = {
    "premiums": {
        premium_events.PremiumAssessed: premium_assessed,
        premium_events.PremiumReceived: premium_received,
    },
    "benefits": {benefit_events.PaymentInstructed: payment_instructed},
}
