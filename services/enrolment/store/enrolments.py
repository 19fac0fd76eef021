"""Who is enrolled with which platform; telephones are encrypted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.enrolment.domain.enrolments import EnrolledWorkers, EnrolmentRow
from services.enrolment.store.tables import enrolments
from services.enrolment.store.workers import get_ciphers
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


async def insert(
    tx: Transaction,
    cipher: ColumnCipher,
    platform: str,
    rows: Sequence[tuple[int, EnrolmentRow]],
    now: datetime,
) -> None:
    """Add a platform's enrolments: the worker's id with the row that was sent."""
    ciphers = await get_ciphers(tx, cipher, (worker for worker, _ in rows))
    values = [
        {
            "platform": platform,
            "worker_number": row.worker_number,
            "worker": worker,
            "phone": ciphers[worker].encrypt(
                row.phone, f"enrolment:{platform}:{row.worker_number}"
            ),
            "enrol_date": row.enrol_date,
            "create_time": now,
        }
        for worker, row in rows
    ]
    if values:
        await tx.execute(sa.insert(enrolments), values)


async def find_enrolled(
    tx: Transaction, platform: str, numbers: Sequence[str], workers: Sequence[int] = ()
) -> EnrolledWorkers:
    """A platform's enrolments that have any of these numbers or workers."""
    statement = sa.select(enrolments.c.worker_number, enrolments.c.worker).where(
        enrolments.c.platform == platform,
        sa.or_(
            enrolments.c.worker_number == sa.any_(sa.literal(list(numbers), ARRAY(sa.Text))),
            enrolments.c.worker == sa.any_(sa.literal(list(workers), ARRAY(sa.BigInteger))),
        ),
    )
    rows = (await tx.execute(statement)).all()
    return EnrolledWorkers(
        {row.worker_number: row.worker for row in rows},
        {row.worker: row.worker_number for row in rows},
    )
