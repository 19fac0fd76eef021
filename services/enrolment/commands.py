"""Changes of enrolment: load, decide, save, tell."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime

from services.enrolment import domain, events, store
from services.enrolment.domain import Decision, Platform, Row, Status
from services.enrolment.store import Enrolment, HeldPlatform
from services.runtime.events import outbox
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction

# 53 bits, so that every language can hold an id exactly, also in JSON.
WORKER_ID_BITS = 53


async def register_platform(tx: Transaction, platform: Platform, now: datetime) -> HeldPlatform:
    """Register a platform; the same particulars again change nothing. Raises PlatformExists."""
    created = await store.insert_platform(tx, platform, now)
    held = await store.get_platform(tx, platform.credit_code)
    assert held is not None
    if held.platform != platform:
        raise domain.PlatformExists(name=platform.name)
    if created:
        await outbox.add(tx, events.platform_registered(platform, held.revision), now)
    return held


async def enrol_workers(
    tx: Transaction, cipher: ColumnCipher, code: str, rows: Sequence[Row], now: datetime
) -> list[Decision]:
    """Enrol a platform's workers and say what became of each row."""
    if not await store.lock_platform(tx, code):
        raise domain.PlatformNotRegistered(name=f"platforms/{code}")
    refused = domain.check(rows)
    sound = [row for index, row in enumerate(rows) if index not in refused]
    people = await _people(tx, cipher, sound, now)
    held = await store.find_held(
        tx, code, [row.worker_number for row in sound], list(people.values())
    )
    decisions = domain.decide(rows, refused, people, held)
    created = [decision for decision in decisions if decision.status is Status.CREATED]
    await store.insert_enrolments(
        tx, [_enrolment(cipher, code, rows[made.index], made.worker, now) for made in created]
    )
    if created:
        await outbox.add(tx, events.workers_enrolled(code, [made.worker for made in created]), now)
    return decisions


def open_document_number(cipher: ColumnCipher, enrolment: Enrolment) -> str:
    """The identity document's number of an enrolled worker."""
    return cipher.decrypt(enrolment.document_number, _document_context(enrolment.worker))


async def _people(
    tx: Transaction, cipher: ColumnCipher, rows: Sequence[Row], now: datetime
) -> dict[str, int]:
    """The worker behind each identity; those not known yet are added."""
    index_of = {row.identity: cipher.blind_index(row.identity) for row in rows}
    known = await store.find_people(tx, index_of.values())
    number_of = {row.identity: row.document_number for row in rows}
    fresh = []
    for identity, index in index_of.items():
        if index not in known:
            worker = secrets.randbits(WORKER_ID_BITS) | 1
            closed = cipher.encrypt(number_of[identity], _document_context(worker))
            fresh.append((worker, index, closed))
    if fresh:
        await store.insert_workers(tx, fresh, now)
        known = await store.find_people(tx, index_of.values())
    return {identity: known[index] for identity, index in index_of.items()}


def _document_context(worker: int) -> str:
    return f"worker:{worker}:document_number"


def _enrolment(
    cipher: ColumnCipher, code: str, row: Row, worker: int, now: datetime
) -> dict[str, object]:
    return {
        "platform": code,
        "worker_number": row.worker_number,
        "worker": worker,
        "phone": cipher.encrypt(row.phone, f"platform_worker:{code}:{row.worker_number}"),
        "enrol_date": row.enrol_date,
        "create_time": now,
    }
