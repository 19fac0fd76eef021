"""Postings: what premiums and benefits publish becomes transactions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from oip.benefits.v1 import benefits_pb2
from oip.benefits.v1 import events_pb2 as benefit_events
from oip.premiums.v1 import events_pb2 as premium_events
from oip.type.v1 import type_pb2

from services.fund.domain import ledger
from services.fund.domain.law import LAW
from services.fund.domain.ledger import (
    LedgerTransaction,
    PaymentPart,
    PremiumLine,
    ReceiptPart,
    industry_of,
)
from services.fund.domain.problems import TransactionDiffers
from services.fund.store import disbursements as disbursement_store
from services.fund.store import ledger as ledger_store
from services.fund.store import periods as period_store
from services.kernel.money import Fen
from services.kernel.periods import MONTHS_PER_YEAR, Month
from services.kernel.problems import require_within
from services.runtime.rpc.wire import date_from_wire, month_from_wire
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def on_premium_assessed(
    tx: Transaction, event: premium_events.PremiumAssessed, context: CommandContext
) -> None:
    """Post a platform's assessed month."""
    month = _month(event, context)
    lines = [
        PremiumLine(
            line.pooling_area,
            industry_of(line.industry),
            line.order_count,
            Fen(line.premium_fen),
        )
        for line in event.lines
    ]
    transactions = ledger.premium_assessed(event.bill, month, lines)
    await post(tx, _accounted(transactions, event.accounting_month), context)


async def on_premium_received(
    tx: Transaction, event: premium_events.PremiumReceived, context: CommandContext
) -> None:
    """Post money received for a bill.

    No money is received for a bill before its month; an earlier day, which is wrong, must not open
    a month of its own, because later months could not be closed before it.
    """
    bill_month = _month(event, context)
    day = max(date_from_wire(event.receipt_date, "receipt_date"), bill_month.first_day)
    require_within("receipt_date", day, bill_month.first_day, _last_month(context).last_day)
    parts = [
        ReceiptPart(
            part.pooling_area,
            Fen(part.premium_fen),
            Fen(part.surcharge_fen),
            Fen(part.credit_fen),
        )
        for part in event.parts
    ]
    transactions = ledger.premium_received(event.receipt, day, parts)
    await post(tx, _accounted(transactions, event.accounting_month), context)


async def on_payment_instructed(
    tx: Transaction, event: benefit_events.PaymentInstructed, context: CommandContext
) -> None:
    """Post payments instructed for a pooling area, an industry and a kind of benefit."""
    month = _month(event, context)
    part = PaymentPart(
        event.part.pooling_area,
        industry_of(event.part.industry),
        benefits_pb2.BenefitKind.Name(event.part.kind),
        event.part.payment_count,
        Fen(event.part.sum_fen),
    )
    transaction = ledger.benefits_instructed(event.payment_run, event.revision, month, part)
    (accounted,) = _accounted([transaction], event.accounting_month)
    await post_benefits(tx, accounted, context)


def _month(
    event: premium_events.PremiumAssessed
    | premium_events.PremiumReceived
    | benefit_events.PaymentInstructed,
    context: CommandContext,
) -> Month:
    """The month of an event; refuses one from before the scheme, or more than a year ahead."""
    month = month_from_wire(event.month, "month")
    first = Month.of(LAW.day("scheme_start", context.today, context.province))
    require_within("month", month, first, _last_month(context))
    return month


def _last_month(context: CommandContext) -> Month:
    return Month.of(context.today).plus(MONTHS_PER_YEAR)


async def post(
    tx: Transaction, transactions: Iterable[LedgerTransaction], context: CommandContext
) -> list[str]:
    """Post transactions that are not in the ledger yet.

    Each goes to the earliest open month, not before its own. Returns the ids of what was posted.
    Raises TransactionDiffers if a transaction was posted before with different amounts.
    """
    new = await _not_posted(tx, transactions)
    for month in sorted({transaction.month for transaction in new}):
        open_month = await period_store.lock_open_month(tx, month)
        dated = [replace(each, month=open_month) for each in new if each.month == month]
        await ledger_store.insert_transactions(tx, dated, context.now)
    return [transaction.id for transaction in new]


async def post_benefits(
    tx: Transaction, transaction: LedgerTransaction, context: CommandContext
) -> None:
    """Post what a payment run added, and make it payable."""
    if await _not_posted(tx, [transaction]):
        # The payable is locked before the month, as in a disbursement: one order of locks.
        payable = transaction.postings[0].amount
        await disbursement_store.update_payable(
            tx, transaction.subject, transaction.pooling_area, payable
        )
        await post(tx, [transaction], context)


def _accounted(
    transactions: Iterable[LedgerTransaction], message: type_pb2.Month
) -> list[LedgerTransaction]:
    """The transactions in the settlement month that their producer names."""
    month = month_from_wire(message, "accounting_month")
    return [replace(transaction, month=month) for transaction in transactions]


async def _not_posted(
    tx: Transaction, transactions: Iterable[LedgerTransaction]
) -> list[LedgerTransaction]:
    by_id = {transaction.id: transaction for transaction in transactions}
    posted = await ledger_store.find_transactions(tx, list(by_id))
    for transaction_id, before in posted.items():
        transaction = by_id[transaction_id]
        if replace(transaction, month=before.month) != before:
            raise TransactionDiffers(
                source=transaction.source, pooling_area=transaction.pooling_area
            )
    return [transaction for transaction in by_id.values() if transaction.id not in posted]
