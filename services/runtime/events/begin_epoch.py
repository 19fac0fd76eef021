"""Begins a new epoch: run once after a database was restored from a backup, before its service.

    python -m services.runtime.events.begin_epoch claims

The restored database does not know the numbers assigned after the backup. In a new epoch no number
can identify two events; listeners find the new epoch through Replay.
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
    """Begin a new epoch for each service; returns the epochs by service."""
    epochs = {}
    for service in services:
        database = Database(settings.database_of(service), service, pool_size=1)
        epoch = secrets.token_hex(EPOCH_BYTES)
        async with database.begin() as tx:
            await outbox.begin_epoch(tx, epoch)
        await database.close()
        epochs[service] = epoch
    return epochs


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
        logs.logger("begin_epoch").info("epoch_begun", service=service, epoch=epoch)


if __name__ == "__main__":
    main()
