"""Who is enrolled with a platform, as the table knows it, which is what enrolment told.

Its events come a moment after the answer to whoever enrolled, so a worker that is unknown is looked
up again for a little while before a row is refused.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Sequence

from services.orders.store import enrolled as store
from services.runtime.storage.database import Database

STRANGERS_MAX = 100_000
WAITS = (0.1, 0.2, 0.4, 0.8, 1.0)
# Looked up at a time: other calls get their turn in between.
WORKERS_AT_A_TIME = 4_000


class Enrolled:
    """Looks workers up, and remembers whom it has waited for in vain."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._awaited: dict[str, set[int]] = {}

    async def strangers(self, platform: str, workers: Sequence[int]) -> list[int]:
        """Those of these workers that are not enrolled."""
        found: set[int] = set()
        for start in range(0, len(workers), WORKERS_AT_A_TIME):
            part = workers[start : start + WORKERS_AT_A_TIME]
            async with self._database.begin(platform) as tx:
                found |= await store.enrolled_of(tx, platform, part)
        return sorted(set(workers) - found)

    def may_come(self, platform: str, strangers: Sequence[int]) -> bool:
        """Whether one of them was not waited for before."""
        return not self._awaited.get(platform, set()).issuperset(strangers)

    async def wait_for(self, platform: str, strangers: Sequence[int]) -> None:
        """Give their enrolments a moment to be heard of; ends early when all are there."""
        left: Sequence[int] = strangers
        for wait in WAITS:
            await asyncio.sleep(wait)
            left = await self.strangers(platform, left)
            if not left:
                return
        if sum(map(len, self._awaited.values())) > STRANGERS_MAX:
            self._awaited.clear()
        self._awaited.setdefault(platform, set()).update(left)


def unpacked(workers: bytes) -> array[int]:
    """Workers as a worker process names them: 64 bits each, one after the other."""
    numbers = array("q")
    numbers.frombytes(workers)
    return numbers
