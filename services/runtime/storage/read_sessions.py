"""Sessions for queries on all rows, kept from one query to the next.

Taking a connection from the toolkit's pool and giving it back costs a sixth of a small query. A
session without a transaction has nothing to clean up, so it stays taken for a while.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

# The pool renews old connections; it gets them back this often.
KEPT_SECONDS = 60.0


class ReadSessions:
    """The idle sessions of an engine without transactions."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # With the time until which each is kept; the most recently used one comes last.
        self._idle: list[tuple[AsyncConnection, float]] = []
        # The same of those in use.
        self._ends: dict[AsyncConnection, float] = {}
        self._waiting_count = 0

    async def take(self) -> AsyncConnection:
        """A session. Raises as the engine does, if none is free in time."""
        if self._idle:
            connection, end = self._idle.pop()
        else:
            self._waiting_count += 1
            try:
                connection = await self._engine.connect()
            finally:
                self._waiting_count -= 1
            end = time.monotonic() + KEPT_SECONDS
        self._ends[connection] = end
        return connection

    async def give_back(self, connection: AsyncConnection) -> None:
        """Keep the session for the next query, unless somebody waits for one of the pool."""
        end = self._ends.pop(connection, 0.0)
        if self._waiting_count or time.monotonic() > end or connection.in_transaction():
            await connection.close()
        else:
            self._idle.append((connection, end))

    def forget(self, connection: AsyncConnection) -> None:
        """The session was closed: a query failed on it."""
        self._ends.pop(connection, None)

    async def close(self) -> None:
        """Close the idle sessions; those in use are closed when they are given back."""
        idle, self._idle = self._idle, []
        self._ends = dict.fromkeys(self._ends, 0.0)
        for connection, _ in idle:
            await connection.close()
        await self._engine.dispose()

    @property
    def in_use_count(self) -> int:
        """How many sessions are in use."""
        return len(self._ends)
