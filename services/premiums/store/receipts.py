"""Receipts with their parts, and the credit that they leave."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.kernel.money import Fen, total
from services.kernel.periods import Month
from services.kernel.problems import NotFound
from services.premiums.domain.receipts import (
    BankEntry,
    IncomingPayment,
    Receipt,
    ReceiptPart,
    Reversal,
)
from services.premiums.store.bills import BillFilter
from services.premiums.store.tables import receipt_parts, receipts
from services.runtime.rpc.wire import findings_from_json, findings_to_json
from services.runtime.storage import listing, revisions
from services.runtime.storage.database import Transaction

_MIRROR = receipts.alias("mirror")
# The receipts that another one reverses.
_REVERSED = sa.select(_MIRROR.c.reverses).where(_MIRROR.c.reverses.is_not(None))


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
            **_entry_row(receipt),
            attempt=receipt.attempt,
            **_reversal_row(receipt),
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


async def lock_entry(tx: Transaction, payment: IncomingPayment) -> None:
    """Lock a bank's number on a day, so that one receipt of it is recorded at a time, for any bill.

    The same lock for each occurrence, which are counted without a gap.
    """
    account, number = payment.entry.keys
    key = f"{account}/{payment.day}/{number}"
    lock = sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(key, 0)))
    await tx.execute(lock)


async def list_by_entry(tx: Transaction, payment: IncomingPayment) -> list[Receipt]:
    """The receipts of a payment's account, day and number, in any spelling."""
    account, number = payment.entry.keys
    statement = (
        sa.select(receipts)
        .where(
            receipts.c.account_key == account,
            receipts.c.receipt_date == payment.day,
            receipts.c.number_key == number,
            receipts.c.id.not_in(_REVERSED),
        )
        .order_by(receipts.c.occurrence, receipts.c.amount_fen)
    )
    found = await _with_parts(tx, (await tx.execute(statement)).all())
    revisions.note(f"receipts of {payment.day}", [receipt.id for receipt in found])
    return found


async def count_reversed(tx: Transaction, payment: IncomingPayment) -> int:
    """How many receipts of a payment with its occurrence were reversed."""
    account, number = payment.entry.keys
    statement = (
        sa.select(sa.func.count())
        .select_from(receipts)
        .where(
            receipts.c.account_key == account,
            receipts.c.receipt_date == payment.day,
            receipts.c.number_key == number,
            receipts.c.amount_fen == payment.amount.count,
            receipts.c.occurrence == payment.entry.occurrence,
            receipts.c.id.in_(_REVERSED),
        )
    )
    return int((await tx.execute(statement)).scalar_one())


async def get(tx: Transaction, receipt_id: str) -> Receipt:
    """A receipt; raises NotFound."""
    rows = (await tx.execute(sa.select(receipts).where(receipts.c.id == receipt_id))).all()
    if not rows:
        raise NotFound(name=f"premiumReceipts/{receipt_id}")
    (receipt,) = await _with_parts(tx, rows)
    return receipt


async def find_reversal(tx: Transaction, receipt_id: str) -> str:
    """The id of the receipt that reverses another; empty if none does."""
    statement = sa.select(receipts.c.id).where(receipts.c.reverses == receipt_id)
    return (await tx.execute(statement)).scalar_one_or_none() or ""


async def find_later(tx: Transaction, receipt: Receipt) -> str:
    """The newest receipt that was recorded on the same bill later and stands; empty if none."""
    own = sa.select(receipts.c.seq).where(receipts.c.id == receipt.id).scalar_subquery()
    statement = (
        sa.select(receipts.c.id)
        .where(
            receipts.c.platform == receipt.platform,
            receipts.c.month == receipt.month.first_day,
            receipts.c.seq > own,
            receipts.c.reverses.is_(None),
            receipts.c.id.not_in(_REVERSED),
        )
        .order_by(receipts.c.seq.desc())
        .limit(1)
    )
    later = (await tx.execute(statement)).scalar_one_or_none() or ""
    revisions.note(f"{receipt.bill}/receipts", later)
    return later


def _reversal_row(receipt: Receipt) -> dict[str, Any]:
    if receipt.reversal is None:
        return {}
    return {
        "reverses": receipt.reversal.receipt,
        "reversal_code": receipt.reversal.code,
        "reversal_reason": receipt.reversal.reason,
    }


def _entry_row(receipt: Receipt) -> dict[str, Any]:
    if receipt.entry is None:
        return {}
    account, number = receipt.entry.keys
    return {
        "account": receipt.entry.account,
        "account_key": account,
        "bank_reference": receipt.entry.number,
        "number_key": number,
        "occurrence": receipt.entry.occurrence,
    }


async def list_by_day(
    tx: Transaction, query: BillFilter, after: Sequence[Any] = (), size: int = 100
) -> list[Receipt]:
    """Receipts by day of payment and id, or newest first; `after` is the last key before."""
    statement = listing.page_of_rows(
        _matching(query),
        (receipts.c.receipt_date, receipts.c.id),
        after,
        size,
        newest_first=query.newest_first,
    )
    return await _with_parts(tx, (await tx.execute(statement)).all())


async def count_receipts(tx: Transaction, query: BillFilter) -> int:
    """The number of receipts."""
    return await listing.count_rows(tx, _matching(query))


def _matching(query: BillFilter) -> sa.Select[Any]:
    statement = sa.select(receipts)
    if query.platform:
        statement = statement.where(receipts.c.platform == query.platform)
    if query.month:
        statement = statement.where(receipts.c.month == query.month.first_day)
    return statement


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
            entry=BankEntry(row.account, row.bank_reference, row.occurrence)
            if row.bank_reference
            else None,
            id=row.id,
            findings=findings_from_json(row.findings),
            attempt=row.attempt,
            reversal=Reversal(row.reverses, row.reversal_code, row.reversal_reason)
            if row.reverses
            else None,
        )
        for row in rows
    ]
