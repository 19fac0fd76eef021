"""Premiums alone, on real servers; the events of orders and enrolment come from the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date

import pytest

from services.premiums.__main__ import SERVICE
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from tests.support.databases import Databases
from tests.support.stack_client import StackClient, stack_client, with_nats


@pytest.fixture
async def client(
    stack: Settings, databases: Databases, nats_server: NatsServer, clock: SetClock
) -> AsyncIterator[StackClient]:
    """The service with its own database and nats-server, on 5 August 2025."""
    settings = with_nats(stack, nats_server, await databases.fresh("premiums"))
    async with stack_client([SERVICE], settings, clock) as running:
        running.set_day(date(2025, 8, 5))
        yield running
        assert await running.broken("premiums") == []
