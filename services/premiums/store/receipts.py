"""Receipts with their parts, and the credit that they leave."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.kernel.money import Fen, total
from services.kernel.periods import Month
from services.premiums.domain.receipts import Receipt, ReceiptPart
from services.premiums.store.bills import BillFilter
from services.premiums.store.tables import receipt_parts, receipts
from services.runtime.rpc.wire import findings_from_json, findings_to_json
from services.runtime.storage.database import Transaction


class UnevenReceiptError(RuntimeError):
    """A receipt is not the sum of its parts; it would leave money that belongs to nobody."""

    def __init__(self, receipt: Receipt, name: str) -> None:
        super().__init__(f"receipt {receipt.id}: the parts do not add up to its {name}")


async def insert(tx: Transaction, receipt: Receipt, now: datetime) -> None:
    """Add a receipt with its parts; raises UnevenReceiptError if they are not the whole."""
    if receipt.amount != receipt.premium + receipt.surcharge + receipt.credit:
        raise UnevenReceiptError(receipt, "amount")
    for name in ("premium", "surcharge", "credit"):
        parts = total(getattr(part, name) for part in receipt.parts)
        if parts != getattr(receipt, name):
            raise UnevenReceiptError(receipt, name)
    await tx.execute(
        sa.insert(receipts).values(
            id=receipt.id,
            platform=receipt.platform,
            month=receipt.month.first_day,
            receipt_date=receipt.day,
            amount_fen=receipt.amount.count,
            premium_fen=receipt.premium.count,
            surcharge_fen=receipt.surcharge.count,
            credit_fen=receipt.credit.count,
            bank_reference=receipt.bank_reference,
            findings=findings_to_json(receipt.findings),
            create_time=now,
        )
    )
    if receipt.parts:
        await tx.execute(
            sa.insert(receipt_parts),
            [
                {
                    "receipt": receipt.id,
                    "pooling_area": part.pooling_area,
                    "platform": receipt.platform,
                    "month": receipt.month.first_day,
                    "premium_fen": part.premium.count,
                    "surcharge_fen": part.surcharge.count,
                    "credit_fen": part.credit.count,
                }
                for part in receipt.parts
            ],
        )


async def lock_bank_reference(tx: Transaction, bank_reference: str) -> None:
    """Lock a bank reference, so that one receipt of it is recorded at a time, for any bill."""
    lock = sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(bank_reference, 0)))
    await tx.execute(lock)


async def find_by_bank_reference(tx: Transaction, bank_reference: str) -> Receipt | None:
    """The receipt with a bank reference; None if there is none."""
    statement = sa.select(receipts).where(receipts.c.bank_reference == bank_reference)
    matches = await _with_parts(tx, (await tx.execute(statement)).all())
    return matches[0] if matches else None


async def list_by_day(
    tx: Transaction, query: BillFilter, after: Sequence[Any] = (), size: int = 100
) -> list[Receipt]:
    """Receipts by day of payment and id; `after` is the key of the last row of the page before."""
    statement = sa.select(receipts)
    if query.platform:
        statement = statement.where(receipts.c.platform == query.platform)
    if query.month:
        statement = statement.where(receipts.c.month == query.month.first_day)
    if after:
        key = sa.tuple_(receipts.c.receipt_date, receipts.c.id)
        statement = statement.where(key > sa.tuple_(*after))
    statement = statement.order_by(receipts.c.receipt_date, receipts.c.id).limit(size)
    return await _with_parts(tx, (await tx.execute(statement)).all())


async def get_credit(tx: Transaction, platform: str) -> dict[str, Fen]:
    """The credit that a platform has left, by pooling area."""
    parts = receipt_parts.c
    statement = (
        sa.select(parts.pooling_area, sa.func.sum(parts.credit_fen))
        .where(parts.platform == platform)
        .group_by(parts.pooling_area)
        .having(sa.func.sum(parts.credit_fen) != 0)
        .order_by(parts.pooling_area)
    )
    return {area: Fen(int(fen)) for area, fen in await tx.execute(statement)}


async def _with_parts(tx: Transaction, rows: Sequence[sa.Row[tuple[object, ...]]]) -> list[Receipt]:
    if not rows:
        return []
    parts: dict[str, list[ReceiptPart]] = defaultdict(list)
    statement = (
        sa.select(receipt_parts)
        .where(receipt_parts.c.receipt.in_([row.id for row in rows]))
        .order_by(receipt_parts.c.receipt, receipt_parts.c.pooling_area)
    )
    for row in await tx.execute(statement):
        parts[row.receipt].append(
            ReceiptPart(
                row.pooling_area,
                Fen(row.premium_fen),
                Fen(row.surcharge_fen),
                Fen(row.credit_fen),
            )
        )
    return [
        Receipt(
            platform=row.platform,
            month=Month.of(row.month),
            day=row.receipt_date,
            amount=Fen(row.amount_fen),
            premium=Fen(row.premium_fen),
            surcharge=Fen(row.surcharge_fen),
            credit=Fen(row.credit_fen),
            parts=tuple(parts[row.id]),
            bank_reference=row.bank_reference,
            id=row.id,
            findings=findings_from_json(row.findings),
        )
        for row in rows
    ]
