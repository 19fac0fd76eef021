"""Tables of enrolment, and one function per question or change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from services.enrolment.domain import Held, Platform
from services.runtime.storage.database import Transaction

metadata = sa.MetaData(schema="enrolment")

platforms = sa.Table(
    "platform",
    metadata,
    sa.Column("platform", sa.Text, primary_key=True),
    sa.Column("display_name", sa.Text, nullable=False),
    sa.Column("industries", ARRAY(sa.SmallInteger), nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
)

# One row a person. The id is random: nothing can be told from it.
workers = sa.Table(
    "worker",
    metadata,
    sa.Column("worker", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("identity_index", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("document_number", sa.LargeBinary, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)

platform_workers = sa.Table(
    "platform_worker",
    metadata,
    sa.Column("platform", sa.Text, primary_key=True),
    sa.Column("worker_number", sa.Text, primary_key=True),
    sa.Column("worker", sa.BigInteger, nullable=False, index=True),
    sa.Column("phone", sa.LargeBinary, nullable=False),
    sa.Column("enrol_date", sa.Date, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    sa.UniqueConstraint("platform", "worker"),
)


@dataclass(frozen=True)
class HeldPlatform:
    """A platform with when it was registered."""

    platform: Platform
    create_time: datetime
    revision: int


@dataclass(frozen=True)
class Enrolment:
    """One platform's enrolment of one worker."""

    platform: str
    worker_number: str
    worker: int
    enrol_date: date
    document_number: bytes


async def insert_platform(tx: Transaction, platform: Platform, now: datetime) -> bool:
    """Add a platform; False if its code is held already."""
    statement = (
        insert(platforms)
        .values(
            platform=platform.credit_code,
            display_name=platform.display_name,
            industries=list(platform.industries),
            create_time=now,
            revision=1,
        )
        .on_conflict_do_nothing()
        .returning(platforms.c.platform)
    )
    return (await tx.execute(statement)).first() is not None


async def get_platform(tx: Transaction, code: str) -> HeldPlatform | None:
    """One platform; None if there is none that the transaction may see."""
    statement = sa.select(platforms).where(platforms.c.platform == code)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else _platform(row)


async def list_platforms(tx: Transaction, after: str, size: int) -> list[HeldPlatform]:
    """Platforms by credit code."""
    statement = (
        sa.select(platforms)
        .where(platforms.c.platform > after)
        .order_by(platforms.c.platform)
        .limit(size)
    )
    return [_platform(row) for row in await tx.execute(statement)]


async def insert_workers(
    tx: Transaction, people: Sequence[tuple[int, bytes, bytes]], now: datetime
) -> None:
    """Add the people (id, identity index, closed document number) that are not held yet.

    Rows go in by index, so that two requests with the same people do not lock each other out.
    """
    rows = [
        {"worker": worker, "identity_index": index, "document_number": number, "create_time": now}
        for worker, index, number in sorted(people, key=lambda person: person[1])
    ]
    if rows:
        await tx.execute(insert(workers).on_conflict_do_nothing(), rows)


async def find_people(tx: Transaction, indexes: Iterable[bytes]) -> dict[bytes, int]:
    """The worker behind each identity index."""
    statement = sa.select(workers.c.identity_index, workers.c.worker).where(
        workers.c.identity_index == sa.any_(sa.literal(list(indexes), ARRAY(sa.LargeBinary)))
    )
    return {bytes(row.identity_index): row.worker for row in await tx.execute(statement)}


async def find_held(
    tx: Transaction, platform: str, numbers: Sequence[str], people: Sequence[int]
) -> Held:
    """What a platform has enrolled of these numbers and people."""
    table = platform_workers
    statement = sa.select(table.c.worker_number, table.c.worker).where(
        table.c.platform == platform,
        sa.or_(
            table.c.worker_number == sa.any_(sa.literal(list(numbers), ARRAY(sa.Text))),
            table.c.worker == sa.any_(sa.literal(list(people), ARRAY(sa.BigInteger))),
        ),
    )
    rows = (await tx.execute(statement)).all()
    return Held(
        {row.worker_number: row.worker for row in rows},
        {row.worker: row.worker_number for row in rows},
    )


async def lock_platform(tx: Transaction, code: str) -> bool:
    """Let one enrolment of a platform run at a time; False if the platform is not registered."""
    statement = (
        sa.select(platforms.c.platform)
        .where(platforms.c.platform == code)
        .with_for_update(key_share=False)
    )
    return (await tx.execute(statement)).first() is not None


async def insert_enrolments(tx: Transaction, rows: list[dict[str, object]]) -> None:
    """Add enrolments: platform, worker_number, worker, phone (closed), enrol_date, create_time."""
    if rows:
        await tx.execute(sa.insert(platform_workers), rows)


async def look_up(tx: Transaction, platform: str, numbers: Sequence[str]) -> dict[str, int]:
    """The workers behind a platform's own numbers."""
    return dict((await find_held(tx, platform, numbers, ())).person_of_number)


async def list_enrolments(tx: Transaction, platform: str, after: str, size: int) -> list[Enrolment]:
    """A platform's enrolments by worker number."""
    statement = (
        _enrolments()
        .where(platform_workers.c.platform == platform, platform_workers.c.worker_number > after)
        .order_by(platform_workers.c.worker_number)
        .limit(size)
    )
    return [_enrolment(row) for row in await tx.execute(statement)]


async def enrolments_of(tx: Transaction, worker: int) -> list[Enrolment]:
    """A worker's enrolments that the transaction may see, by platform."""
    statement = (
        _enrolments()
        .where(platform_workers.c.worker == worker)
        .order_by(platform_workers.c.platform)
    )
    return [_enrolment(row) for row in await tx.execute(statement)]


async def count_stray_enrolments(tx: Transaction) -> int:
    """Enrolments whose worker or platform is not held; there are none."""
    statement = sa.text(
        "select count(*) from platform_worker p"
        " where not exists (select from worker w where w.worker = p.worker)"
        " or not exists (select from platform f where f.platform = p.platform)"
    )
    return int((await tx.execute(statement)).scalar_one())


def _enrolments() -> sa.Select[tuple[object, ...]]:
    return sa.select(
        platform_workers.c.platform,
        platform_workers.c.worker_number,
        platform_workers.c.worker,
        platform_workers.c.enrol_date,
        workers.c.document_number,
    ).join(workers, workers.c.worker == platform_workers.c.worker)


def _enrolment(row: sa.Row[tuple[object, ...]]) -> Enrolment:
    return Enrolment(
        row.platform, row.worker_number, row.worker, row.enrol_date, bytes(row.document_number)
    )


def _platform(row: sa.Row[tuple[object, ...]]) -> HeldPlatform:
    held = Platform(row.platform, row.display_name, tuple(row.industries))
    return HeldPlatform(held, row.create_time, row.revision)
