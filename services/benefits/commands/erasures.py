"""The erasure of workers: not while money is to be paid or to be given back."""

from __future__ import annotations

from oip.grading.v1.events_pb2 import WorkerErased

from services.benefits.store import obstacles as obstacle_store
from services.kernel.names import name
from services.runtime.service.erasures import Erasing, Obstacle
from services.runtime.storage.database import Transaction


async def list_obstacles(tx: Transaction, worker: str) -> list[Obstacle]:
    """What keeps a worker (`workers/{id}`) from being erased."""
    obstacles = []
    if (award := await obstacle_store.find_award_in_payment(tx, worker)) is not None:
        obstacles.append(Obstacle("AWARD_IN_PAYMENT", name("awards", award)))
    if (recovery := await obstacle_store.find_open_recovery(tx, worker)) is not None:
        obstacles.append(Obstacle("MONEY_TO_RECOVER", name("recoveries", recovery)))
    return obstacles


ERASING = Erasing(WorkerErased, list_obstacles)
