"""Reimbursement of bills."""

from __future__ import annotations

from dataclasses import replace

from services.benefits.commands.awards import grant_awards, lock_award, lock_claims, publish_awards
from services.benefits.commands.cases import require_confirmed_case
from services.benefits.domain import law as rules
from services.benefits.domain.award import WORKER, Award, State, award_id
from services.benefits.domain.bills import Bill, Reversal, require_identified
from services.benefits.domain.case import Case
from services.benefits.domain.expenses import Expense, reimbursement, require_days_possible
from services.benefits.domain.kinds import EXPENSES, BenefitKind
from services.benefits.domain.problems import (
    BillGranted,
    ExpenseReversed,
    NoExpense,
    NothingLeft,
)
from services.benefits.domain.segments import Segment
from services.benefits.domain.stays import Days, days_left
from services.benefits.store import awards as award_store
from services.benefits.store import bills as bill_store
from services.benefits.store import law_bases as basis_store
from services.kernel.law import Finding
from services.kernel.lawbook import UsedValues
from services.kernel.names import id_from
from services.kernel.periods import Month
from services.runtime.service import signatures
from services.runtime.service.context import CommandContext
from services.runtime.storage import revisions
from services.runtime.storage.database import Transaction


async def grant_expense(
    tx: Transaction, request_id: str, claim: str, expense: Expense, context: CommandContext
) -> Award:
    """Reimburse a bill in a confirmed case.

    A bill is reimbursed once, and each day in hospital is granted once, over all claims and kinds.
    """
    await lock_claims(tx, claim)
    case = await require_confirmed_case(tx, claim, context)
    require_identified(expense.bill, expense.kind)
    used = UsedValues()
    law = rules.LAW.noting(used)
    require_days_possible(law, expense, case.pooling_area, context.today)
    new_id = award_id(case.claim, expense.kind, WORKER, id_from(request_id, claim))
    await _keep_bill(tx, new_id, case.worker, expense.bill, context)
    days, left_out = await _days_left(tx, expense, case)
    reimbursed = reimbursement(
        law,
        replace(expense, day_count=sum(each.count for each in days)) if days else expense,
        case.accident_date,
        case.pooling_area,
    )
    if not reimbursed.amount:
        raise NothingLeft
    month = Month.of(context.today)
    award = Award(
        id=new_id,
        claim=case.claim,
        kind=expense.kind,
        beneficiary=WORKER,
        state=State.IN_PAYMENT,
        amount=reimbursed.amount,
        first_month=month,
        last_month=month,
        pooling_area=case.pooling_area,
        industry=case.industry,
        event_date=expense.day,
        segments=(Segment(month, reimbursed.amount, "once"),),
        findings=(*left_out, *reimbursed.findings),
        create_time=context.now,
        worker=case.worker,
        accident=case.accident,
    )
    signatures.note_sum(award.amount)
    await award_store.insert(tx, context.cipher, [award], context.now)
    await basis_store.update_award(tx, award.id, used.versions)
    if days:
        await bill_store.insert_stays(tx, new_id, case.worker, days)
    await publish_awards(tx, [award], context)
    return award


async def reverse_expense(
    tx: Transaction, award_id: str, code: int, reason: str, context: CommandContext
) -> Award:
    """Reverse a reimbursement that was recorded by mistake, once.

    The award ends; what was paid is marked for recovery, and the bill or the stay can be granted
    again. Raises NoExpense or ExpenseReversed.
    """
    award = await _lock_expense(tx, award_id, context)
    signatures.note_sum(award.amount)
    await bill_store.find_paid(tx, award.id)
    reversal = Reversal(code, reason, context.member, context.now)
    if not await bill_store.insert_reversal(tx, context.cipher, award.id, award.worker, reversal):
        raise ExpenseReversed(name=award.name)
    reversed_award = replace(award, is_reversed=True, revision=award.revision + 1)
    await award_store.update(tx, context.cipher, reversed_award, context.now)
    await publish_awards(tx, [reversed_award], context)
    await grant_awards(tx, award.worker, "expense reversed", context, remark=reason)
    ended = await award_store.find(tx, context.cipher, award.id)
    assert ended is not None
    return ended


async def _lock_expense(tx: Transaction, award_id: str, context: CommandContext) -> Award:
    """The award of a bill or a stay, with its claim locked; raises NotFound or NoExpense."""
    award = await lock_award(tx, award_id, context)
    if award.kind not in EXPENSES or award.adjusts:
        raise NoExpense(name=award.name)
    revisions.note(award.name, award.revision)
    return award


async def _keep_bill(
    tx: Transaction, award: str, worker: str, bill: Bill, context: CommandContext
) -> None:
    if not (bill.number or bill.document_hash):
        return
    earlier = await bill_store.insert(tx, context.cipher, award, worker, bill)
    if earlier is not None:
        raise BillGranted(
            field="bill_number" if bill.number else "document_hash",
            bill=bill.title,
            name=f"awards/{earlier}",
        )


async def _days_left(
    tx: Transaction, expense: Expense, case: Case
) -> tuple[tuple[Days, ...], tuple[Finding, ...]]:
    """The days in hospital that are still to be granted; none for another kind of expense."""
    if expense.kind is not BenefitKind.HOSPITAL_MEALS or not expense.day_count:
        return (), ()
    return days_left(expense.days, await bill_store.list_stays(tx, case.worker, expense.days))
