"""Months, their state, and what a settlement rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.fund.domain.cells import Cell
from services.fund.domain.ledger import (
    CELL_ACCOUNTS,
    CELLS,
    EQUALISATION_ACCOUNTS,
    RESULT_ACCOUNTS,
    Account,
    Industry,
    TransactionKind,
)
from services.fund.domain.settlement import Books, State, Total, cell_of
from services.fund.store.tables import books, periods, postings, steps, totals, transactions
from services.kernel.law import Finding
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.runtime.rpc.wire import findings_from_json
from services.runtime.storage.database import Transaction

# The advisory lock of postings: any number of postings share it.
POSTING = sa.func.hashtextextended("oip fund posting", 0)


@dataclass(frozen=True)
class Period:
    """A month (结算期). Its canonical text, hash and proposer are there from the proposal on."""

    month: Month
    state: State
    revision: int
    transaction_count: int
    text: str = ""
    hash: bytes = b""
    proposer: str = ""
    propose_time: datetime | None = None
    approver: str = ""
    approved_hash: bytes = b""
    close_time: datetime | None = None
    findings: tuple[Finding, ...] = ()


async def hold_postings(tx: Transaction) -> None:
    """Let postings under way finish and no new one begin until the transaction ends.

    A step of a settlement runs while another transaction holds this, so that its snapshot is taken
    between postings and a busy ledger cannot make it start again and again. What keeps the figures
    right is not this but the row of the month, which every posting changes.
    """
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(POSTING)))


async def open_month(tx: Transaction, wanted: Month) -> Month:
    """The earliest open month from `wanted` on, kept open until the end of the transaction.

    A month is added when first needed, but none before a closed one: late facts go behind it.
    """
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(POSTING)))
    closed = (await tx.execute(sa.select(books.c.closed_through))).scalar_one()
    month = wanted if closed is None else max(wanted, Month.of(closed).plus(1))
    while True:
        state = await _state(tx, month)
        if state is State.OPEN:
            # It may have been proposed meanwhile, so it is asked again under its lock.
            state = await _state(tx, month, lock=True)
            if state is State.OPEN:
                return month
        if state is None and await _add_month(tx, month):
            continue
        month = month.plus(1)


async def _state(tx: Transaction, month: Month, *, lock: bool = False) -> State | None:
    statement = sa.select(periods.c.state).where(periods.c.month == month.first_day)
    if lock:
        statement = statement.with_for_update(key_share=True)
    found = (await tx.execute(statement)).scalar_one_or_none()
    return None if found is None else State(found)


async def _add_month(tx: Transaction, month: Month) -> bool:
    """Add a month, unless one from it on was closed meanwhile."""
    closed = await lock_books(tx)
    if closed is not None and month <= closed:
        return False
    await tx.execute(insert(periods).values(month=month.first_day).on_conflict_do_nothing())
    await tx.execute(sa.update(books).values(opened_count=books.c.opened_count + 1))
    return True


async def lock_books(tx: Transaction) -> Month | None:
    """Let no month be added or change its state; the last month closed."""
    statement = sa.select(books.c.closed_through).with_for_update()
    closed = (await tx.execute(statement)).scalar_one()
    return None if closed is None else Month.of(closed)


async def get_period(tx: Transaction, month: Month, *, lock: bool = False) -> Period | None:
    """A month; None if nothing was ever posted to it. `lock` keeps postings and steps out."""
    statement = sa.select(periods).where(periods.c.month == month.first_day)
    if lock:
        statement = statement.with_for_update(key_share=True)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else _period(row)


async def list_periods(tx: Transaction, before: Month | None, size: int) -> list[Period]:
    """Months, newest first, before the one given."""
    statement = sa.select(periods).order_by(periods.c.month.desc()).limit(size)
    if before is not None:
        statement = statement.where(periods.c.month < before.first_day)
    return [_period(row) for row in await tx.execute(statement)]


async def closed(tx: Transaction) -> list[Period]:
    """All closed months, oldest first."""
    statement = (
        sa.select(periods).where(periods.c.state == State.CLOSED.value).order_by(periods.c.month)
    )
    return [_period(row) for row in await tx.execute(statement)]


async def take_step(
    tx: Transaction,
    before: Period,
    event: str,
    values: Mapping[str, Any],
    *,
    actor: str,
    now: datetime,
    reason: str = "",
) -> Period:
    """Change a month and write down who did it. The month is locked by then."""
    revision = before.revision + 1
    statement = (
        sa.update(periods)
        .where(periods.c.month == before.month.first_day, periods.c.revision == before.revision)
        .values(**values, revision=revision)
        .returning(periods)
    )
    after = _period((await tx.execute(statement)).one())
    await tx.execute(
        sa.insert(steps).values(
            month=before.month.first_day,
            revision=revision,
            event=event,
            actor=actor,
            hash=after.hash or before.hash or None,
            reason=reason,
            create_time=now,
        )
    )
    return after


async def set_closed_through(tx: Transaction, month: Month) -> None:
    """The last month closed."""
    await tx.execute(sa.update(books).values(closed_through=month.first_day))


async def earlier_open(tx: Transaction, month: Month) -> list[Month]:
    """Months before this one that have postings and are not closed."""
    statement = sa.select(periods.c.month).where(
        periods.c.month < month.first_day,
        periods.c.state != State.CLOSED.value,
        periods.c.transaction_count > 0,
    )
    return [Month.of(day) for (day,) in await tx.execute(statement)]


async def premiums_assessed(tx: Transaction, month: Month) -> bool:
    """Whether premiums of this month or a later one have been posted."""
    statement = sa.select(
        sa.exists().where(
            transactions.c.kind == TransactionKind.PREMIUM_ASSESSED.value,
            transactions.c.accounting_date >= month.first_day,
        )
    )
    return bool((await tx.execute(statement)).scalar_one())


async def books_of(tx: Transaction, month: Month, window: int) -> Books:
    """What the settlement of a month rests on, `window` months of cells included.

    Kept totals make this cost follow the number of pooling areas and months, not of postings.
    """
    return Books(
        month=month,
        totals=await _totals(tx, month),
        openings=await _openings(tx, month),
        window=await _cells(tx, month.plus(1 - window), month),
    )


async def recount(tx: Transaction, last: Month | None = None) -> dict[Month, list[Total]]:
    """The totals of every month up to the last one, added up from the postings in one pass."""
    key = (postings.c.month, postings.c.pooling_area, postings.c.account, postings.c.industry)
    digest = sa.func.digest_of(
        postings.c.transaction_id,
        postings.c.line,
        postings.c.account,
        postings.c.industry,
        postings.c.amount_fen,
        postings.c.quantity,
    )
    statement = sa.select(
        *key,
        sa.func.sum(postings.c.amount_fen).label("amount_fen"),
        sa.func.sum(postings.c.quantity).label("quantity"),
        sa.func.count().label("posting_count"),
        sa.func.sum(digest).label("digest"),
    ).group_by(*key)
    if last is not None:
        statement = statement.where(postings.c.month <= last.first_day)
    found: dict[Month, list[Total]] = {}
    for row in await tx.execute(statement):
        found.setdefault(Month.of(row.month), []).append(_total(row))
    return found


async def _totals(tx: Transaction, month: Month) -> tuple[Total, ...]:
    statement = (
        sa.select(totals)
        .where(
            totals.c.month == month.first_day,
            totals.c.account.not_in([account.value for account in EQUALISATION_ACCOUNTS]),
        )
        .order_by(totals.c.pooling_area, totals.c.account, totals.c.industry)
    )
    return tuple(_total(row) for row in await tx.execute(statement))


async def _openings(tx: Transaction, month: Month) -> dict[str, Fen]:
    """Each area's balance before the month: what all earlier months left. A credit is positive."""
    statement = (
        sa.select(totals.c.pooling_area, -sa.func.sum(totals.c.amount_fen))
        .where(
            totals.c.month < month.first_day,
            totals.c.account.in_([account.value for account in RESULT_ACCOUNTS]),
        )
        .group_by(totals.c.pooling_area)
        .order_by(totals.c.pooling_area)
    )
    return {area: Fen(int(amount)) for area, amount in await tx.execute(statement)}


async def _cells(tx: Transaction, first: Month, last: Month) -> dict[Industry, Cell]:
    statement = (
        sa.select(
            totals.c.account,
            totals.c.industry,
            sa.func.sum(totals.c.amount_fen).label("amount_fen"),
            sa.func.sum(totals.c.quantity).label("quantity"),
        )
        .where(
            totals.c.month.between(first.first_day, last.first_day),
            totals.c.account.in_([account.value for account in CELL_ACCOUNTS]),
            totals.c.industry != Industry.NONE.value,
        )
        .group_by(totals.c.account, totals.c.industry)
    )
    cells = {industry: Cell() for industry in CELLS}
    for row in await tx.execute(statement):
        amount, quantity = Fen(int(row.amount_fen)), int(row.quantity)
        cells[Industry(row.industry)] += cell_of(Account(row.account), amount, quantity)
    return cells


def _total(row: sa.Row[Any]) -> Total:
    return Total(
        row.pooling_area,
        Account(row.account),
        Industry(row.industry),
        Fen(int(row.amount_fen)),
        int(row.quantity),
        row.posting_count,
        int(row.digest),
    )


def proposal(
    text: str, digest: bytes, findings: Sequence[Mapping[str, Any]], proposer: str, now: datetime
) -> dict[str, Any]:
    """The columns of a proposal."""
    return {
        "state": State.PROPOSED.value,
        "figures": text,
        "hash": digest,
        "findings": list(findings),
        "proposer": proposer,
        "propose_time": now,
    }


NO_PROPOSAL: Mapping[str, Any] = {
    "state": State.OPEN.value,
    "figures": None,
    "hash": None,
    "findings": sa.null(),
    "proposer": None,
    "propose_time": None,
    "approver": None,
    "approved_hash": None,
    "approve_time": None,
}


def _period(row: sa.Row[Any]) -> Period:
    first: date = row.month
    return Period(
        month=Month.of(first),
        state=State(row.state),
        revision=row.revision,
        transaction_count=row.transaction_count,
        text=row.figures or "",
        hash=bytes(row.hash or b""),
        proposer=row.proposer or "",
        propose_time=row.propose_time,
        approver=row.approver or "",
        approved_hash=bytes(row.approved_hash or b""),
        close_time=row.close_time,
        findings=findings_from_json(row.findings or ()),
    )
