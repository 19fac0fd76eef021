"""Assessment of a month, and the estimate for a platform that was silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from services.kernel.lawbook import UsedValues
from services.kernel.money import share, total
from services.kernel.names import id_from
from services.kernel.periods import Month
from services.kernel.phrases import Phrase
from services.premiums import events
from services.premiums.commands.receipts import publish_receipt
from services.premiums.domain import assessment
from services.premiums.domain.assessment import Assessment, due_date
from services.premiums.domain.bills import Bill
from services.premiums.domain.days import require_month_of_scheme
from services.premiums.domain.law import law
from services.premiums.domain.lines import DueDates, Line, LineKind
from services.premiums.domain.problems import (
    DeclarationStillOpen,
    MonthNotAssessed,
    NoMonthBefore,
    PlatformNotSilent,
)
from services.premiums.domain.rates import rates
from services.premiums.domain.receipts import after_receipt, give_credit
from services.premiums.domain.tallies import LineKey
from services.premiums.store import accruals as accrual_store
from services.premiums.store import assessment as assessment_store
from services.premiums.store import bills as bill_store
from services.premiums.store import declarations as declaration_store
from services.premiums.store import receipts as receipt_store
from services.premiums.store import terms as term_store
from services.runtime.events import outbox
from services.runtime.events.ended_months import accounting_month
from services.runtime.service.confirmations import record_use
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def assess_premiums(tx: Transaction, month: Month, context: CommandContext) -> Assessment:
    """Make every platform's bill of a month that has ended: lines in one statement, then bills.

    Tallies that came after their own month was assessed are billed too, at the rates of their own
    month. The exclusive lock on the newest month keeps tallies that arrive meanwhile for the next
    bill. In production the assumed values that were used have to be confirmed.
    """
    used = UsedValues()
    rules = law(context.province, context.today).noting(used)
    require_month_of_scheme(month, context.today, rules)
    latest = await assessment_store.lock_latest_month(tx, exclusive=True)
    open_month = await assessment_store.find_open_month(tx, latest)
    assessment.require_assessable(month, context.today, latest, open_month)
    keys = await assessment_store.list_line_keys(tx, month)
    terms = await term_store.list_of_platforms(tx, (key.platform for key in keys))
    due = DueDates(
        due_date(month, rules, context.calendar),
        await assessment_store.list_underdeclared(tx, month),
        {key.month: due_date(key.month, rules, context.calendar) for key in keys},
    )
    await assessment_store.insert_lines(tx, month, rates(keys, terms, rules), due)
    await assessment_store.insert_reversals(tx, month, due.bill)
    platforms = await assessment_store.insert_bills(tx, month, due.bill, context.now)
    gap_day_count = await accrual_store.count_gap_days(tx, month)
    assessed = await assessment_store.insert(tx, month, due.bill, gap_day_count, context.now)
    await record_use(tx, f"assessments/{month}", used.versions, context)
    await _publish(tx, month, platforms, context)
    return assessed


async def latest_month(tx: Transaction, current: Month) -> Month | None:
    """The last month that may end while `current` runs: premiums of a month end once assessed."""
    latest = await assessment_store.find_latest_month(tx)
    return None if latest is None else min(latest, current.plus(-1))


async def estimate_premium(
    tx: Transaction, platform: str, month: Month, context: CommandContext
) -> Bill:
    """Bill a platform that sent neither orders nor a declaration: a share of the month before."""
    used = UsedValues()
    rules = law(context.province, context.today).noting(used)
    await assessment_store.lock_latest_month(tx, exclusive=True)
    if not await assessment_store.find_assessed(tx, month):
        raise MonthNotAssessed(field="bill", month=month)
    due = due_date(month, rules, context.calendar)
    if context.today <= due:
        raise DeclarationStillOpen(field="bill", month=month, due_date=due)
    await _require_silent(tx, platform, month)
    before = await assessment_store.list_month_premiums(tx, platform, month.plus(-1))
    if not before:
        raise NoMonthBefore(field="bill", platform=f"platforms/{platform}", month=month.plus(-1))
    whole, finding = assessment.estimate_premium(total(before.values()), month, rules)
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
    await assessment_store.insert_estimate(tx, month, lines)
    await assessment_store.insert_bills(tx, month, due, context.now)
    await _publish(tx, month, [platform], context)
    bill = await bill_store.find(tx, platform, month)
    assert bill is not None
    await record_use(tx, bill.name, used.versions, context)
    return bill


async def _require_silent(tx: Transaction, platform: str, month: Month) -> None:
    orders = await accrual_store.count_orders(tx, platform, month)
    what = None
    if await bill_store.find_any(tx, platform, month):
        what = Phrase("BILL", "a bill", "账单")
    elif await declaration_store.find_any(tx, platform, month):
        what = Phrase("DECLARATION", "a declaration", "申报")
    elif orders:
        what = Phrase("ORDERS", "orders, which the next assessment bills,", "订单")
    if what:
        raise PlatformNotSilent(
            field="bill",
            platform=f"platforms/{platform}",
            month=month,
            what=what,
        )


async def _publish(
    tx: Transaction, month: Month, platforms: Sequence[str], context: CommandContext
) -> None:
    """Publish the bills; one of nothing or less becomes credit at once."""
    totals = await bill_store.list_totals(tx, month, platforms)
    accounting = await accounting_month(tx, month)
    bills = await bill_store.list_of_month(tx, month, platforms)
    assessed = [
        (events.premium_assessed(bill, totals[bill.platform], accounting), bill.premium)
        for bill in bills
    ]
    await outbox.add_all(tx, assessed, context.now, month=accounting)
    for bill in bills:
        if bill.premium.count <= 0:
            await _give_credit(tx, bill, context)


async def _give_credit(tx: Transaction, bill: Bill, context: CommandContext) -> None:
    rules = law(context.province, context.today)
    receipt = replace(give_credit(bill, context.today), id=id_from(bill.name, "credit"))
    await receipt_store.insert(tx, receipt, context.now)
    await bill_store.update_state(tx, after_receipt(bill, receipt, rules))
    if receipt.parts:
        await publish_receipt(tx, receipt, context)
