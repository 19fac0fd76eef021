"""The erasure of workers."""

from __future__ import annotations

from collections.abc import Sequence

from services.enrolment import events
from services.enrolment.domain.erasures import Obstacle, Order, require_erasable
from services.enrolment.domain.problems import WorkerErasedBefore
from services.enrolment.store import workers as worker_store
from services.kernel.periods import civil_day
from services.runtime.events import outbox
from services.runtime.service import signatures
from services.runtime.service.context import CommandContext
from services.runtime.storage import data_keys, erasures
from services.runtime.storage.database import Transaction
from services.runtime.storage.erasures import Erasure


async def erase_worker(
    tx: Transaction, order: Order, obstacles: Sequence[Obstacle], context: CommandContext
) -> Erasure:
    """Destroy the data key of a worker and tell all who hold data of the person.

    The keyed hash of the identity goes too, so that the person who comes again is a new worker.
    Raises NotFound, WorkerErasedBefore or WorkerHasOpenCases.
    """
    await worker_store.lock(tx, order.worker)
    earlier = await erasures.find(tx, order.worker_name)
    if earlier is not None:
        raise WorkerErasedBefore(
            worker=order.worker_name,
            day=civil_day(earlier.create_time),
            document=earlier.document_number,
        )
    require_erasable(order, obstacles)
    erasure = Erasure(
        name=order.worker_name,
        code=order.code.value,
        document_number=order.document_number,
        document_hash=order.document_hash,
        maker=context.member,
        signer=signatures.signer(),
        create_time=context.now,
        erase_time=context.now,
    )
    await worker_store.update_identity(tx, order.worker)
    key = await data_keys.lock_key(tx, context.cipher, erasure.name)
    await data_keys.destroy(tx, key)
    await erasures.insert(tx, context.cipher, erasure)
    await outbox.add(tx, events.worker_erased(erasure), context.now)
    return erasure
