"""Who is enrolled with a platform, remembered: enrolments are never taken back.

The table is what enrolment told. Its events come a moment after the answer to whoever enrolled, so
a worker that is unknown is looked up again for a little while before a row is refused.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterable

from services.orders.store import enrolled as store
from services.runtime.database import Database

REMEMBERED_MAX = 4_000_000
STRANGERS_MAX = 100_000
WAITS = (0.1, 0.2, 0.4, 0.8, 1.0)


class Enrolled:
    """The enrolled workers of each platform that this process has seen."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, set[int]] = {}
        self._strangers: dict[str, set[int]] = {}

    async def strangers(self, platform: str, packed: bytes) -> list[int]:
        """Those of these workers (64-bit, one after the other) that are not enrolled."""
        wanted = array("q")
        wanted.frombytes(packed)
        known = self._known.setdefault(platform, set())
        missing = set(wanted) - known
        for wait in (0.0, *WAITS):
            if not missing:
                return []
            if wait:
                if missing <= self._strangers.setdefault(platform, set()):
                    break
                await asyncio.sleep(wait)
            async with self._database.begin(platform) as tx:
                found = await store.enrolled_of(tx, platform, missing)
            missing -= found
            self._remember(platform, found)
        self._remember_strangers(platform, missing)
        return sorted(missing)

    def _remember(self, platform: str, workers: Iterable[int]) -> None:
        if sum(map(len, self._known.values())) > REMEMBERED_MAX:
            self._known.clear()
        self._known.setdefault(platform, set()).update(workers)

    def _remember_strangers(self, platform: str, workers: Iterable[int]) -> None:
        """Not waited for again; still looked up each time."""
        if sum(map(len, self._strangers.values())) > STRANGERS_MAX:
            self._strangers.clear()
        self._strangers.setdefault(platform, set()).update(workers)
