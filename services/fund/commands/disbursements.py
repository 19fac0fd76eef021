"""Money that leaves the account for payment runs."""

from __future__ import annotations

from dataclasses import replace

from services.fund.commands.ledger import post
from services.fund.domain import ledger
from services.fund.domain.ledger import Disbursement
from services.fund.domain.problems import (
    AlreadyReversed,
    DisbursementReferenceUsed,
    MoreThanPayable,
)
from services.fund.store import disbursements as disbursement_store
from services.runtime.service import signatures
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def record_disbursement(
    tx: Transaction, disbursement: Disbursement, context: CommandContext
) -> Disbursement:
    """Record that money has left the account; at most what is payable."""
    payable = await disbursement_store.lock_payable(
        tx, disbursement.payment_run, disbursement.pooling_area
    )
    signatures.note_sum(disbursement.amount)
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


async def reverse_disbursement(
    tx: Transaction, disbursement_id: str, code: int, reason: str, context: CommandContext
) -> Disbursement:
    """Reverse a disbursement that was recorded by mistake, once: its mirror is posted.

    Raises AlreadyReversed.
    """
    disbursement = await disbursement_store.get(tx, disbursement_id)
    await disbursement_store.lock_payable(tx, disbursement.payment_run, disbursement.pooling_area)
    signatures.note_sum(disbursement.amount)
    if not await disbursement_store.insert_reversal(
        tx, disbursement, code, reason, member=context.member, now=context.now
    ):
        raise AlreadyReversed(name=disbursement.name)
    await post(tx, [ledger.disbursement_reversed(disbursement, context.today)], context)
    return replace(disbursement, is_reversed=True)
