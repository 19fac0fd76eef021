"""The erasure of workers: not while an appraisal is open."""

from __future__ import annotations

from oip.claims.v1.events_pb2 import WorkerErased

from services.grading import events
from services.grading.domain.appraisals import appraisal_name
from services.grading.store import appraisals as appraisal_store
from services.runtime.service.erasures import Erasing, Obstacle
from services.runtime.storage.database import Transaction


async def list_obstacles(tx: Transaction, worker: str) -> list[Obstacle]:
    """What keeps a worker (`workers/{id}`) from being erased."""
    appraisal = await appraisal_store.find_open(tx, worker)
    return [] if appraisal is None else [Obstacle("APPRAISAL_OPEN", appraisal_name(appraisal))]


ERASING = Erasing(WorkerErased, list_obstacles, events.data_key_erased, events.worker_erased)
