"""Run once after a service's database was restored from a backup, before the service starts.

    python -m services.runtime.events.begin_epoch claims

Numbers that the service gave out after the backup are lost with it. It begins a new epoch, so that
no number ever stands for two events; listeners then find the new epoch by themselves.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Iterable

from services.runtime.base import log as logs
from services.runtime.base.settings import Settings
from services.runtime.events import outbox
from services.runtime.storage.database import Database

EPOCH_BYTES = 6


async def begin_epochs(settings: Settings, services: Iterable[str]) -> dict[str, str]:
    """Begin a new epoch for each service; the epochs by service."""
    begun = {}
    for service in services:
        database = Database(settings.database_of(service), service, pool_size=1)
        epoch = secrets.token_hex(EPOCH_BYTES)
        async with database.begin() as tx:
            await outbox.begin_epoch(tx, epoch)
        await database.close()
        begun[service] = epoch
    return begun


def main() -> None:
    """Begin new epochs for the services named on the command line."""
    settings, services = Settings(), sys.argv[1:]
    logs.configure(quiet=settings.quiet)
    unknown = [service for service in services if service not in settings.addresses]
    if not services or unknown:
        sys.exit(f"Name the services whose databases were restored; unknown: {unknown or 'none'}.")
    missing = [service for service in services if not settings.database_of(service)]
    if missing:
        sys.exit("Set OIP_DATABASE_URL to the database that was restored.")
    for service, epoch in asyncio.run(begin_epochs(settings, services)).items():
        logs.logger("restored").info("epoch_begun", service=service, epoch=epoch)


if __name__ == "__main__":
    main()
