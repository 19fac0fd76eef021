"""Receipts, and credit set off against bills."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from services.kernel.money import Fen, total
from services.kernel.names import id_from
from services.kernel.periods import Month
from services.kernel.problems import NotFound
from services.premiums import events
from services.premiums.commands.occasion import Occasion
from services.premiums.domain import paying
from services.premiums.domain.paying import Bill, Receipt
from services.premiums.domain.problems import BankReferenceUsed, NoCredit, ReceiptInFuture
from services.premiums.store import paying as held
from services.runtime.events import outbox
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class Incoming:
    """Money as the bank's statement shows it."""

    amount: Fen
    day: date
    bank_reference: str


async def record_premium_receipt(
    tx: Transaction,
    bill_name: tuple[str, Month],
    paid: Incoming,
    occasion: Occasion,
) -> Receipt:
    """Record money received on a bill; the same bank reference again changes nothing."""
    await held.lock_bank_reference(tx, paid.bank_reference)
    bill = await _lock(tx, *bill_name)
    earlier = await held.find_receipt(tx, paid.bank_reference)
    if earlier is not None:
        if (earlier.bill, earlier.day, earlier.amount) != (bill.name, paid.day, paid.amount):
            raise BankReferenceUsed(
                field="bank_reference", bank_reference=paid.bank_reference, receipt=earlier.name
            )
        return earlier
    if paid.day > occasion.today:
        raise ReceiptInFuture(field="receipt_date", receipt_date=paid.day)
    rules = occasion.law
    receipt = replace(
        paying.receive(bill, paid.amount, paid.day, rules, paid.bank_reference),
        id=id_from(paid.bank_reference, "bank"),
    )
    await held.add_receipt(tx, receipt, occasion.now)
    await held.save_state(tx, paying.after_receipt(bill, receipt, rules))
    await outbox.add(tx, events.premium_received(receipt), occasion.now)
    return receipt


async def apply_premium_credit(
    tx: Transaction, bill_name: tuple[str, Month], request_id: str, occasion: Occasion
) -> Receipt:
    """Pay what a bill is still owed from the platform's credit, as far as it goes."""
    platform, month = bill_name
    await held.lock_bills_of(tx, platform)
    bill = await _lock(tx, platform, month)
    rules, today = occasion.law, occasion.today
    credit = await held.credit_of(tx, platform)
    standing = paying.standing(bill, today, rules)
    owed = bill.premium - bill.received + standing.surcharge
    if not (total(credit.values()).count > 0 and owed.count > 0):
        raise NoCredit(
            field="bill",
            platform=f"platforms/{platform}",
            bill=bill.name,
            credit=f"{total(credit.values()).yuan} yuan",
            owed=f"{owed.yuan} yuan",
        )
    receipt = replace(paying.set_off(bill, credit, today, rules), id=id_from(request_id, bill.name))
    await held.add_receipt(tx, receipt, occasion.now)
    await held.save_state(tx, paying.after_receipt(bill, receipt, rules))
    await outbox.add(tx, events.premium_received(receipt), occasion.now)
    return receipt


async def _lock(tx: Transaction, platform: str, month: Month) -> Bill:
    bill = await held.get_bill(tx, platform, month, lock=True)
    if bill is None:
        raise NotFound(name=f"platforms/{platform}/premiumBills/{month}")
    return bill
