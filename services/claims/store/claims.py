"""Claims and their stays: rows in, values out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.claims.domain.claim import Claim, ClaimantKind, ClaimState, Enrolment, Situation
from services.claims.domain.time_limits import Pause, Step, StepClock, TimeLimit, Unit
from services.claims.store import ciphers
from services.claims.store.tables import claims, stays
from services.kernel.law import ParameterVersion, Tag
from services.kernel.names import name
from services.kernel.problems import NotFound
from services.kernel.scheme import Industry
from services.runtime.rpc.survivors import survivor_from_json, survivor_to_json
from services.runtime.storage import data_keys, listing, revisions
from services.runtime.storage.crypto import ERASED, ColumnCipher
from services.runtime.storage.database import StaleRevisionError, Transaction

_ADMIT = sa.text(
    "update claims.claim"
    " set platforms ="
    " array(select distinct unnest(platforms || cast(:admitted as text[])) order by 1)"
    " where claim_id = :claim_id and not platforms @> cast(:admitted as text[])"
)


# Whether the account with which a claim was filed is one of these persons.
_FILED_BY_ACCOUNT = sa.text(
    "exists (select from staff_account where issuer || '#' || subject = claim.filer_account"
    " and member = any(cast(:persons as text[])))"
)


@dataclass(frozen=True)
class Filer:
    """Who files a claim: the natural person, and the account with its issuer."""

    person: str
    account: str


@dataclass(frozen=True)
class QueueFilter:
    """Which claims of the queue to list; what is empty does not filter."""

    # None means all but MERGED.
    states: Sequence[ClaimState] = ()
    worker: int | None = None
    due_by: date | None = None
    pooling_area: str = ""
    newest_first: bool = False


async def insert(
    tx: Transaction,
    cipher: ColumnCipher,
    claim: Claim,
    description: str,
    queue_date: date,
    *,
    filer: Filer,
) -> None:
    """Add a claim; `queue_date` sorts the queue."""
    cipher = await ciphers.get_of_worker(tx, cipher, claim.worker)
    await tx.execute(
        sa.insert(claims).values(
            claim_id=claim.id,
            claimant_kind=claim.claimant_kind.value,
            worker=claim.worker,
            accident_time=claim.accident_time,
            place_of_injury=claim.place_of_injury,
            situation=claim.situation.value,
            accident_report=claim.accident_report,
            description=_encrypt(cipher, description, claim.id, "description"),
            filed_by=claim.filed_by,
            platforms=[claim.filed_by] if claim.filed_by else [],
            enrolments=[
                [
                    enrolment.platform,
                    enrolment.enrol_date.isoformat(),
                    enrolment.send_date.isoformat(),
                ]
                for enrolment in claim.enrolments
            ],
            filed_late=claim.filed_late,
            create_time=claim.create_time,
            filer=filer.person,
            filer_account=filer.account,
            officials=[],
            **_changing(cipher, claim, queue_date),
        )
    )


async def update(tx: Transaction, cipher: ColumnCipher, claim: Claim, queue_date: date) -> None:
    """Save a claim's next revision; `lock` has locked the row."""
    cipher = await ciphers.get_of_worker(tx, cipher, claim.worker)
    statement = (
        sa.update(claims)
        .where(claims.c.claim_id == claim.id, claims.c.revision == claim.revision - 1)
        .values(**_changing(cipher, claim, queue_date))
    )
    updated = await tx.execute(statement)
    if updated.rowcount != 1:
        raise StaleRevisionError(claim.name)


async def get(tx: Transaction, cipher: ColumnCipher, claim_id: str) -> Claim:
    """A claim; raises NotFound for one that the transaction may not see."""
    row = await _row(tx, sa.select(claims), claim_id)
    return _claim(row, await data_keys.for_rows(tx, cipher, [row]))


async def get_with_description(
    tx: Transaction, cipher: ColumnCipher, claim_id: str
) -> tuple[Claim, str]:
    """A claim with what the claimant wrote of the accident; raises NotFound as `get`."""
    row = await _row(tx, sa.select(claims), claim_id)
    cipher = await data_keys.for_rows(tx, cipher, [row])
    return _claim(row, cipher), _show(cipher, row.description, row.claim_id, "description")


async def lock(tx: Transaction, cipher: ColumnCipher, claim_id: str) -> Claim:
    """A claim, locked until the transaction ends; raises NotFound as `get`."""
    row = await _row(tx, sa.select(claims).with_for_update(), claim_id)
    claim = _claim(row, await data_keys.for_rows(tx, cipher, [row]))
    revisions.note(claim.name, claim.revision)
    return claim


async def update_officials(tx: Transaction, claim_id: str, members: Iterable[str]) -> bool:
    """Record who accepts or decides a claim; False if one of them has filed it or a part of it.

    The filer's account is compared too: it may be linked to the person after the filing.
    """
    named = sorted(set(members) - {""})
    persons = sa.literal(named, ARRAY(sa.Text))
    parts = sa.select(claims.c.claim_id).where(
        sa.or_(claims.c.claim_id == claim_id, claims.c.merged_into == claim_id),
        sa.or_(
            claims.c.filer == sa.any_(persons),
            _FILED_BY_ACCOUNT.bindparams(sa.bindparam("persons", named, ARRAY(sa.Text))),
        ),
    )
    if (await tx.execute(parts)).first() is not None:
        return False
    await tx.execute(
        sa.update(claims)
        .where(claims.c.claim_id == claim_id)
        .values(officials=claims.c.officials.op("||")(persons))
    )
    return True


async def update_platforms(tx: Transaction, claim_id: str, platforms: Iterable[str]) -> None:
    """Let further platforms see a claim: those whose orders came into its evidence."""
    admitted = sorted(set(platforms))
    await tx.execute(_ADMIT, {"claim_id": claim_id, "admitted": admitted})


async def update_platforms_by_filing(tx: Transaction, claim_id: str, filing_id: str) -> None:
    """Let the platforms of a filing see the claim that it is part of."""
    statement = sa.select(claims.c.platforms).where(claims.c.claim_id == filing_id)
    await update_platforms(tx, claim_id, (await tx.execute(statement)).scalar_one())


async def update_merged_into(tx: Transaction, merged_id: str, surviving_id: str) -> None:
    """Make all that is part of a merged claim part of the surviving one."""
    await tx.execute(
        sa.update(claims)
        .where(claims.c.merged_into == merged_id)
        .values(merged_into=surviving_id, revision=claims.c.revision + 1)
    )


async def list_parts(tx: Transaction, cipher: ColumnCipher, claim_id: str) -> list[Claim]:
    """The further filings that are part of a claim, oldest first."""
    statement = (
        sa.select(claims)
        .where(claims.c.merged_into == claim_id)
        .order_by(claims.c.create_time, claims.c.claim_id)
    )
    rows = (await tx.execute(statement)).all()
    cipher = await data_keys.for_rows(tx, cipher, rows)
    return [_claim(row, cipher) for row in rows]


async def find_other_accidents(tx: Transaction, claim: Claim) -> list[datetime]:
    """The times of the worker's accidents in other claims."""
    statement = sa.select(claims.c.accident_time).where(
        claims.c.worker == claim.worker,
        claims.c.claim_id != claim.id,
        claims.c.state != ClaimState.MERGED.value,
    )
    return list((await tx.execute(statement)).scalars())


async def find_with_description(
    tx: Transaction, cipher: ColumnCipher, statement: sa.Select[Any]
) -> list[tuple[Claim, str]]:
    """The claims of a statement, each with what was written of the accident."""
    rows = (await tx.execute(statement)).all()
    cipher = await data_keys.for_rows(tx, cipher, rows)
    return [
        (_claim(row, cipher), _show(cipher, row.description, row.claim_id, "description"))
        for row in rows
    ]


async def list_queue(
    tx: Transaction, cipher: ColumnCipher, queue: QueueFilter, *, after: Sequence[Any], size: int
) -> list[Claim]:
    """The queue after a key.

    By due date and id, claims with a stopped clock last; or newest first, by time and id.
    """
    first = claims.c.create_time if queue.newest_first else claims.c.due_date
    statement = listing.page_of_rows(
        _matching(queue), (first, claims.c.claim_id), after, size, newest_first=queue.newest_first
    )
    rows = (await tx.execute(statement)).all()
    cipher = await data_keys.for_rows(tx, cipher, rows)
    return [_claim(row, cipher) for row in rows]


async def count_queue(tx: Transaction, queue: QueueFilter) -> int:
    """The number of claims in the queue."""
    return await listing.count_rows(tx, _matching(queue))


def _matching(queue: QueueFilter) -> sa.Select[Any]:
    statement = sa.select(claims)
    if queue.states:
        states = [state.value for state in queue.states]
        statement = statement.where(claims.c.state.in_(states))
    else:
        statement = statement.where(claims.c.state != ClaimState.MERGED.value)
    if queue.worker is not None:
        statement = statement.where(claims.c.worker == queue.worker)
    if queue.due_by is not None:
        statement = statement.where(claims.c.due_date <= queue.due_by)
    if queue.pooling_area:
        statement = statement.where(claims.c.pooling_area == queue.pooling_area)
    return statement


async def insert_stay(
    tx: Transaction,
    cipher: ColumnCipher,
    claim: Claim,
    reason: str,
    *,
    stayed_by: str,
    now: datetime,
) -> None:
    """Record why the time limit is stopped."""
    context = f"claims:{claim.id}:{claim.revision}:stay"
    cipher = await ciphers.get_of_worker(tx, cipher, claim.worker)
    await tx.execute(
        sa.insert(stays).values(
            claim_id=claim.id,
            claim_revision=claim.revision,
            reason=cipher.encrypt(reason, context),
            stayed_by=stayed_by,
            create_time=now,
        )
    )


async def _row(tx: Transaction, statement: sa.Select[Any], claim_id: str) -> sa.Row[Any]:
    rows = await tx.execute(statement.where(claims.c.claim_id == claim_id))
    row: sa.Row[Any] | None = rows.one_or_none()
    if row is None:
        raise NotFound(name=name("claims", claim_id))
    return row


def _changing(cipher: ColumnCipher, claim: Claim, queue_date: date) -> dict[str, Any]:
    requested = json.dumps(claim.requested_evidence, ensure_ascii=False)
    return {
        "revision": claim.revision,
        "state": claim.state.value,
        "death_date": claim.death_date,
        "pooling_area": claim.pooling_area,
        "industry": claim.industry.value if claim.industry else None,
        "survivors": _encrypt(cipher, _survivors_text(claim), claim.id, "survivors"),
        "requested_evidence": _encrypt(cipher, requested, claim.id, "requested_evidence"),
        "clock": _clock_to_json(claim.clock),
        "reply": _clock_to_json(claim.reply),
        "due_date": queue_date,
        "accident_id": claim.accident,
        "merged_into": claim.merged_into,
    }


def _claim(row: sa.Row[Any], cipher: ColumnCipher) -> Claim:
    survivors = _show(cipher, row.survivors, row.claim_id, "survivors", erased="[]")
    requested = _show(
        cipher, row.requested_evidence, row.claim_id, "requested_evidence", erased="[]"
    )
    return Claim(
        id=row.claim_id,
        revision=row.revision,
        state=ClaimState(row.state),
        claimant_kind=ClaimantKind(row.claimant_kind),
        worker=row.worker,
        accident_time=row.accident_time,
        place_of_injury=row.place_of_injury,
        situation=Situation(row.situation),
        death_date=row.death_date,
        survivors=tuple(survivor_from_json(survivor) for survivor in json.loads(survivors)),
        accident_report=row.accident_report,
        enrolments=tuple(
            Enrolment(code, date.fromisoformat(day), date.fromisoformat(sent))
            for code, day, sent in row.enrolments
        ),
        pooling_area=row.pooling_area,
        industry=Industry(row.industry) if row.industry else None,
        filed_late=row.filed_late,
        requested_evidence=tuple(json.loads(requested)),
        clock=_clock_from_json(row.clock),
        reply=_clock_from_json(row.reply),
        create_time=row.create_time,
        accident=row.accident_id,
        merged_into=row.merged_into,
        filed_by=row.filed_by,
        erased=cipher.is_erased(bytes(row.survivors)),
    )


def _survivors_text(claim: Claim) -> str:
    rows = [survivor_to_json(survivor) for survivor in claim.survivors]
    return json.dumps(rows, ensure_ascii=False)


def _clock_to_json(clock: StepClock | None) -> dict[str, Any] | None:
    if clock is None:
        return None
    version = clock.limit.version
    return {
        "step": clock.step.name,
        "start": clock.start.isoformat(),
        "count": clock.limit.count,
        "unit": clock.limit.unit.value,
        "pauses": [
            [pause.start.isoformat(), pause.end.isoformat() if pause.end else None]
            for pause in clock.pauses
        ],
        "version": None
        if version is None
        else [
            version.name,
            version.since.isoformat(),
            version.jurisdiction,
            version.value,
            version.source,
            version.tag.value,
        ],
    }


def _clock_from_json(row: Mapping[str, Any] | None) -> StepClock | None:
    if row is None:
        return None
    version = row["version"]
    if version is not None:
        parameter, since, jurisdiction, value, source, tag = version
        version = ParameterVersion(
            parameter, date.fromisoformat(since), jurisdiction, value, source, Tag(tag)
        )
    return StepClock(
        step=Step[row["step"]],
        start=date.fromisoformat(row["start"]),
        limit=TimeLimit(row["count"], Unit(row["unit"]), version),
        pauses=tuple(
            Pause(date.fromisoformat(start), date.fromisoformat(end) if end else None)
            for start, end in row["pauses"]
        ),
    )


def _encrypt(cipher: ColumnCipher, text: str, row_id: str, column: str) -> bytes:
    return cipher.encrypt(text, f"claims:{row_id}:{column}")


def _show(
    cipher: ColumnCipher, value: bytes, row_id: str, column: str, erased: str = ERASED
) -> str:
    return cipher.show(bytes(value), f"claims:{row_id}:{column}", erased)
