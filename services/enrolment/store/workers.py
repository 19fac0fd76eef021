"""Workers: document numbers are encrypted, and a keyed hash of the identity finds a person."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from services.enrolment.domain.workers import Enrolment, Worker
from services.enrolment.store.tables import enrolments, workers
from services.kernel import names
from services.kernel.problems import NotFound
from services.runtime.storage import data_keys, revisions
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction

# Of the keyed hash of an identity.
INDEX_BYTES = 32


@dataclass(frozen=True)
class NewWorker:
    """A person to add; `identity_index` is the blind index of the identity."""

    id: int
    identity_index: bytes
    document_number: str = field(repr=False)


async def insert(
    tx: Transaction, cipher: ColumnCipher, new_workers: Sequence[NewWorker], now: datetime
) -> None:
    """Add the people whose identity is not known yet.

    Rows go in by index, so that two requests with the same people do not lock each other out.
    """
    ciphers = await get_ciphers(tx, cipher, (worker.id for worker in new_workers))
    rows = [
        {
            "id": worker.id,
            "identity_index": worker.identity_index,
            "document_number": ciphers[worker.id].encrypt(
                worker.document_number, _context(worker.id)
            ),
            "create_time": now,
        }
        for worker in sorted(new_workers, key=lambda worker: worker.identity_index)
    ]
    if rows:
        await tx.execute(upsert(workers).on_conflict_do_nothing(), rows)


async def get_ciphers(
    tx: Transaction, cipher: ColumnCipher, worker_ids: Iterable[int]
) -> dict[int, ColumnCipher]:
    """The cipher under the data key of each worker."""
    persons = {worker_id: names.name("workers", worker_id) for worker_id in worker_ids}
    ciphers = await data_keys.of_persons(tx, cipher, persons.values())
    return {worker_id: ciphers[person] for worker_id, person in persons.items()}


async def find_ids(tx: Transaction, identity_indexes: Iterable[bytes]) -> dict[bytes, int]:
    """The worker of each identity index that is known."""
    statement = sa.select(workers.c.identity_index, workers.c.id).where(
        workers.c.identity_index
        == sa.any_(sa.literal(list(identity_indexes), ARRAY(sa.LargeBinary)))
    )
    return {bytes(row.identity_index): row.id for row in await tx.execute(statement)}


async def lock(tx: Transaction, worker_id: int) -> None:
    """Lock a worker; raises NotFound. Notes with which platforms the worker is enrolled."""
    name = names.name("workers", worker_id)
    statement = sa.select(workers.c.id).where(workers.c.id == worker_id).with_for_update()
    if (await tx.execute(statement)).first() is None:
        raise NotFound(name=name)
    enrolled = (
        sa.select(enrolments.c.platform)
        .where(enrolments.c.worker == worker_id)
        .order_by(enrolments.c.platform)
    )
    revisions.note(name, list((await tx.execute(enrolled)).scalars()))


async def update_identity(tx: Transaction, worker_id: int) -> None:
    """Let no identity find a worker any more."""
    statement = sa.update(workers).where(workers.c.id == worker_id)
    await tx.execute(statement.values(identity_index=secrets.token_bytes(INDEX_BYTES)))


async def get(tx: Transaction, cipher: ColumnCipher, worker_id: int) -> Worker:
    """A worker with the enrolments that the transaction may see, by platform.

    Raises NotFound without any, so that a platform sees its own workers only.
    """
    statement = _with_enrolment().where(workers.c.id == worker_id).order_by(enrolments.c.platform)
    rows = (await tx.execute(statement)).all()
    if not rows:
        raise NotFound(name=names.name("workers", worker_id))
    return _worker(await data_keys.for_rows(tx, cipher, rows), rows)


async def list_by_number(
    tx: Transaction, cipher: ColumnCipher, platform: str, after: str, size: int
) -> list[Worker]:
    """At most `size` workers of a platform with a number above `after`, in its order.

    Each comes with this platform's enrolment alone.
    """
    statement = (
        _with_enrolment()
        .where(enrolments.c.platform == platform, enrolments.c.worker_number > after)
        .order_by(enrolments.c.worker_number)
        .limit(size)
    )
    rows = (await tx.execute(statement)).all()
    cipher = await data_keys.for_rows(tx, cipher, rows)
    return [_worker(cipher, [row]) for row in rows]


async def count_of_platform(tx: Transaction, platform: str) -> int:
    """The number of workers of a platform."""
    statement = sa.select(sa.func.count()).where(enrolments.c.platform == platform)
    return int((await tx.execute(statement)).scalar_one())


def _with_enrolment() -> sa.Select[tuple[object, ...]]:
    return sa.select(
        workers.c.id,
        workers.c.document_number,
        enrolments.c.platform,
        enrolments.c.worker_number,
        enrolments.c.enrol_date,
        enrolments.c.create_time,
    ).join(enrolments, enrolments.c.worker == workers.c.id)


def _worker(cipher: ColumnCipher, rows: Sequence[sa.Row[tuple[object, ...]]]) -> Worker:
    """The worker of these rows, one an enrolment."""
    first = rows[0]
    return Worker(
        id=first.id,
        document_number=cipher.show(bytes(first.document_number), _context(first.id)),
        erased=cipher.is_erased(bytes(first.document_number)),
        enrolments=tuple(
            Enrolment(row.platform, row.worker_number, row.enrol_date, row.create_time)
            for row in rows
        ),
    )


def _context(worker_id: int) -> str:
    return f"worker:{worker_id}:document_number"
