"""Accidents, and what people said about which filings belong to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import Range

from services.claims.domain.accidents import (
    Accident,
    AccidentAnswer,
    AnswerCode,
    Contest,
    FilingAnswer,
    Reasons,
    Window,
)
from services.claims.store import ciphers
from services.claims.store.tables import accidents, answers, contests
from services.runtime.storage import data_keys, revisions
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction

_LOCK_PERSON = sa.text(
    "select pg_advisory_xact_lock(hashtextextended('accidents of ' || cast(:worker as text), 0))"
)


async def lock_person(tx: Transaction, worker: int) -> None:
    """Let one transaction at a time say what the accidents of a person are."""
    await tx.execute(_LOCK_PERSON, {"worker": worker})


async def insert(tx: Transaction, accident: Accident) -> None:
    """Add an accident; the database refuses one whose window overlaps one of the same number."""
    await tx.execute(
        sa.insert(accidents).values(
            accident_id=accident.id,
            worker=accident.worker,
            claim_id=accident.filing_id,
            accident_time=accident.accident_time,
            place_of_injury=accident.place_of_injury,
            time_window=_range(accident.window),
            number=accident.number,
            create_time=accident.create_time,
            merged_into=accident.merged_into,
        )
    )


async def update_merged_into(tx: Transaction, accident_id: str, surviving_id: str) -> None:
    """End a standing accident, and what is part of it: they turned out to be another one."""
    await tx.execute(
        sa.update(accidents)
        .where(
            sa.or_(accidents.c.accident_id == accident_id, accidents.c.merged_into == accident_id)
        )
        .values(merged_into=surviving_id)
    )


async def update(tx: Transaction, accident: Accident) -> bool:
    """Save an accident's number and what it is part of; False if there is no such accident."""
    updated = await tx.execute(
        sa.update(accidents)
        .where(accidents.c.accident_id == accident.id)
        .values(number=accident.number, merged_into=accident.merged_into)
    )
    return updated.rowcount == 1


async def get_of_claim(tx: Transaction, claim_id: str) -> Accident:
    """The standing accident of a claim, which must have one."""
    statement = _with_standing().where(accidents.c.claim_id == claim_id)
    return _accident((await tx.execute(statement)).one())


async def find_near(tx: Transaction, worker: int, window: Window) -> list[Accident]:
    """The accidents of a person whose windows overlap a window, by time.

    They include those that the transaction's platform may not see a claim of: whether two filings
    are about one accident does not depend on who asks.
    """
    statement = (
        _with_standing()
        .where(
            accidents.c.worker == worker,
            accidents.c.time_window.overlaps(_range(window)),
        )
        .order_by(accidents.c.accident_time, accidents.c.accident_id)
    )
    near = [_accident(row) for row in await tx.execute(statement)]
    revisions.note(f"workers/{worker}/accidents", near)
    return near


async def list_standing(
    tx: Transaction, worker: int | None, *, after: tuple[datetime, str] | tuple[()], size: int
) -> list[Accident]:
    """Standing accidents after a key (time, id), latest first; of one person if one is named."""
    time, accident_id = accidents.c.accident_time, accidents.c.accident_id
    statement = (
        _with_standing()
        .where(accidents.c.merged_into == "")
        .order_by(time.desc(), accident_id.desc())
        .limit(size)
    )
    if worker is not None:
        statement = statement.where(accidents.c.worker == worker)
    if after:
        key = sa.tuple_(time, accident_id)
        statement = statement.where(key < sa.tuple_(*(sa.literal(part) for part in after)))
    return [_accident(row) for row in await tx.execute(statement)]


async def insert_answer(tx: Transaction, cipher: ColumnCipher, answer: FilingAnswer) -> None:
    """Add an answer; its words are encrypted."""
    context = _reason_context("answer", answer.claim_id, answer.number)
    cipher = await ciphers.get_of_claim(tx, cipher, answer.claim_id)
    await tx.execute(
        sa.insert(answers).values(
            claim_id=answer.claim_id,
            number=answer.number,
            answer=answer.answer.value,
            other_claim=answer.other_claim,
            code=answer.reasons.code.value,
            reason=cipher.encrypt(answer.reasons.text, context),
            answered_by=answer.adjudicator,
            create_time=answer.create_time,
        )
    )


async def insert_contest(
    tx: Transaction, cipher: ColumnCipher, contest: Contest, number: int, contested_by: str
) -> None:
    """Add a contest, the filing's `number`th; its words are encrypted."""
    context = _reason_context("contest", contest.claim_id, number)
    cipher = await ciphers.get_of_claim(tx, cipher, contest.claim_id)
    await tx.execute(
        sa.insert(contests).values(
            claim_id=contest.claim_id,
            number=number,
            answer_count=contest.answer_count,
            reason=cipher.encrypt(contest.reason, context),
            contested_by=contested_by,
            create_time=contest.create_time,
        )
    )


async def find_answers(
    tx: Transaction, cipher: ColumnCipher, claim_ids: Iterable[str]
) -> Mapping[str, tuple[FilingAnswer, ...]]:
    """The answers on filings, oldest first, by claim id."""
    statement = (
        sa.select(answers)
        .where(answers.c.claim_id.in_(list(claim_ids)))
        .order_by(answers.c.claim_id, answers.c.number)
    )
    by_claim: defaultdict[str, tuple[FilingAnswer, ...]] = defaultdict(tuple)
    rows = (await tx.execute(statement)).all()
    cipher = await data_keys.for_rows(tx, cipher, rows)
    for row in rows:
        context = _reason_context("answer", row.claim_id, row.number)
        by_claim[row.claim_id] += (
            FilingAnswer(
                claim_id=row.claim_id,
                number=row.number,
                answer=AccidentAnswer(row.answer),
                other_claim=row.other_claim,
                reasons=Reasons(AnswerCode(row.code), cipher.show(bytes(row.reason), context)),
                adjudicator=row.answered_by,
                create_time=row.create_time,
            ),
        )
    return by_claim


async def find_contests(
    tx: Transaction, cipher: ColumnCipher, claim_ids: Iterable[str]
) -> Mapping[str, tuple[Contest, ...]]:
    """The contests of filings, oldest first, by claim id."""
    statement = (
        sa.select(contests)
        .where(contests.c.claim_id.in_(list(claim_ids)))
        .order_by(contests.c.claim_id, contests.c.number)
    )
    by_claim: defaultdict[str, tuple[Contest, ...]] = defaultdict(tuple)
    rows = (await tx.execute(statement)).all()
    cipher = await data_keys.for_rows(tx, cipher, rows)
    for row in rows:
        context = _reason_context("contest", row.claim_id, row.number)
        reason = cipher.show(bytes(row.reason), context)
        contest = Contest(row.claim_id, row.answer_count, reason, row.create_time)
        by_claim[row.claim_id] += (contest,)
    return by_claim


def _with_standing() -> sa.Select[Any]:
    """Accidents, each with the claim about the standing accident."""
    standing = accidents.alias("standing")
    whole = sa.case(
        (accidents.c.merged_into == "", accidents.c.claim_id), else_=standing.c.claim_id
    )
    return sa.select(accidents, whole.label("whole_claim_id")).outerjoin(
        standing, standing.c.accident_id == accidents.c.merged_into
    )


def _range(window: Window) -> Range[datetime]:
    return Range(window.start, window.end, bounds="[)")


def _accident(row: sa.Row[Any]) -> Accident:
    return Accident(
        id=row.accident_id,
        worker=row.worker,
        filing_id=row.claim_id,
        claim_id=row.whole_claim_id,
        accident_time=row.accident_time,
        place_of_injury=row.place_of_injury,
        window=Window(row.time_window.lower, row.time_window.upper),
        number=row.number,
        create_time=row.create_time,
        merged_into=row.merged_into,
    )


def _reason_context(kind: str, claim_id: str, number: int) -> str:
    return f"claims:{claim_id}:{number}:{kind}"
