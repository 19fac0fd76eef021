"""Enrolment alone, on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.enrolment.__main__ import SERVICE
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from tests.support.databases import Databases
from tests.support.stack_client import StackClient, stack_client


@pytest.fixture
async def client(
    stack: Settings, databases: Databases, clock: SetClock
) -> AsyncIterator[StackClient]:
    """The service, with a new database for each test."""
    database_url = await databases.fresh("enrolment")
    settings = stack.model_copy(update={"database_url": database_url})
    async with stack_client([SERVICE], settings, clock, compares=False) as client:
        yield client
