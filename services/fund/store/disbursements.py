"""What is payable for each payment run, and disbursements of it."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.fund.domain.ledger import Disbursement
from services.fund.store.tables import disbursements, payables, reversals
from services.kernel.money import Fen
from services.kernel.problems import NotFound
from services.runtime.storage import revisions
from services.runtime.storage.database import Transaction


async def update_payable(tx: Transaction, payment_run: str, pooling_area: str, amount: Fen) -> None:
    """Add to what is payable for a run in a pooling area."""
    statement = insert(payables).values(
        payment_run=payment_run, pooling_area=pooling_area, open_fen=amount.count
    )
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=[payables.c.payment_run, payables.c.pooling_area],
            set_={"open_fen": payables.c.open_fen + statement.excluded.open_fen},
        )
    )


async def lock_payable(tx: Transaction, payment_run: str, pooling_area: str) -> Fen:
    """What is payable for a run in a pooling area, locked until the transaction ends."""
    statement = (
        sa.select(payables.c.open_fen)
        .where(payables.c.payment_run == payment_run, payables.c.pooling_area == pooling_area)
        .with_for_update()
    )
    payable = Fen((await tx.execute(statement)).scalar_one_or_none() or 0)
    revisions.note(f"{payment_run}/{pooling_area}", payable)
    return payable


async def insert_disbursement(tx: Transaction, disbursement: Disbursement, now: datetime) -> bool:
    """Record a disbursement and deduct it from what is payable; False if its reference is used."""
    statement = (
        insert(disbursements)
        .values(
            disbursement_id=disbursement.id,
            payment_run=disbursement.payment_run,
            pooling_area=disbursement.pooling_area,
            disburse_date=disbursement.disburse_date,
            amount_fen=disbursement.amount.count,
            bank_reference=disbursement.bank_reference,
            attempt=_reversed_before(disbursement.bank_reference),
            create_time=now,
        )
        .on_conflict_do_nothing()
        .returning(disbursements.c.disbursement_id)
    )
    if (await tx.execute(statement)).first() is None:
        return False
    await tx.execute(
        sa.update(payables)
        .where(
            payables.c.payment_run == disbursement.payment_run,
            payables.c.pooling_area == disbursement.pooling_area,
        )
        .values(open_fen=payables.c.open_fen - disbursement.amount.count)
    )
    return True


async def get(tx: Transaction, disbursement_id: str) -> Disbursement:
    """A disbursement; raises NotFound."""
    statement = (
        sa.select(disbursements, reversals.c.code)
        .outerjoin(reversals, reversals.c.disbursement_id == disbursements.c.disbursement_id)
        .where(disbursements.c.disbursement_id == disbursement_id)
    )
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise NotFound(name=f"disbursements/{disbursement_id}")
    disbursement = Disbursement(
        id=row.disbursement_id,
        payment_run=row.payment_run,
        pooling_area=row.pooling_area,
        disburse_date=row.disburse_date,
        amount=Fen(row.amount_fen),
        bank_reference=row.bank_reference,
        is_reversed=row.code is not None,
    )
    revisions.note(disbursement.name, disbursement)
    return disbursement


async def insert_reversal(
    tx: Transaction,
    disbursement: Disbursement,
    code: int,
    reason: str,
    *,
    member: str,
    now: datetime,
) -> bool:
    """Reverse a disbursement and make its amount payable again; False if it was reversed before."""
    statement = (
        insert(reversals)
        .values(
            disbursement_id=disbursement.id,
            code=code,
            reason=reason,
            member=member,
            create_time=now,
        )
        .on_conflict_do_nothing()
        .returning(reversals.c.disbursement_id)
    )
    if (await tx.execute(statement)).first() is None:
        return False
    await update_payable(
        tx, disbursement.payment_run, disbursement.pooling_area, disbursement.amount
    )
    return True


def _reversed_before(bank_reference: str) -> sa.ScalarSelect[int]:
    """How many disbursements with a reference were reversed: the number of its next one."""
    return (
        sa.select(sa.func.count())
        .select_from(reversals)
        .join(disbursements, disbursements.c.disbursement_id == reversals.c.disbursement_id)
        .where(disbursements.c.bank_reference == bank_reference)
        .scalar_subquery()
    )
