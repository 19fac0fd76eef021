"""Slots that tenants share: the next free one goes to the tenant that holds the fewest."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairSlots:
    """`total` slots, at most `most` of them for one tenant.

    A tenant with any number of waiters delays another one until the next slot is free, not longer.
    """

    def __init__(self, total: int, most: int | None = None) -> None:
        self._free = total
        self._most = total if most is None else most
        self._counts: Counter[str] = Counter()
        # In the order in which tenants began to wait.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def slot(self, tenant: str) -> AsyncIterator[None]:
        """Hold a slot while the block runs."""
        await self.acquire(tenant)
        try:
            yield
        finally:
            self.release(tenant)

    async def acquire(self, tenant: str) -> None:
        """Wait for a slot."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)
        self._grant()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(tenant)
            else:
                self._forget(tenant, turn)
            raise

    def release(self, tenant: str) -> None:
        """Give a slot back."""
        self._free += 1
        self._counts[tenant] -= 1
        if not self._counts[tenant]:
            del self._counts[tenant]
        self._grant()

    def _grant(self) -> None:
        """Give free slots to waiting tenants, those that hold the fewest first."""
        while self._free:
            able = [tenant for tenant in self._waiting if self._counts[tenant] < self._most]
            if not able:
                return
            tenant = min(able, key=self._counts.__getitem__)
            turn = self._waiting[tenant][0]
            self._forget(tenant, turn)
            self._free -= 1
            self._counts[tenant] += 1
            turn.set_result(None)

    def _forget(self, tenant: str, turn: asyncio.Future[None]) -> None:
        turns = self._waiting[tenant]
        turns.remove(turn)
        # A tenant that waits on goes to the end of those that hold as many.
        del self._waiting[tenant]
        if turns:
            self._waiting[tenant] = turns
