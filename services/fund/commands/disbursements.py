"""Money that leaves the account for payment runs."""

from __future__ import annotations

from services.fund.commands.ledger import post
from services.fund.domain import ledger
from services.fund.domain.ledger import Disbursement
from services.fund.domain.problems import DisbursementReferenceUsed, MoreThanPayable
from services.fund.store import disbursements as disbursement_store
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def record_disbursement(
    tx: Transaction, disbursement: Disbursement, context: CommandContext
) -> Disbursement:
    """Record that money has left the account; at most what is payable."""
    payable = await disbursement_store.lock_payable(
        tx, disbursement.payment_run, disbursement.pooling_area
    )
    if disbursement.amount > payable:
        raise MoreThanPayable(
            field="amount_fen",
            amount=disbursement.amount.yuan,
            payable=payable.yuan,
            payment_run=disbursement.payment_run,
            pooling_area=disbursement.pooling_area,
        )
    if not await disbursement_store.insert_disbursement(tx, disbursement, context.now):
        raise DisbursementReferenceUsed(
            field="bank_reference", bank_reference=disbursement.bank_reference
        )
    await post(tx, [ledger.disbursed(disbursement)], context)
    return disbursement
