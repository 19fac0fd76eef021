"""Assessment of a month, and the estimate for a platform that was silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from services.kernel.money import share, total
from services.kernel.names import id_from
from services.kernel.periods import Month
from services.premiums import events
from services.premiums.commands.occasion import Occasion
from services.premiums.domain import assessing, paying, terms
from services.premiums.domain.assessing import DueDates, Line, LineKind
from services.premiums.domain.paying import Bill
from services.premiums.domain.problems import (
    DeclarationStillOpen,
    MonthNotAssessed,
    NoMonthBefore,
    PlatformNotSilent,
)
from services.premiums.domain.terms import LineKey
from services.premiums.store import assessing as held
from services.premiums.store import hearing
from services.premiums.store import paying as held_bills
from services.premiums.store import terms as held_terms
from services.premiums.store.assessing import Assessment
from services.runtime.events import outbox
from services.runtime.storage.database import Transaction


async def assess_premiums(tx: Transaction, month: Month, occasion: Occasion) -> Assessment:
    """Make every platform's bill of a month that has ended: lines in one statement, then bills.

    Tallies that came after their own month was assessed are billed along, at the rates of their
    own month. The lock on the newest month keeps tallies that arrive meanwhile for the next bill.
    """
    rules = occasion.law
    latest = await hearing.lock_latest_month(tx, alone=True)
    open_month = await held.earliest_open_month(tx, latest)
    assessing.check_may_assess(month, occasion.today, latest, open_month)
    keys = await held.line_keys(tx, month)
    own_terms = await held_terms.terms_of(tx, (key.platform for key in keys))
    due = DueDates(
        occasion.due_date(month),
        await held.underdeclared(tx, month),
        {key.month: occasion.due_date(key.month) for key in keys},
    )
    await held.add_lines(tx, month, terms.rates(keys, own_terms, rules), due)
    await held.take_estimates_back(tx, month, due.bill)
    platforms = await held.add_bills(tx, month, due.bill, occasion.now)
    gap_day_count = await hearing.count_gap_days(tx, month)
    found = await held.add_assessment(tx, month, due.bill, gap_day_count, occasion.now)
    await _tell(tx, month, platforms, occasion)
    return found


async def estimate_premium(
    tx: Transaction,
    platform: str,
    month: Month,
    occasion: Occasion,
) -> Bill:
    """Bill a platform that sent neither orders nor a declaration: a share of the month before."""
    await hearing.lock_latest_month(tx, alone=True)
    if not await held.is_assessed(tx, month):
        raise MonthNotAssessed(field="bill", month=month)
    due = occasion.due_date(month)
    if occasion.today <= due:
        raise DeclarationStillOpen(field="bill", month=month, due_date=due)
    await _check_silent(tx, platform, month)
    before = await held.month_premiums(tx, platform, month.plus(-1))
    if not before:
        raise NoMonthBefore(field="bill", platform=f"platforms/{platform}", month=month.plus(-1))
    whole, finding = assessing.estimate(total(before.values()), month, occasion.law)
    parts = share(whole, [fen.count for fen in before.values()])
    lines = [
        Line(
            key=LineKey(platform, area, industry, month),
            order_count=0,
            base=Decimal(0),
            band=Decimal(0),
            markup=Decimal(0),
            premium=part,
            due=due,
            kind=LineKind.ESTIMATE,
            findings=(finding,),
        )
        for (area, industry), part in zip(before, parts, strict=True)
    ]
    await held.add_estimate(tx, month, lines)
    await held.add_bills(tx, month, due, occasion.now)
    await _tell(tx, month, [platform], occasion)
    bill = await held_bills.get_bill(tx, platform, month)
    assert bill is not None
    return bill


async def _check_silent(tx: Transaction, platform: str, month: Month) -> None:
    orders = await hearing.held_counts(tx, platform, month)
    what = ""
    if await held.bill_exists(tx, platform, month):
        what, what_zh = "a bill", "账单"
    elif await held.has_declared(tx, platform, month):
        what, what_zh = "a declaration", "申报"
    elif orders:
        what, what_zh = "orders, which the next assessment bills,", "订单"
    if what:
        raise PlatformNotSilent(
            field="bill",
            platform=f"platforms/{platform}",
            month=month,
            what=what,
            what_zh=what_zh,
        )


async def _tell(
    tx: Transaction, month: Month, platforms: Sequence[str], occasion: Occasion
) -> None:
    """Tell of the bills; one of nothing or less becomes credit at once."""
    told = await held_bills.told_of_month(tx, month, platforms)
    for bill in await held_bills.bills_of_month(tx, month, platforms):
        await outbox.add(tx, events.premium_assessed(bill, told[bill.platform]), occasion.now)
        if bill.premium.count <= 0:
            await _give_credit(tx, bill, occasion)


async def _give_credit(tx: Transaction, bill: Bill, occasion: Occasion) -> None:
    receipt = replace(paying.give_credit(bill, occasion.today), id=id_from(bill.name, "credit"))
    await held_bills.add_receipt(tx, receipt, occasion.now)
    await held_bills.save_state(tx, paying.after_receipt(bill, receipt, occasion.law))
    if receipt.parts:
        await outbox.add(tx, events.premium_received(receipt), occasion.now)
