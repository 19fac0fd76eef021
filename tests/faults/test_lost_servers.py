"""The servers under each service are killed; nothing is lost and nothing doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from services.runtime.embedded import PostgresServer
from tests.support.fault_run import FaultRun


async def kill_nats(run: FaultRun, _postgres: PostgresServer) -> None:
    await run.server.kill()
    await asyncio.sleep(0.3)
    await run.server.start()


async def kill_postgres(_run: FaultRun, postgres: PostgresServer) -> None:
    port = postgres.port
    await postgres.kill()
    await postgres.start(port)


async def kill_both(run: FaultRun, postgres: PostgresServer) -> None:
    port = postgres.port
    await asyncio.gather(postgres.kill(), run.server.kill())
    await run.server.start()
    await postgres.start(port)
    await asyncio.gather(postgres.kill(), run.server.kill())
    await postgres.start(port)
    await run.server.start()


Strike = Callable[[FaultRun, PostgresServer], Awaitable[None]]


@pytest.mark.parametrize("strike", [kill_nats, kill_postgres, kill_both])
async def test_a_service_outlives_its_servers(
    run: FaultRun, postgres: PostgresServer, strike: Strike
) -> None:
    """K3, K4, K5: it needs no restart."""
    async with run.living() as serving:
        async with run.loaded(serving):
            await asyncio.sleep(0.3)
            await strike(run, postgres)
            await asyncio.sleep(0.3)
        await run.check(serving)
