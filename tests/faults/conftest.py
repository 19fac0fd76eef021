"""Servers of the fault tests alone, which they may kill, and one run for each service."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer, PostgresServer
from tests.support.databases import Databases
from tests.support.fault_cases import CASES, FaultCase
from tests.support.fault_run import FaultRun, fault_run
from tests.support.killed_orders import until
from tests.support.leftovers import disks_in, processes_in


@pytest.fixture(scope="session", autouse=True)
async def nothing_is_left(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[None]:
    """After all fixtures have ended, no process of the run lives and no disk of it is mounted."""
    folder = tmp_path_factory.getbasetemp()
    yield

    async def have_ended() -> bool:
        return not processes_in(folder)

    try:
        await until(have_ended)
    except TimeoutError:
        pytest.fail(f"these processes are left: {processes_in(folder)}")
    assert disks_in(folder) == []


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PostgresServer]:
    """A PostgreSQL that tests of faults may kill."""
    server = PostgresServer(tmp_path_factory.mktemp("faults") / "postgres")
    await server.start()
    yield server
    # A server that is killed leaves its shared memory behind.
    await server.stop()


@pytest.fixture(scope="session")
def fault_databases(postgres: PostgresServer) -> Databases:
    return Databases(postgres.url)


@pytest.fixture(scope="module", params=CASES, ids=[case.service for case in CASES])
async def run(
    request: pytest.FixtureRequest,
    fault_databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[FaultRun]:
    """Each service in turn, on its own database and its own NATS, over all tests of a file."""
    case: FaultCase = request.param
    folder = tmp_path_factory.mktemp(case.service)
    server = NatsServer(folder / "nats")
    await server.start()
    settings = Settings(
        state_dir=folder / "state", database_url=await fault_databases.fresh(case.service)
    )
    try:
        async with fault_run(case, settings, server) as running:
            yield running
    finally:
        await server.stop()
