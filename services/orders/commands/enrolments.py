"""Which workers are enrolled with a platform, from the local copy that WorkersEnrolled feeds.

The event arrives a moment after enrolment has answered its caller, so an unknown worker is looked
up again for two seconds before its rows are rejected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from oip.enrolment.v1 import events_pb2

from services.kernel import names
from services.kernel.scope import Scope
from services.orders.store import enrolments as store
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Database, Transaction

REMEMBERED_MAX = 100_000
WAITS = (0.1, 0.2, 0.4, 0.8, 1.0)
# One query looks up this many, so that other calls run in between.
WORKERS_PER_QUERY = 4_000


async def on_workers_enrolled(
    tx: Transaction, event: events_pb2.WorkersEnrolled, _context: CommandContext
) -> None:
    """Store enrolments; repeats and any order are harmless."""
    (platform,) = names.parse(event.platform, "platforms", field="platform")
    await store.insert(tx, platform, event.workers)


class EnrolledWorkers:
    """Looks workers up, and remembers those who did not arrive in time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._awaited: dict[str, set[int]] = {}

    async def not_enrolled(self, platform: str, workers: Sequence[int]) -> list[int]:
        """Those of these workers that are not enrolled."""
        enrolled: set[int] = set()
        for start in range(0, len(workers), WORKERS_PER_QUERY):
            part = workers[start : start + WORKERS_PER_QUERY]
            async with self._database.begin(Scope(platform=platform)) as tx:
                enrolled |= await store.list_enrolled(tx, platform, part)
        return sorted(set(workers) - enrolled)

    def worth_waiting(self, platform: str, not_enrolled: Sequence[int]) -> bool:
        """Whether one of them was not waited for before."""
        return not self._awaited.get(platform, set()).issuperset(not_enrolled)

    async def wait_for(self, platform: str, not_enrolled: Sequence[int]) -> None:
        """Wait a moment for their enrolments to arrive; ends early when all have arrived."""
        missing: Sequence[int] = not_enrolled
        for wait in WAITS:
            await asyncio.sleep(wait)
            missing = await self.not_enrolled(platform, missing)
            if not missing:
                return
        if sum(map(len, self._awaited.values())) > REMEMBERED_MAX:
            self._awaited.clear()
        self._awaited.setdefault(platform, set()).update(missing)
