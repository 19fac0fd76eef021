"""Orders alone, on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.runtime.base.settings import Settings
from services.runtime.service.stack import Stack
from tests.support.databases import Databases
from tests.support.snapshots import Snapshot, month_has_ended, take_snapshot
from tests.support.stack_client import StackClient
from tests.support.upload_stack import enrolment_and_orders
from tests.support.uploads import NOW, as_rows, orders_client, row, upload_one


@pytest.fixture(scope="module")
async def running_orders(stack: Settings, databases: Databases) -> AsyncIterator[StackClient]:
    """The service with a database for the file, in August 2025, and workers 1 to 9."""
    async with orders_client(stack, databases) as client:
        yield client


@pytest.fixture(scope="module")
async def empty_orders(running_orders: StackClient) -> Snapshot:
    """The rows of the service before any test: enrolments and the end of July."""
    await month_has_ended(running_orders.stack.settings.database_url, "orders")
    return await take_snapshot(running_orders.stack.settings.database_url, "orders")


@pytest.fixture
async def client(running_orders: StackClient, empty_orders: Snapshot) -> StackClient:
    """The service with the rows that it began with. Tests that use it may not change the day."""
    running_orders.clock.set(NOW)
    await empty_orders.restore()
    # After a batch of new rows intake expects new rows again, as a service does that just started.
    await upload_one(running_orders, as_rows("new", [row("new")]))
    await empty_orders.restore_in_new_epoch()
    return running_orders


@pytest.fixture(scope="module")
async def running_pair(stack: Settings, databases: Databases) -> AsyncIterator[Stack]:
    """Enrolment and orders with databases for the file, by the machine's clock."""
    async with enrolment_and_orders(stack, databases) as running:
        yield running


@pytest.fixture(scope="module")
async def empty_pair(running_pair: Stack) -> tuple[Snapshot, ...]:
    """Both services with the end of last month and no other row."""
    url = running_pair.settings.database_url
    for service in ("enrolment", "orders"):
        await month_has_ended(url, service)
    return await take_snapshot(url, "enrolment"), await take_snapshot(url, "orders")


@pytest.fixture
async def pair(running_pair: Stack, empty_pair: tuple[Snapshot, ...]) -> Stack:
    """Enrolment and orders as they began."""
    for snapshot in empty_pair:
        await snapshot.restore_in_new_epoch()
    return running_pair


@pytest.fixture
async def new_client(stack: Settings, databases: Databases) -> AsyncIterator[StackClient]:
    """The same with a separate service and database for the test."""
    async with orders_client(stack, databases) as client:
        yield client
