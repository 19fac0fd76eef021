"""Months, their state and the steps of their settlement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.fund.domain.settlement import Settlement, State
from services.fund.store.tables import books, periods, steps
from services.kernel.law import Finding
from services.kernel.periods import Month
from services.runtime.rpc.wire import findings_from_json, findings_to_json
from services.runtime.storage.database import Transaction

# The key of the advisory lock that all postings share.
POSTING = sa.func.hashtextextended("oip fund posting", 0)


@dataclass(frozen=True)
class Period:
    """A month (结算期). The canonical text, hash and proposer are set from the proposal on."""

    month: Month
    state: State
    revision: int
    transaction_count: int
    text: str = ""
    hash: bytes = b""
    proposer: str = ""
    # The person of the staff register who proposed it, under whatever account.
    proposer_member: str = ""
    propose_time: datetime | None = None
    approver: str = ""
    approved_hash: bytes = b""
    close_time: datetime | None = None
    findings: tuple[Finding, ...] = ()


async def lock_postings(tx: Transaction) -> None:
    """Wait for running postings and block new ones until the transaction ends.

    A step of a settlement runs while another transaction holds this lock, so that its snapshot is
    taken between postings and a busy ledger does not force repeated attempts. Correct figures do
    not depend on this lock but on the row of the month, which every posting changes.
    """
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(POSTING)))


async def lock_open_month(tx: Transaction, first: Month) -> Month:
    """The earliest open month from `first` on, which stays open until the transaction ends.

    A month is added when first needed, but none before a closed one.
    """
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(POSTING)))
    closed = await find_closed_through(tx)
    month = first if closed is None else max(first, closed.plus(1))
    while True:
        state = await _state(tx, month)
        if state is State.OPEN:
            # It may have been proposed meanwhile, so the state is read again under its lock.
            state = await _state(tx, month, lock=True)
            if state is State.OPEN:
                return month
        if state is None and await insert_month(tx, month):
            continue
        month = month.plus(1)


async def _state(tx: Transaction, month: Month, *, lock: bool = False) -> State | None:
    statement = sa.select(periods.c.state).where(periods.c.month == month.first_day)
    if lock:
        statement = statement.with_for_update(key_share=True)
    number = (await tx.execute(statement)).scalar_one_or_none()
    return None if number is None else State(number)


async def insert_month(tx: Transaction, month: Month) -> bool:
    """Add a month, unless it or a later month was closed meanwhile."""
    closed = await lock_books(tx)
    if closed is not None and month <= closed:
        return False
    await tx.execute(insert(periods).values(month=month.first_day).on_conflict_do_nothing())
    await tx.execute(sa.update(books).values(opened_count=books.c.opened_count + 1))
    return True


async def lock_books(tx: Transaction) -> Month | None:
    """The last closed month; until the transaction ends no month is added or changes its state."""
    statement = sa.select(books.c.closed_through).with_for_update()
    closed = (await tx.execute(statement)).scalar_one()
    return None if closed is None else Month.of(closed)


async def find(tx: Transaction, month: Month, *, lock: bool = False) -> Period | None:
    """A month; None if nothing was ever posted to it. `lock` blocks postings and steps."""
    statement = sa.select(periods).where(periods.c.month == month.first_day)
    if lock:
        statement = statement.with_for_update(key_share=True)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else _period(row)


async def list_page(tx: Transaction, before: Month | None, size: int) -> list[Period]:
    """Months, newest first, before the month `before`."""
    statement = sa.select(periods).order_by(periods.c.month.desc()).limit(size)
    if before is not None:
        statement = statement.where(periods.c.month < before.first_day)
    return [_period(row) for row in await tx.execute(statement)]


async def list_closed(tx: Transaction) -> list[Period]:
    """All closed months, oldest first."""
    statement = (
        sa.select(periods).where(periods.c.state == State.CLOSED.value).order_by(periods.c.month)
    )
    return [_period(row) for row in await tx.execute(statement)]


async def update(
    tx: Transaction,
    before: Period,
    event: str,
    state: State,
    values: Mapping[str, Any],
    *,
    actor: str,
    now: datetime,
    reason: str = "",
) -> Period:
    """Change a locked month to a state and record the step with its actor."""
    revision = before.revision + 1
    statement = (
        sa.update(periods)
        .where(periods.c.month == before.month.first_day, periods.c.revision == before.revision)
        .values(state=state.value, revision=revision, **values)
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


async def update_closed_through(tx: Transaction, month: Month) -> None:
    """Set the last closed month."""
    await tx.execute(sa.update(books).values(closed_through=month.first_day))


async def find_closed_through(tx: Transaction) -> Month | None:
    """The last closed month; None before the first."""
    closed = (await tx.execute(sa.select(books.c.closed_through))).scalar_one()
    return None if closed is None else Month.of(closed)


async def list_earlier_open(tx: Transaction, month: Month) -> list[Month]:
    """Earlier months that are not closed and have postings or are proposed."""
    statement = sa.select(periods.c.month).where(
        periods.c.month < month.first_day,
        periods.c.state != State.CLOSED.value,
        sa.or_(periods.c.transaction_count > 0, periods.c.state != State.OPEN.value),
    )
    return [Month.of(day) for (day,) in await tx.execute(statement)]


def proposal(
    settlement: Settlement, findings: Sequence[Finding], proposer: tuple[str, str], now: datetime
) -> dict[str, Any]:
    """The columns of a proposal; `proposer` is the account and the person."""
    return {
        "figures": settlement.text,
        "hash": settlement.hash,
        "findings": findings_to_json(findings),
        "proposer": proposer[0],
        "proposer_member": proposer[1],
        "propose_time": now,
    }


def approval(digest: bytes, approver: tuple[str, str], now: datetime) -> dict[str, Any]:
    """The columns of an approval; `approver` is the account and the person."""
    account, member = approver
    return {
        "approved_hash": digest,
        "approver": account,
        "approver_member": member,
        "approve_time": now,
    }


# The columns after a withdrawal.
NO_PROPOSAL: Mapping[str, Any] = {
    "figures": None,
    "hash": None,
    "findings": sa.null(),
    "proposer": None,
    "proposer_member": None,
    "propose_time": None,
    "approver": None,
    "approver_member": None,
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
        proposer_member=row.proposer_member or "",
        propose_time=row.propose_time,
        approver=row.approver or "",
        approved_hash=bytes(row.approved_hash or b""),
        close_time=row.close_time,
        findings=findings_from_json(row.findings or ()),
    )
