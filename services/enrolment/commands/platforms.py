"""Changes of the register of platforms."""

from __future__ import annotations

from services.enrolment import events
from services.enrolment.domain.platforms import Platform, RegisteredPlatform
from services.enrolment.domain.problems import PlatformExists
from services.enrolment.store import platforms as platform_store
from services.runtime.events import outbox
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def register_platform(
    tx: Transaction, platform: Platform, context: CommandContext
) -> RegisteredPlatform:
    """Register a platform; a repeat changes nothing.

    Raises PlatformExists when it is registered with other particulars.
    """
    is_new = await platform_store.insert(tx, platform, context.now)
    registered = await platform_store.get(tx, platform.credit_code)
    if registered.platform != platform:
        raise PlatformExists(name=platform.name)
    if is_new:
        await outbox.add(tx, events.platform_registered(registered), context.now)
    return registered
