"""What tests of every service stand on: a real PostgreSQL, a real nats-server, a set clock."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer, embedded
from services.runtime.storage.database import Database
from tests.support import reach
from tests.support.databases import Databases
from tests.support.limits import ROOMY
from tests.support.nats import NATS_USERS

# A benchmark measures the rules as they are.
if not any("tests/benchmarks" in argument for argument in sys.argv):
    reach.install()

# A file is run by one process; these run for half a minute and more.
LONGEST_FIRST = (
    "faults/test_claims_races",
    "faults/test_kills",
    "faults/test_lost_servers",
    "journeys/test_killed_month",
    "integration/runtime/test_start_refusals",
    "integration/benefits/test_one_accident",
    "integration/runtime/test_restore",
    "integration/runtime/test_processes",
    "journeys/",
    "integration/",
)
SERVER_FIXTURES = {"stack", "nats_server"}

OpenDatabase: TypeAlias = Callable[[str], Awaitable[Database]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts a PostgreSQL or a nats-server, so that `make unit` can leave it out.

    What takes longest is run first, so that no process ends long after the others.
    """
    items.sort(key=lambda item: _place_in_run(str(item.path)))
    for item in items:
        if SERVER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("server")


def _place_in_run(path: str) -> int:
    return next((place for place, part in enumerate(LONGEST_FIRST) if part in path), 99)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave what this process reached for tests/wired, which runs after all of them."""
    reach.write({item.path for item in session.items}, session.testsfailed)


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Settings]:
    """Settings with the URLs of both servers, which run for the whole session."""
    own = Settings(state_dir=tmp_path_factory.mktemp("state"), limits=ROOMY)
    async with embedded(own) as settings:
        yield settings


@pytest.fixture(scope="session")
def databases(stack: Settings) -> Databases:
    """Makes databases: `await databases.fresh("claims", "orders")` is the URL of a new one."""
    return Databases(stack.database_url)


@pytest.fixture(scope="module")
async def database(databases: Databases) -> AsyncIterator[OpenDatabase]:
    """`await database("claims")`: the service's migrated database, one for the test file."""
    opened: dict[str, Database] = {}

    async def open_database(service: str) -> Database:
        if service not in opened:
            opened[service] = Database(await databases.fresh(service), service)
        return opened[service]

    yield open_database
    await asyncio.gather(*(one.close() for one in opened.values()))


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A nats-server of the test's own."""
    server = NatsServer(tmp_path / "nats", users=NATS_USERS)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def clock() -> SetClock:
    """A clock that shows 1 July 2025, 09:00 in Shanghai, until it is set."""
    return SetClock(datetime(2025, 7, 1, 1, 0, tzinfo=UTC))


async def _until(holds: Callable[[], Any], seconds: float = 15.0) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not await holds():
        assert loop.time() < end, f"not reached within {seconds} seconds"
        await asyncio.sleep(0.05)


@pytest.fixture
def until() -> Callable[..., Any]:
    return _until
