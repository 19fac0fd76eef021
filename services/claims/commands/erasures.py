"""The erasure of workers: not while a claim is open."""

from __future__ import annotations

import re

from oip.enrolment.v1.events_pb2 import WorkerErased

from services.claims import events
from services.claims.store import obstacles as obstacle_store
from services.kernel.names import name, parse
from services.runtime.service.erasures import Erasing, Obstacle
from services.runtime.storage.database import Transaction

_WORKER_ID = re.compile(r"[0-9]{1,18}")


async def list_obstacles(tx: Transaction, worker: str) -> list[Obstacle]:
    """What keeps a worker (`workers/{id}`) from being erased."""
    (worker_id,) = parse(worker, "workers", field="worker")
    if not _WORKER_ID.fullmatch(worker_id):
        return []  # nobody has such an id
    claim_id = await obstacle_store.find_open(tx, int(worker_id))
    return [] if claim_id is None else [Obstacle("CLAIM_OPEN", name("claims", claim_id))]


ERASING = Erasing(WorkerErased, list_obstacles, events.data_key_erased, events.worker_erased)
