"""`python -m services.migrate`: brings all schemas, streams and consumers up to date.

It runs before each release: as the owner of the databases, and as the user `migrate` of NATS, which
alone may create and change streams and consumers. Which consumers exist follows from the handlers
of the services. Repeating it changes nothing; it also restores the streams of a lost store.
"""

from __future__ import annotations

import asyncio
import sys

from services.__main__ import all_services
from services.runtime.base import log as logs
from services.runtime.base.settings import Settings
from services.runtime.events.jetstream import migrate_streams
from services.runtime.service.start_refusals import sentence_of, settings_or_exit
from services.runtime.storage.migrate import migrate_all


async def migrate_everything(settings: Settings) -> None:
    """Migrate every schema, then every stream and consumer."""
    await migrate_all(settings)
    await migrate_streams(settings, {each.name: each.producers for each in all_services()})


def main() -> None:
    """Migrate the servers that the settings name; a reason not to is printed as one sentence."""
    settings = settings_or_exit()
    logs.configure(quiet=settings.quiet)
    if not (settings.database_url or settings.enrolment_database_url) or not settings.nats_url:
        sys.exit("Set OIP_DATABASE_URL and OIP_NATS_URL to the servers to migrate.")
    try:
        asyncio.run(migrate_everything(settings))
    except Exception as error:
        sentence = sentence_of(error, settings)
        if sentence is None:
            raise
        sys.exit(sentence)


if __name__ == "__main__":
    main()
