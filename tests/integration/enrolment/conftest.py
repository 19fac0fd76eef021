"""Enrolment alone, on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.enrolment.__main__ import SERVICE
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.service.stack import Stack, stack
from tests.support.databases import Databases


@pytest.fixture
async def alone(stack_settings: Settings, clock: SetClock) -> AsyncIterator[Stack]:
    """The service with a database of the test's own."""
    async with stack([SERVICE], stack_settings, clock=clock, any_port=True) as running:
        yield running


@pytest.fixture
async def stack_settings(stack: Settings, databases: Databases) -> Settings:
    return stack.model_copy(update={"database_url": await databases.fresh("enrolment")})
