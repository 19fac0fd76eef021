"""Registrations of platforms, as enrolment publishes them."""

from __future__ import annotations

from oip.enrolment.v1 import events_pb2 as enrolment_events

from services.kernel import names
from services.premiums.store import registrations as registration_store
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def on_platform_registered(
    tx: Transaction, event: enrolment_events.PlatformRegistered, _context: CommandContext
) -> None:
    """Replace a platform's industries; an event older than the stored one is ignored."""
    (platform,) = names.parse(event.platform, "platforms", field="platform")
    await registration_store.update(tx, platform, event.revision, list(event.industries))
