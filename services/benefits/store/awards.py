"""Awards with their rates and suspensions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from services.benefits.domain.award import Award, State
from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.reconciliation import PaidAward
from services.benefits.domain.segments import Segment
from services.benefits.store.tables import (
    awards,
    awards_to_backfill,
    month_of,
    month_or_none,
    number_of,
    payments,
    rates,
    recoveries,
    suspensions,
)
from services.kernel.money import ZERO, Fen
from services.kernel.periods import Month
from services.runtime.rpc.wire import findings_from_json, findings_to_json
from services.runtime.storage.database import Transaction

_EFFECTIVE = sa.or_(rates.c.until_month.is_(None), rates.c.until_month > rates.c.since_month)


async def find(tx: Transaction, award: str) -> Award | None:
    """One award with its rates and findings."""
    statement = sa.select(awards).where(awards.c.id == award)
    rows = await _with_rates(tx, (await tx.execute(statement)).all())
    return rows[0] if rows else None


async def list_awards(
    tx: Transaction, claim: str, after: tuple[str, str] | tuple[()], size: int
) -> list[Award]:
    """Awards by claim and id, of one claim or of all, after a claim and an id."""
    key = sa.tuple_(awards.c.claim, awards.c.id)
    statement = sa.select(awards).order_by(awards.c.claim, awards.c.id).limit(size)
    if claim:
        statement = statement.where(awards.c.claim == claim)
    if after:
        statement = statement.where(key > sa.tuple_(*map(sa.literal, after)))
    return await _with_rates(tx, (await tx.execute(statement)).all())


async def list_paid_awards(tx: Transaction, claim: str) -> list[PaidAward]:
    """The awards of a claim with the payments of each by month, and the sums to recover."""
    rows = (
        await tx.execute(sa.select(awards).where(awards.c.claim == claim).order_by(awards.c.number))
    ).all()
    numbers = [row.number for row in rows]
    paid: dict[int, dict[Month, Fen]] = defaultdict(dict)
    withheld: dict[int, Fen] = defaultdict(lambda: ZERO)
    statement = sa.select(payments).where(payments.c.number.in_(numbers))
    for row in await tx.execute(statement):
        paid[row.number][month_of(row.month)] = Fen(row.amount_fen + row.withheld_fen)
        withheld[row.number] += Fen(row.withheld_fen)
    marked: dict[str, tuple[Fen, int]] = defaultdict(lambda: (ZERO, 0))
    count, amount = sa.func.count(), sa.func.sum(recoveries.c.amount_fen)
    for award_id, sum_, times in await tx.execute(
        sa.select(recoveries.c.award, amount, count)
        .where(recoveries.c.award.in_([row.id for row in rows]))
        .group_by(recoveries.c.award)
    ):
        marked[award_id] = Fen(int(sum_)), times
    return [
        PaidAward(award, paid[row.number], *marked[award.id], withheld[row.number])
        for row, award in zip(rows, await _with_rates(tx, rows), strict=True)
    ]


async def insert(tx: Transaction, granted: Iterable[Award], now: datetime) -> None:
    """Add awards with their rates; the next run checks all their months."""
    for award in granted:
        statement = sa.insert(awards).values(
            id=award.id,
            claim=award.claim,
            kind=award.kind.value,
            beneficiary=award.beneficiary,
            amount_fen=award.amount.count,
            adjusts=award.adjusts,
            create_time=now,
            **_changing(award),
        )
        number = (await tx.execute(statement.returning(awards.c.number))).scalar_one()
        await _add_rates(tx, number, 0, award, now)
        await _mark_for_backfill(tx, number)


async def update(tx: Transaction, award: Award, now: datetime) -> None:
    """Store the changed award; replaced rates stay on record, emptied."""
    number = (
        await tx.execute(
            sa.update(awards)
            .where(awards.c.id == award.id, awards.c.revision == award.revision - 1)
            .values(**_changing(award))
            .returning(awards.c.number)
        )
    ).scalar_one()
    rows = (
        await tx.execute(
            sa.select(rates).where(rates.c.number == number).order_by(rates.c.sequence)
        )
    ).all()
    area = (award.pooling_area, award.industry)
    effective = [
        (row.since_month, row.until_month, row.amount_fen, row.pooling_area, row.industry)
        for row in rows
        if _is_effective(row)
    ]
    if effective != [(*period[:3], *area) for period in _periods(award)]:
        await tx.execute(
            sa.update(rates)
            .where(rates.c.number == number, _EFFECTIVE)
            .values(until_month=rates.c.since_month)
        )
        await _add_rates(tx, number, max((row.sequence for row in rows), default=0), award, now)
    await _mark_for_backfill(tx, number)


async def insert_suspension(
    tx: Transaction, award: str, first_month: Month, reason: str, now: datetime
) -> None:
    """Stop payment from a month on; a repeat for the same month replaces the reason."""
    number = await _number(tx, award)
    statement = postgresql.insert(suspensions).values(
        number=number,
        first_month=number_of(first_month),
        reason=reason,
        create_time=now,
    )
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["number", "first_month"],
            set_={"resume_month": None, "reason": reason},
        )
    )


async def find_open_suspension(tx: Transaction, award: str) -> Month | None:
    """The first unpaid month of the open suspension; None without one."""
    number = await _number(tx, award)
    statement = sa.select(suspensions.c.first_month).where(
        suspensions.c.number == number, suspensions.c.resume_month.is_(None)
    )
    return month_or_none((await tx.execute(statement)).scalar_one_or_none())


async def update_suspension(tx: Transaction, award: str, resume_month: Month) -> None:
    """End the open suspension from a month on; the next run checks the months since."""
    number = await _number(tx, award)
    await tx.execute(
        sa.update(suspensions)
        .where(suspensions.c.number == number, suspensions.c.resume_month.is_(None))
        .values(resume_month=number_of(resume_month))
    )
    await _mark_for_backfill(tx, number)


async def _number(tx: Transaction, award: str) -> int:
    statement = sa.select(awards.c.number).where(awards.c.id == award)
    return int((await tx.execute(statement)).scalar_one())


async def _mark_for_backfill(tx: Transaction, number: int) -> None:
    statement = postgresql.insert(awards_to_backfill).values(number=number)
    await tx.execute(statement.on_conflict_do_nothing())


async def _add_rates(tx: Transaction, number: int, after: int, award: Award, now: datetime) -> None:
    rows = [
        {
            "number": number,
            "sequence": after + index,
            "since_month": since,
            "until_month": until,
            "amount_fen": amount,
            "kind": award.kind.value,
            "industry": award.industry,
            "pooling_area": award.pooling_area,
            "reason": reason,
            "create_time": now,
        }
        for index, (since, until, amount, reason) in enumerate(_periods(award), 1)
    ]
    if rows:
        await tx.execute(sa.insert(rates), rows)


def _periods(award: Award) -> list[tuple[int, int | None, int, str]]:
    """The award's rates as rows: since, until, fen, reason; the last ends with the award."""
    end = None if award.last_month is None else number_of(award.last_month) + 1
    starts = [number_of(segment.since) for segment in award.segments]
    ends = [*starts[1:], end]
    return [
        (since, until, segment.amount.count, segment.reason)
        for since, until, segment in zip(starts, ends, award.segments, strict=bool(starts))
        if until is None or since < until
    ]


async def _with_rates(tx: Transaction, rows: Sequence[sa.Row[Any]]) -> list[Award]:
    segments: dict[int, list[sa.Row[Any]]] = defaultdict(list)
    statement = (
        sa.select(rates)
        .where(rates.c.number.in_([row.number for row in rows]), _EFFECTIVE)
        .order_by(rates.c.number, rates.c.since_month)
    )
    for rate in await tx.execute(statement):
        segments[rate.number].append(rate)
    return [_award(row, _segments(segments[row.number])) for row in rows]


def _award(row: sa.Row[Any], segments: tuple[Segment, ...]) -> Award:
    return Award(
        id=row.id,
        claim=row.claim,
        kind=BenefitKind(row.kind),
        beneficiary=row.beneficiary,
        state=State(row.state),
        amount=Fen(row.amount_fen),
        first_month=month_of(row.first_month),
        last_month=month_or_none(row.last_month),
        pooling_area=row.pooling_area,
        industry=row.industry,
        event_date=row.event_date,
        segments=segments,
        findings=findings_from_json(row.findings),
        provisional=row.provisional,
        adjusts=row.adjusts,
        stop_month=month_or_none(row.stop_month),
        create_time=row.create_time,
        revision=row.revision,
    )


def _changing(award: Award) -> dict[str, Any]:
    last, stop = award.last_month, award.stop_month
    return {
        "state": award.state.value,
        "first_month": number_of(award.first_month),
        "last_month": None if last is None else number_of(last),
        "stop_month": None if stop is None else number_of(stop),
        "pooling_area": award.pooling_area,
        "industry": award.industry,
        "event_date": award.event_date,
        "findings": findings_to_json(award.findings),
        "provisional": award.provisional,
        "revision": award.revision,
    }


def _segments(rows: Iterable[sa.Row[Any]]) -> tuple[Segment, ...]:
    return tuple(
        Segment(month_of(row.since_month), Fen(row.amount_fen), row.reason) for row in rows
    )


def _is_effective(row: sa.Row[Any]) -> bool:
    return row.until_month is None or bool(row.until_month > row.since_month)
