"""The erasure of a person in a service that holds data of persons.

Enrolment decides it and publishes WorkerErased. A service that consumes it destroys its own data
key of the person, and publishes DataKeyErased for those who have copies and a WorkerErased of its
own for the next service: the erasure takes the way of the facts, so that none of them comes after
it. An open case keeps the key: the erasure waits, and a round in the background completes it once
the case has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from google.protobuf import message_factory
from google.protobuf.message import Message

from services.runtime.base.log import logger
from services.runtime.events import outbox, producer_keys
from services.runtime.events.envelope import producer_of
from services.runtime.events.personal_fields import consumers_of, names_of
from services.runtime.storage import audit, data_keys, erasures
from services.runtime.storage.database import Transaction
from services.runtime.storage.erasures import Erasure, Total

if TYPE_CHECKING:
    from datetime import datetime

    from services.runtime.service.context import CommandContext, ServiceContext
    from services.runtime.storage.crypto import ColumnCipher
    from services.runtime.storage.data_keys import LockedKey

log = logger("erasures")

POLL_SECONDS = 60.0
PAUSE_SECONDS = 5.0
# The checks of `oip verify` that compare services: who is erased, and which keys of a producer.
ERASURES = "erasures/{producer}"
ERASED_KEYS = "erased-keys/{producer}"


@dataclass(frozen=True)
class Obstacle:
    """What keeps a person from being erased: a kind, for example `CLAIM_OPEN`, and a resource."""

    code: str
    resource: str

    @property
    def text(self) -> str:
        """Both, for people and for the row of the erasure."""
        return f"{self.code} {self.resource}"


@dataclass(frozen=True)
class Erasing:
    """How a service erases a person.

    `trigger` is the WorkerErased that it consumes; `obstacles(tx, worker)` says what keeps it from
    erasing. `key_erased(key)` makes the event for the consumers of its data keys, and
    `worker_erased(erasure)` the one for the next service.
    """

    trigger: type[Message]
    obstacles: Callable[[Transaction, str], Awaitable[list[Obstacle]]]
    key_erased: Callable[[str], Message] | None = None
    worker_erased: Callable[[Erasure], Message] | None = None

    async def on_worker_erased(self, tx: Transaction, event: Any, context: CommandContext) -> None:
        """Erase the worker, or let the erasure wait; a repeat changes nothing."""
        if await erasures.find(tx, event.worker) is not None:
            return
        erasure = Erasure(
            name=event.worker,
            code=int(event.code),
            document_number=event.document_number,
            document_hash=event.document_hash,
            create_time=context.now,
        )
        # Whoever encrypts about the person has ended before, so that no open case is overlooked.
        key = await data_keys.lock_key(tx, context.cipher, erasure.name)
        obstacles = await self.obstacles(tx, erasure.name)
        if obstacles:
            waiting = replace(erasure, obstacle=obstacles[0].text)
            await erasures.insert(tx, context.cipher, waiting)
            return
        await erasures.insert(tx, context.cipher, replace(erasure, erase_time=context.now))
        await self._destroy(tx, key, erasure, context.now)

    async def complete(self, tx: Transaction, cipher: ColumnCipher, now: datetime) -> list[str]:
        """Do the erasures that waited and need not wait any more; the names of the persons."""
        completed = []
        for erasure in await erasures.list_waiting(tx):
            key = await data_keys.lock_key(tx, cipher, erasure.name)
            obstacles = await self.obstacles(tx, erasure.name)
            if obstacles:
                await erasures.update_obstacle(tx, erasure.name, obstacles[0].text)
                continue
            await erasures.update_erased(tx, erasure.name, now)
            await self._destroy(tx, key, erasure, now)
            completed.append(erasure.name)
        return completed

    async def _destroy(
        self, tx: Transaction, key: LockedKey, erasure: Erasure, now: datetime
    ) -> None:
        await data_keys.destroy(tx, key)
        if self.key_erased is not None and not key.is_new:
            await outbox.add(tx, self.key_erased(key.id), now)
        if self.worker_erased is not None:
            await outbox.add(tx, self.worker_erased(erasure), now)


def events_of_erased_keys(events: Iterable[type[Message]]) -> list[type[Message]]:
    """The DataKeyErased of each producer of which some of these events have personal fields."""
    files = [event.DESCRIPTOR.file for event in events if names_of(event.DESCRIPTOR)]
    unique: dict[str, Any] = {
        file.name: file.message_types_by_name["DataKeyErased"] for file in files
    }
    return [message_factory.GetMessageClass(erased) for erased in unique.values()]


async def on_data_key_erased(tx: Transaction, event: Any, _context: object) -> None:
    """Drop the copy of a data key that its producer has destroyed, now or if it comes later."""
    await producer_keys.drop(tx, producer_of(event.DESCRIPTOR.full_name), [event.key])


async def keep_completing(context: ServiceContext, erasing: Erasing) -> None:
    """Complete erasures that waited for the end of a case, until cancelled."""
    while True:
        pause = POLL_SECONDS
        try:
            await complete_waiting(context, erasing)
        except Exception as error:  # noqa: BLE001 - the next round completes them
            log.warning(
                "erasure_not_completed", service=context.service, error=type(error).__name__
            )
            pause = PAUSE_SECONDS
        await asyncio.sleep(pause)


async def complete_waiting(context: ServiceContext, erasing: Erasing) -> None:
    """One round: complete what need not wait any more, each with its audit row."""
    now = context.clock.now()
    async with context.database.begin() as tx:
        completed = await erasing.complete(tx, context.cipher, now)
        for name in completed:
            await audit.append(
                tx,
                now=now,
                actor=f"services/{context.service}",
                action=erasing.trigger.DESCRIPTOR.full_name,
                resource=name,
            )
    if completed:
        context.wake.set()
        log.info("erasures_completed", service=context.service, count=len(completed))


async def totals(
    tx: Transaction, service: str, producers: tuple[str, ...], erasing: Erasing | None
) -> dict[str, Total]:
    """What other services must hold as well, by the name of the check.

    Who was erased here, and who by the service before; which own data keys were destroyed, if
    consumers have copies, and those of each producer whose keys this service gets.
    """
    by_check = {ERASURES.format(producer=service): await erasures.total_of_erased(tx)}
    if erasing is not None:
        before = producer_of(erasing.trigger.DESCRIPTOR.full_name)
        by_check[ERASURES.format(producer=before)] = await erasures.total_of_known(tx)
    if consumers_of(service):
        by_check[ERASED_KEYS.format(producer=service)] = await erasures.total_of_own_keys(tx)
    sharing = [name for name in producers if service in consumers_of(name)]
    for producer, total in (await erasures.totals_of_producers(tx, sharing)).items():
        by_check[ERASED_KEYS.format(producer=producer)] = total
    return by_check
