"""Grading on a real PostgreSQL and a real nats-server; the tests publish the events of claims."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from services.grading.__main__ import SERVICE
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from tests.support.databases import Databases
from tests.support.stack_client import StackClient, stack_client, with_nats


@pytest.fixture
def clock() -> SetClock:
    return SetClock(datetime(2025, 9, 1, 1, 0, tzinfo=UTC))


@pytest.fixture
async def client(
    stack: Settings, databases: Databases, nats_server: NatsServer, clock: SetClock
) -> AsyncIterator[StackClient]:
    settings = with_nats(stack, nats_server, await databases.fresh("grading"))
    async with stack_client([SERVICE], settings, clock) as client:
        yield client
