"""Premiums alone, on real servers; what orders tells comes from the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from services.premiums.__main__ import SERVICE
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.service.stack import stack
from tests.integration.premiums.desk import Premiums
from tests.support.databases import Databases


@pytest.fixture
async def premiums(stack_settings: Settings, clock: SetClock) -> AsyncIterator[Premiums]:
    """The service with a database of the test's own, on 5 August 2025."""
    clock.set(datetime(2025, 8, 5, 4, tzinfo=UTC))
    async with stack([SERVICE], stack_settings, clock=clock, any_port=True, grace=0.5) as running:
        made = Premiums(running, clock)
        yield made
        assert await made.broken() == []
        for channels in made.opened:
            await channels.close()


@pytest.fixture
async def stack_settings(
    stack: Settings, databases: Databases, nats_server: NatsServer
) -> Settings:
    """A database and a nats-server of the test's own: others' tests tell of orders too."""
    return stack.model_copy(
        update={
            "database_url": await databases.fresh("premiums"),
            "nats_url": nats_server.url,
            "nats_monitor_url": nats_server.monitor_url,
        }
    )
