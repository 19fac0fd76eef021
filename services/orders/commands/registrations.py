"""Which platforms are registered, from the local copy that PlatformRegistered feeds.

The event arrives a moment after enrolment has answered its caller, so an unknown platform is looked
up again for two seconds before it is refused.
"""

from __future__ import annotations

import asyncio

from oip.enrolment.v1 import events_pb2

from services.kernel import names
from services.kernel.problems import PlatformNotRegistered
from services.kernel.scope import Scope
from services.orders.commands.enrolments import WAITS
from services.orders.store import registrations as store
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Database, Transaction

REMEMBERED_MAX = 10_000


async def on_platform_registered(
    tx: Transaction, event: events_pb2.PlatformRegistered, _context: CommandContext
) -> None:
    """Store a registration; repeats and any order are harmless."""
    (platform,) = names.parse(event.platform, "platforms", field="platform")
    await store.insert(tx, platform)


class RegisteredPlatforms:
    """Looks platforms up, and remembers them, and those whose registration did not arrive."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._registered: set[str] = set()
        self._awaited: set[str] = set()

    async def require(self, platform: str) -> None:
        """Raise PlatformNotRegistered unless the platform is registered, or is in a moment."""
        if platform in self._registered or await self._is_registered(platform):
            return
        for wait in () if platform in self._awaited else WAITS:
            await asyncio.sleep(wait)
            if await self._is_registered(platform):
                return
        if len(self._awaited) >= REMEMBERED_MAX:
            self._awaited.clear()
        self._awaited.add(platform)
        raise PlatformNotRegistered(name=names.name("platforms", platform))

    async def _is_registered(self, platform: str) -> bool:
        async with self._database.begin(Scope(platform=platform)) as tx:
            is_registered = await store.find(tx, platform)
        if is_registered:
            self._registered.add(platform)
        return is_registered
