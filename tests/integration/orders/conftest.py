"""Orders alone, on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.runtime.base.settings import Settings
from tests.support.databases import Databases
from tests.support.uploading import OrderDesk, order_desk


@pytest.fixture
async def desk(stack: Settings, databases: Databases) -> AsyncIterator[OrderDesk]:
    """The service with a database of the test's own, in August 2025, and workers 1 to 9."""
    async with order_desk(stack, databases) as desk:
        yield desk


@pytest.fixture(scope="module")
async def shared_desk(stack: Settings, databases: Databases) -> AsyncIterator[OrderDesk]:
    """The same, one for all tests of a file."""
    async with order_desk(stack, databases) as desk:
        yield desk
