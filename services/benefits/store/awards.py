"""Awards with their rates and suspensions."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from services.benefits.domain.award import Award, State
from services.benefits.domain.figures import AwaitedFigure
from services.benefits.domain.kinds import EXPENSES, PER_PERSON, BenefitKind
from services.benefits.domain.reconciliation import PaidAward
from services.benefits.domain.segments import Segment
from services.benefits.store.tables import (
    awards,
    awards_to_backfill,
    claims_of_case,
    kind_numbers,
    month_of,
    month_or_none,
    number_of,
    payments,
    rates,
    recoveries,
    suspensions,
)
from services.benefits.store.true_ups import numbers_waiting
from services.kernel.money import ZERO, Fen
from services.kernel.periods import Month
from services.runtime.rpc.wire import findings_from_json, findings_to_json
from services.runtime.storage import data_keys, listing
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction

# Of an award whose law is not known yet; see law_bases.py.
EMPTY_BASIS = 0
_EFFECTIVE = sa.or_(rates.c.until_month.is_(None), rates.c.until_month > rates.c.since_month)


async def find(tx: Transaction, cipher: ColumnCipher, award: str) -> Award | None:
    """One award with its rates and findings."""
    statement = sa.select(awards).where(awards.c.id == award)
    rows = await _with_rates(tx, cipher, (await tx.execute(statement)).all())
    return rows[0] if rows else None


@dataclass(frozen=True)
class AwardFilter:
    """Which awards to list; what is empty does not filter. A claim stands for its case."""

    claim: str = ""
    worker: str = ""
    kinds: tuple[BenefitKind, ...] = ()
    states: tuple[State, ...] = ()
    newest_first: bool = False


async def list_awards(
    tx: Transaction, cipher: ColumnCipher, chosen: AwardFilter, after: Sequence[Any], size: int
) -> list[Award]:
    """Awards after a key: by claim and id, or newest first by time of creation and id."""
    first = awards.c.create_time if chosen.newest_first else awards.c.claim
    statement = listing.page_of_rows(
        _matching(chosen), (first, awards.c.id), after, size, newest_first=chosen.newest_first
    )
    return await _with_rates(tx, cipher, (await tx.execute(statement)).all())


async def list_provisional(
    tx: Transaction,
    cipher: ColumnCipher,
    pooling_area: str,
    figures: Sequence[str] | None,
    *,
    after: tuple[str] | tuple[()],
    size: int,
) -> list[Award]:
    """Awards that wait for a figure, by id, after an id; of all areas, or of one.

    With figures only those that wait for one of them.
    """
    statement = (
        sa.select(awards)
        .where(sa.func.cardinality(awards.c.awaits) > 0)
        .order_by(awards.c.id)
        .limit(size)
    )
    if pooling_area:
        statement = statement.where(awards.c.pooling_area == pooling_area)
    if figures is not None:
        statement = statement.where(awards.c.number.in_(numbers_waiting(figures)))
    if after:
        statement = statement.where(awards.c.id > after[0])
    return await _with_rates(tx, cipher, (await tx.execute(statement)).all())


async def count_awards(tx: Transaction, chosen: AwardFilter) -> int:
    """The number of awards."""
    return await listing.count_rows(tx, _matching(chosen))


def _matching(chosen: AwardFilter) -> sa.Select[Any]:
    statement = sa.select(awards)
    if chosen.claim:
        statement = statement.where(awards.c.claim.in_(claims_of_case(chosen.claim)))
    if chosen.worker:
        statement = statement.where(awards.c.worker == chosen.worker)
    if chosen.kinds:
        statement = statement.where(awards.c.kind.in_([kind.value for kind in chosen.kinds]))
    if chosen.states:
        statement = statement.where(awards.c.state.in_([state.value for state in chosen.states]))
    return statement


async def list_paid_awards(tx: Transaction, cipher: ColumnCipher, worker: str) -> list[PaidAward]:
    """The awards of a worker with the payments of each by month, and the sums to recover."""
    statement = sa.select(awards).where(awards.c.worker == worker).order_by(awards.c.number)
    rows = (await tx.execute(statement)).all()
    numbers = [row.number for row in rows]
    paid: dict[int, dict[Month, Fen]] = defaultdict(dict)
    withheld: dict[int, Fen] = defaultdict(lambda: ZERO)
    for row in await tx.execute(sa.select(payments).where(payments.c.number.in_(numbers))):
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
    suspended = set((await tx.execute(_open_suspensions(numbers))).scalars())
    return [
        PaidAward(
            award,
            paid[row.number],
            *marked[award.id],
            withheld[row.number],
            is_suspended=row.number in suspended,
        )
        for row, award in zip(rows, await _with_rates(tx, cipher, rows), strict=True)
    ]


async def insert(
    tx: Transaction, cipher: ColumnCipher, granted: Iterable[Award], now: datetime
) -> None:
    """Add awards with their rates; the next run checks all their months."""
    for award in granted:
        of_worker = await data_keys.of_person(tx, cipher, award.worker)
        statement = sa.insert(awards).values(
            id=award.id,
            claim=award.claim,
            kind=award.kind.value,
            beneficiary=award.beneficiary,
            amount_fen=award.amount.count,
            adjusts=award.adjusts,
            create_time=now,
            **_changing(of_worker, award),
        )
        number = (await tx.execute(statement.returning(awards.c.number))).scalar_one()
        # A correction rests on the law of what it corrects.
        basis = await _find_basis(tx, award.adjusts) if award.adjusts else EMPTY_BASIS
        await _add_rates(tx, number, 0, award, now, basis=basis)
        await insert_backfill(tx, number)


async def update(tx: Transaction, cipher: ColumnCipher, award: Award, now: datetime) -> None:
    """Store the changed award; replaced rates stay on record, emptied."""
    of_worker = await data_keys.of_person(tx, cipher, award.worker)
    number = (
        await tx.execute(
            sa.update(awards)
            .where(awards.c.id == award.id, awards.c.revision == award.revision - 1)
            .values(**_changing(of_worker, award))
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
        after = max((row.sequence for row in rows), default=0)
        basis = rows[-1].basis if rows else EMPTY_BASIS
        await _add_rates(tx, number, after, award, now, basis=basis)
    # Its corrections belong to the same accident.
    await tx.execute(
        sa.update(awards)
        .where(awards.c.worker == award.worker, awards.c.adjusts == award.id)
        .where(awards.c.accident != award.accident)
        .values(accident=award.accident)
    )
    await insert_backfill(tx, number)


async def update_accident(tx: Transaction, claim: str, worker: str, accident: str) -> None:
    """Let the awards that a claim granted count for an accident of a worker.

    Where the accident has an award of the kind, that one carries on, and the other is merged into
    it; the awards of bills stay as they are.
    """
    await tx.execute(
        sa.text(
            "update award m set worker = :worker, accident = :accident, merged_into ="
            " case when m.adjusts <> '' or m.kind = any(:expenses) then '' else coalesce(("
            "  select s.id from award s where s.worker = :worker and s.claim <> :claim"
            "  and (s.accident = :accident or s.kind = any(:per_person))"
            "  and s.kind = m.kind and s.beneficiary = m.beneficiary"
            "  and s.adjusts = '' and s.merged_into = ''), m.merged_into) end"
            " where m.claim = :claim and (m.worker, m.accident) <> (:worker, :accident)"
        ),
        {
            "claim": claim,
            "worker": worker,
            "accident": accident,
            "expenses": kind_numbers(EXPENSES),
            "per_person": kind_numbers(PER_PERSON),
        },
    )


def _open_suspensions(numbers: Sequence[int]) -> sa.Select[tuple[int]]:
    return sa.select(suspensions.c.number).where(
        suspensions.c.number.in_(numbers), suspensions.c.resume_month.is_(None)
    )


async def insert_backfill(tx: Transaction, number: int) -> None:
    """Let the next run check the months up to the last run, too."""
    statement = postgresql.insert(awards_to_backfill).values(number=number)
    await tx.execute(statement.on_conflict_do_nothing())


async def _find_basis(tx: Transaction, award: str) -> int:
    """The basis of law of an award's newest rate."""
    statement = (
        sa.select(rates.c.basis)
        .join(awards, awards.c.number == rates.c.number)
        .where(awards.c.id == award)
        .order_by(rates.c.sequence.desc())
        .limit(1)
    )
    return (await tx.execute(statement)).scalar_one_or_none() or EMPTY_BASIS


async def _add_rates(
    tx: Transaction, number: int, after: int, award: Award, now: datetime, *, basis: int
) -> None:
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
            "basis": basis,
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


async def _with_rates(
    tx: Transaction, cipher: ColumnCipher, rows: Sequence[sa.Row[Any]]
) -> list[Award]:
    cipher = await data_keys.for_rows(tx, cipher, rows)
    segments: dict[int, list[sa.Row[Any]]] = defaultdict(list)
    statement = (
        sa.select(rates)
        .where(rates.c.number.in_([row.number for row in rows]), _EFFECTIVE)
        .order_by(rates.c.number, rates.c.since_month)
    )
    for rate in await tx.execute(statement):
        segments[rate.number].append(rate)
    return [_award(cipher, row, _segments(segments[row.number])) for row in rows]


def _award(cipher: ColumnCipher, row: sa.Row[Any], segments: tuple[Segment, ...]) -> Award:
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
        findings=findings_from_json(
            json.loads(cipher.show(row.findings, _findings_context(row.id), erased="[]"))
        ),
        awaits=tuple(map(AwaitedFigure.parse, row.awaits)),
        adjusts=row.adjusts,
        stop_month=month_or_none(row.stop_month),
        create_time=row.create_time,
        revision=row.revision,
        worker=row.worker,
        accident=row.accident,
        merged_into=row.merged_into,
        is_reversed=row.reversed,
        is_erased=cipher.is_erased(row.findings),
    )


def _changing(cipher: ColumnCipher, award: Award) -> dict[str, Any]:
    last, stop = award.last_month, award.stop_month
    findings = json.dumps(findings_to_json(award.findings), ensure_ascii=False)
    return {
        "state": award.state.value,
        "first_month": number_of(award.first_month),
        "last_month": None if last is None else number_of(last),
        "stop_month": None if stop is None else number_of(stop),
        "pooling_area": award.pooling_area,
        "industry": award.industry,
        "event_date": award.event_date,
        "findings": cipher.encrypt(findings, _findings_context(award.id)),
        "awaits": list(map(str, award.awaits)),
        "revision": award.revision,
        "worker": award.worker,
        "accident": award.accident,
        "merged_into": award.merged_into,
        "reversed": award.is_reversed,
    }


def _findings_context(award: str) -> str:
    return f"award/{award}/findings"


def _segments(rows: Iterable[sa.Row[Any]]) -> tuple[Segment, ...]:
    return tuple(
        Segment(month_of(row.since_month), Fen(row.amount_fen), row.reason) for row in rows
    )


def _is_effective(row: sa.Row[Any]) -> bool:
    return row.until_month is None or bool(row.until_month > row.since_month)
