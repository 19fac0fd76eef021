"""Changes of enrolments."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from services.enrolment import events
from services.enrolment.domain.enrolments import (
    EnrolmentRow,
    RowOutcome,
    Status,
    enrol,
    refused_rows,
)
from services.enrolment.domain.platforms import platform_name
from services.enrolment.store import enrolments as enrolment_store
from services.enrolment.store import platforms as platform_store
from services.enrolment.store import workers as worker_store
from services.kernel.problems import PlatformNotRegistered
from services.runtime.events import outbox
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction, seeing_everything

# Every language can hold an id of 53 bits exactly, also in JSON.
WORKER_ID_BITS = 53


async def enrol_workers(
    tx: Transaction, platform: str, rows: Sequence[EnrolmentRow], context: CommandContext
) -> list[RowOutcome]:
    """Enrol a platform's workers and return the outcome of each row.

    `platform` is the credit code; raises PlatformNotRegistered.
    """
    if not await platform_store.lock(tx, platform):
        raise PlatformNotRegistered(name=platform_name(platform))
    refused = refused_rows(rows)
    sound = [row for index, row in enumerate(rows) if index not in refused]
    # A person whom another platform enrolled is the same worker.
    async with seeing_everything(tx):
        workers = await _workers(tx, sound, context)
    enrolled = await enrolment_store.find_enrolled(
        tx, platform, [row.worker_number for row in sound], list(workers.values())
    )
    outcomes = enrol(rows, refused, workers, enrolled)
    created = [outcome for outcome in outcomes if outcome.status is Status.CREATED]
    if created:
        new_rows = [(outcome.worker, rows[outcome.index]) for outcome in created]
        await enrolment_store.insert(tx, context.cipher, platform, new_rows, context.now)
        event = events.workers_enrolled(platform, [outcome.worker for outcome in created])
        await outbox.add(tx, event, context.now)
    return outcomes


async def _workers(
    tx: Transaction, rows: Sequence[EnrolmentRow], context: CommandContext
) -> dict[str, int]:
    """The worker of each identity; people who are not known yet are added."""
    cipher = context.cipher
    index_of = {row.identity: cipher.blind_index(row.identity) for row in rows}
    known = await worker_store.find_ids(tx, index_of.values())
    document_number_of = {row.identity: row.document_number for row in rows}
    new_workers = [
        worker_store.NewWorker(
            secrets.randbits(WORKER_ID_BITS) | 1, index, document_number_of[identity]
        )
        for identity, index in index_of.items()
        if index not in known
    ]
    if new_workers:
        await worker_store.insert(tx, cipher, new_workers, context.now)
        known = await worker_store.find_ids(tx, index_of.values())
    return {identity: known[index] for identity, index in index_of.items()}
