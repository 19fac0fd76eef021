"""Receipts, and credit set off against bills."""

from __future__ import annotations

from dataclasses import replace

from services.kernel.money import total
from services.kernel.names import id_from
from services.kernel.periods import Month
from services.kernel.problems import NotFound
from services.premiums import events
from services.premiums.domain.bills import Bill, bill_name
from services.premiums.domain.law import law
from services.premiums.domain.problems import BankReferenceUsed, NoCredit, ReceiptInFuture
from services.premiums.domain.receipts import (
    IncomingPayment,
    Receipt,
    after_receipt,
    apply_credit,
    receive_premium,
)
from services.premiums.domain.standing import standing
from services.premiums.store import bills as bill_store
from services.premiums.store import receipts as receipt_store
from services.runtime.events import outbox
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def record_premium_receipt(
    tx: Transaction, platform: str, month: Month, payment: IncomingPayment, context: CommandContext
) -> Receipt:
    """Record money received on a bill; the same bank reference again changes nothing."""
    await receipt_store.lock_bank_reference(tx, payment.bank_reference)
    bill = await _lock_bill(tx, platform, month)
    earlier = await receipt_store.find_by_bank_reference(tx, payment.bank_reference)
    if earlier is not None:
        same = (bill.name, payment.day, payment.amount)
        if (earlier.bill, earlier.day, earlier.amount) != same:
            raise BankReferenceUsed(
                field="bank_reference", bank_reference=payment.bank_reference, receipt=earlier.name
            )
        return earlier
    if payment.day > context.today:
        raise ReceiptInFuture(field="receipt_date", receipt_date=payment.day)
    rules = law(context.province, context.today)
    receipt = replace(
        receive_premium(bill, payment.amount, payment.day, rules, payment.bank_reference),
        id=id_from(payment.bank_reference, "bank"),
    )
    await _add(tx, receipt, after_receipt(bill, receipt, rules), context)
    return receipt


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
            credit=f"{total(credit.values()).yuan} yuan",
            owed=f"{owed.yuan} yuan",
        )
    receipt = replace(apply_credit(bill, credit, today, rules), id=id_from(request_id, bill.name))
    await _add(tx, receipt, after_receipt(bill, receipt, rules), context)
    return receipt


async def _lock_bill(tx: Transaction, platform: str, month: Month) -> Bill:
    bill = await bill_store.find(tx, platform, month, lock=True)
    if bill is None:
        raise NotFound(name=bill_name(platform, month))
    return bill


async def _add(tx: Transaction, receipt: Receipt, bill: Bill, context: CommandContext) -> None:
    """Store a receipt and its bill's new state, and publish the receipt."""
    await receipt_store.insert(tx, receipt, context.now)
    await bill_store.update_state(tx, bill)
    await outbox.add(tx, events.premium_received(receipt), context.now)
