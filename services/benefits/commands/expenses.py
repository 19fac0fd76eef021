"""Reimbursement of bills."""

from __future__ import annotations

from services.benefits.commands.awards import lock_claim, publish_awards
from services.benefits.commands.cases import require_confirmed_case
from services.benefits.domain import law as rules
from services.benefits.domain.award import WORKER, Award, State, award_id
from services.benefits.domain.expenses import Expense, reimbursement
from services.benefits.domain.problems import BillGranted, NothingLeft
from services.benefits.domain.segments import Segment
from services.benefits.store import awards as award_store
from services.kernel.names import id_from
from services.kernel.periods import Month
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def grant_expense(
    tx: Transaction, request_id: str, claim: str, expense: Expense, context: CommandContext
) -> Award:
    """Reimburse a bill in a confirmed case; a bill number is reimbursed once in a claim."""
    await lock_claim(tx, claim)
    case = await require_confirmed_case(tx, claim)
    source = ("bill", expense.bill_number) if expense.bill_number else ("request", request_id)
    new_id = award_id(claim, expense.kind, WORKER, id_from(claim, *source))
    if await award_store.find(tx, new_id) is not None:
        raise BillGranted(
            field="bill_number", bill_number=expense.bill_number, name=f"awards/{new_id}"
        )
    reimbursed = reimbursement(rules.LAW, expense, case.accident_date, case.pooling_area)
    if not reimbursed.amount:
        raise NothingLeft
    month = Month.of(context.today)
    award = Award(
        id=new_id,
        claim=claim,
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
        findings=reimbursed.findings,
        create_time=context.now,
    )
    await award_store.insert(tx, [award], context.now)
    await publish_awards(tx, [award], context)
    return award
