"""All eight services on one database and one nats-server, for who acts and who sees what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from services.__main__ import NAMES, all_services
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from tests.support.databases import Databases
from tests.support.stack_client import StackClient, stack_client, with_nats

# The window of months from which the bands of 2026 are fixed has ended.
NOW = datetime(2025, 11, 15, 1, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
async def client(
    stack: Settings, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[StackClient]:
    """The whole system, once for a module."""
    folder = tmp_path_factory.mktemp("people")
    server = NatsServer(folder / "nats")
    await server.start()
    settings = with_nats(stack, server, await databases.fresh(*NAMES))
    settings = settings.model_copy(update={"state_dir": folder, "pool_size": 4})
    async with stack_client(all_services(), settings, SetClock(NOW)) as running:
        yield running
    await server.stop()
