"""The two services that a push talks to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.enrolment.__main__ import SERVICE as ENROLMENT
from services.orders.__main__ import SERVICE as ORDERS
from services.runtime.base.settings import Settings
from services.runtime.service.stack import Stack
from services.runtime.service.stack import stack as run_stack
from tests.support.databases import Databases


@asynccontextmanager
async def enrolment_and_orders(settings: Settings, databases: Databases) -> AsyncIterator[Stack]:
    """Both, with separate databases."""
    url = await databases.fresh("enrolment", "orders")
    filled = settings.model_copy(update={"database_url": url})
    async with run_stack(
        [ENROLMENT, ORDERS], filled, any_port=True, grace=1, compares=False
    ) as running:
        yield running
