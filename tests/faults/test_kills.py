"""Each service is killed and stopped; nothing is lost and nothing doubled.

Seeds are printed; OIP_SEED repeats a run.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys

from services.__main__ import NAMES, all_services
from services.runtime.base import failpoints
from tests.support.fault_cases import CASES
from tests.support.fault_run import MONTH_END, FaultRun

SEED = int(os.environ.get("OIP_SEED", "20250701"))
DEATH_SECONDS = 120
CRASHES = 3
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
            async with asyncio.timeout(DEATH_SECONDS):
                while serving.process.returncode is None:
                    await run.change(serving, 2)
                    await asyncio.sleep(0.2)
            assert serving.process.returncode == -signal.SIGKILL, place
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
        async with run.living() as serving, run.loaded(serving):
            await asyncio.sleep(chance.uniform(0.05, 1.0))
            await serving.kill()
    async with run.living() as serving:
        await run.check(serving)


async def test_a_service_that_is_stopped_under_load_ends_cleanly_and_in_time(
    run: FaultRun,
) -> None:
    """K6. Its watchdog would end it with another exit code."""
    async with run.living() as serving, run.loaded(serving):
        await asyncio.sleep(0.5)
        serving.process.terminate()
        assert await asyncio.wait_for(serving.process.wait(), STOP_SECONDS) == 0
    async with run.living() as serving:
        await run.check(serving)
