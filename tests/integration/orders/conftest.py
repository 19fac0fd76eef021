"""Orders alone, on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.orders.__main__ import SERVICE
from services.runtime.clock import SetClock
from services.runtime.settings import Settings
from services.runtime.stack import stack as run_stack
from tests.support.databases import Databases
from tests.support.uploading import NOW, OrderDesk


@pytest.fixture
async def desk(stack: Settings, databases: Databases) -> AsyncIterator[OrderDesk]:
    """The service with a database of the test's own, in August 2025, and workers 1 to 9."""
    async with _desk(stack, databases) as desk:
        yield desk


@pytest.fixture(scope="module")
async def shared_desk(stack: Settings, databases: Databases) -> AsyncIterator[OrderDesk]:
    """The same, one for all tests of a file."""
    async with _desk(stack, databases) as desk:
        yield desk


@asynccontextmanager
async def _desk(stack: Settings, databases: Databases) -> AsyncIterator[OrderDesk]:
    settings = stack.model_copy(update={"database_url": await databases.fresh("orders")})
    clock = SetClock(NOW)
    async with run_stack([SERVICE], settings, clock=clock, any_port=True, grace=1) as running:
        desk = OrderDesk(running)
        await desk.enrol(*range(1, 10))
        yield desk
        await desk.close()
