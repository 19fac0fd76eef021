"""Receipts, and credit set off against bills."""

from __future__ import annotations

from dataclasses import replace

from services.kernel.money import ZERO, total
from services.kernel.names import id_from
from services.kernel.periods import Month
from services.kernel.problems import NotFound
from services.premiums import events
from services.premiums.domain.bills import Bill, bill_name
from services.premiums.domain.law import law
from services.premiums.domain.problems import (
    CreditUsed,
    LaterReceipt,
    NoCredit,
    NotReversible,
    ReceiptReversed,
)
from services.premiums.domain.receipts import (
    IncomingPayment,
    Receipt,
    after_receipt,
    after_reversal,
    apply_credit,
    receive_premium,
    require_next_occurrence,
    require_possible_day,
    reverse_receipt,
)
from services.premiums.domain.standing import standing
from services.premiums.store import bills as bill_store
from services.premiums.store import receipts as receipt_store
from services.runtime.events import outbox
from services.runtime.events.ended_months import accounting_month
from services.runtime.service import signatures
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def record_premium_receipt(
    tx: Transaction, platform: str, month: Month, payment: IncomingPayment, context: CommandContext
) -> Receipt:
    """Record money received on a bill; the same payment on the same bill again changes nothing."""
    await receipt_store.lock_entry(tx, payment)
    bill = await _lock_bill(tx, platform, month)
    earlier = await receipt_store.list_by_entry(tx, payment)
    for receipt in earlier:
        if receipt.is_of(bill, payment):
            signatures.note_act("")
            return receipt
    signatures.note_sum(payment.amount)
    rules = law(context.province, context.today)
    require_possible_day(payment, month, context.today, rules)
    require_next_occurrence(payment, earlier)
    receipt = replace(
        receive_premium(bill, payment.amount, payment.day, rules, payment.entry),
        attempt=await receipt_store.count_reversed(tx, payment),
    )
    receipt = replace(receipt, id=_receipt_id(payment, receipt.attempt))
    await _add(tx, receipt, after_receipt(bill, receipt, rules), context)
    return receipt


async def reverse_premium_receipt(
    tx: Transaction, receipt_id: str, code: int, reason: str, context: CommandContext
) -> Receipt:
    """Reverse a receipt or a set-off that was recorded by mistake: its mirror is posted.

    A bill is unwound from its newest receipt, because each was allotted to what the earlier ones
    had left. Raises NotReversible, ReceiptReversed, LaterReceipt and CreditUsed.
    """
    receipt = await receipt_store.get(tx, receipt_id)
    await bill_store.lock_all(tx, receipt.platform)
    bill = await _lock_bill(tx, receipt.platform, receipt.month)
    signatures.note_sum(receipt.premium + receipt.surcharge + receipt.credit)
    if receipt.reversal is not None or not (receipt.amount or receipt.credit < ZERO):
        raise NotReversible(name=receipt.name)
    if reversal := await receipt_store.find_reversal(tx, receipt.id):
        raise ReceiptReversed(name=receipt.name, reversal=f"premiumReceipts/{reversal}")
    if later := await receipt_store.find_later(tx, receipt):
        raise LaterReceipt(name=receipt.name, later=f"premiumReceipts/{later}")
    credit = await receipt_store.get_credit(tx, receipt.platform)
    for part in receipt.parts:
        left = credit.get(part.pooling_area, ZERO)
        if part.credit > ZERO and left < part.credit:
            raise CreditUsed(name=receipt.name, credit=part.credit.yuan, left=left.yuan)
    mirror = reverse_receipt(receipt, code, reason)
    await _add(tx, mirror, after_reversal(bill), context)
    return mirror


async def apply_premium_credit(
    tx: Transaction, platform: str, month: Month, request_id: str, context: CommandContext
) -> Receipt:
    """Pay the open part of a bill from the platform's credit, as far as the credit goes."""
    await bill_store.lock_all(tx, platform)
    bill = await _lock_bill(tx, platform, month)
    rules, today = law(context.province, context.today), context.today
    credit = await receipt_store.get_credit(tx, platform)
    owed = bill.premium - bill.received + standing(bill, today, rules).surcharge
    if not (total(credit.values()).count > 0 and owed.count > 0):
        raise NoCredit(
            field="bill",
            platform=f"platforms/{platform}",
            bill=bill.name,
            credit=total(credit.values()).yuan,
            owed=owed.yuan,
        )
    receipt = replace(apply_credit(bill, credit, today, rules), id=id_from(request_id, bill.name))
    await _add(tx, receipt, after_receipt(bill, receipt, rules), context)
    return receipt


def _receipt_id(payment: IncomingPayment, reversed_count: int) -> str:
    account, number = payment.entry.keys
    return id_from(
        number,
        "bank",
        account,
        str(payment.day),
        str(payment.amount.count),
        str(payment.entry.occurrence),
        *([f"after {reversed_count}"] if reversed_count else []),
    )


async def _lock_bill(tx: Transaction, platform: str, month: Month) -> Bill:
    bill = await bill_store.find(tx, platform, month, lock=True)
    if bill is None:
        raise NotFound(name=bill_name(platform, month))
    return bill


async def _add(tx: Transaction, receipt: Receipt, bill: Bill, context: CommandContext) -> None:
    """Store a receipt and its bill's new state, and publish the receipt."""
    await receipt_store.insert(tx, receipt, context.now)
    await bill_store.update_state(tx, bill)
    await publish_receipt(tx, receipt, context)


async def publish_receipt(tx: Transaction, receipt: Receipt, context: CommandContext) -> None:
    """Publish a receipt in the month of the bank's day, or in the first that has not ended."""
    month = await accounting_month(tx, Month.of(receipt.day))
    event = events.premium_received(receipt, month)
    amount = receipt.premium + receipt.surcharge + receipt.credit
    await outbox.add(tx, event, context.now, month=month, amount=amount)
