"""Each service, and the servers under it, are killed; nothing is lost and nothing doubled.

Seeds are printed; OIP_SEED repeats a run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from services.__main__ import NAMES, all_services
from services.runtime.base import failpoints
from services.runtime.embedded import PostgresServer
from tests.support.fault_cases import CASES
from tests.support.fault_run import MONTH_END, FaultRun
from tests.support.service_process import ServiceProcess

SEED = int(os.environ.get("OIP_SEED", "20250701"))
DEATH_SECONDS = 120
CRASHES = 3
LOAD_ROUNDS = 15
STOP_SECONDS = 60
# A month ends soon after the first start, so the first life dies there.
PLACES = [
    MONTH_END,
    *(name for name in failpoints.NAMES if not name.startswith("orders.") and name != MONTH_END),
]
END_MONTHS = {service.name for service in all_services() if service.month_end is not None}
# Services whose calls are acts that a second person signs.
SIGNED = {"premiums", "grading", "benefits", "fund"}


def test_no_service_is_left_out() -> None:
    assert sorted(case.service for case in CASES) == sorted(NAMES)
    consuming = {service.name for service in all_services() if service.consumed}
    assert {case.service for case in CASES if case.event is not None} == consuming


@asynccontextmanager
async def loaded(run: FaultRun, serving: ServiceProcess) -> AsyncIterator[None]:
    """Calls and events come while the block runs and the service lives."""
    stop = asyncio.Event()

    async def load() -> None:
        for _ in range(LOAD_ROUNDS):
            if stop.is_set() or serving.process.returncode is not None:
                return
            await run.write_own(1)
            await run.publish(2)
            await run.change(serving, 2)

    load_task = asyncio.create_task(load())
    try:
        yield
    finally:
        stop.set()
        # PostgreSQL or NATS may be away while the test writes to them.
        with contextlib.suppress(Exception):
            await load_task


async def test_a_service_killed_at_each_failpoint_loses_and_doubles_nothing(run: FaultRun) -> None:
    """K1. A life for each place; each finds what the life before left behind."""
    for place in PLACES:
        if place.startswith("listener") and run.case.event is None:
            continue
        if place == MONTH_END and run.service not in END_MONTHS:
            continue
        if place.startswith("signatures.") and run.service not in SIGNED:
            continue
        async with run.living(OIP_FAILPOINT=f"{place}:kill") as serving:
            if place == MONTH_END:
                await run.work_month(serving)
            await run.write_own(1)
            await run.publish(3)
            await run.change(serving, 2)
            ended = await asyncio.wait_for(serving.process.wait(), DEATH_SECONDS)
            assert ended == -signal.SIGKILL, place
    async with run.living() as serving:
        await run.check(serving)
    is_signed = await run.count(f"select count(*) from {run.service}.act_signature") > 0
    assert is_signed == (run.service in SIGNED)


async def test_a_service_killed_at_random_in_a_crash_loop_loses_and_doubles_nothing(
    run: FaultRun,
) -> None:
    """K2 and K7."""
    sys.stdout.write(f"OIP_SEED={SEED}\n")
    chance = random.Random(f"{SEED} {run.service}")
    for _ in range(CRASHES):
        async with run.living() as serving, loaded(run, serving):
            await asyncio.sleep(chance.uniform(0.05, 1.0))
            await serving.kill()
    async with run.living() as serving:
        await run.check(serving)


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
        async with loaded(run, serving):
            await asyncio.sleep(0.3)
            await strike(run, postgres)
            await asyncio.sleep(0.3)
        await run.check(serving)


async def test_a_service_that_is_stopped_under_load_ends_cleanly_and_in_time(
    run: FaultRun,
) -> None:
    """K6. Its watchdog would end it with another exit code."""
    async with run.living() as serving, loaded(run, serving):
        await asyncio.sleep(0.5)
        serving.process.terminate()
        assert await asyncio.wait_for(serving.process.wait(), STOP_SECONDS) == 0
    async with run.living() as serving:
        await run.check(serving)
