"""What comes twice, at once or in another order takes effect once, in each service."""

from __future__ import annotations

import os
import random
import sys

import grpc
import pytest

from tests.support.fault_run import FaultRun

SEED = int(os.environ.get("OIP_SEED", "20250701"))
EVENTS, COPIES = 12, 3


async def test_calls_that_come_several_times_at_once_change_once(run: FaultRun) -> None:
    """D3: one effect, one response. D4: another call under the same request id has no effect."""
    async with run.living() as serving:
        for _ in range(3):
            await run.change_at_once(serving, 8)
        await run.check(serving)
        refusal = await run.refusal(serving, len(run.responses), id_of=0)
        assert refusal.reason == "REQUEST_ID_REUSED"
        assert refusal.code is grpc.StatusCode.ALREADY_EXISTS
        await run.check(serving)


async def test_events_that_are_doubled_and_in_any_order_take_effect_once(run: FaultRun) -> None:
    """D1 and D2."""
    if run.case.event is None:
        pytest.skip(f"{run.service} consumes no events")
    sys.stdout.write(f"OIP_SEED={SEED}\n")
    chance = random.Random(f"{SEED} {run.service}")
    async with run.living() as serving:
        await run.publish_disordered(chance, EVENTS, COPIES)
        await run.check(serving)
    # While nobody listens, and together with what was consumed before.
    await run.publish_disordered(chance, EVENTS, COPIES)
    async with run.living() as serving:
        await run.check(serving)


async def test_what_is_repeated_in_the_next_life_gets_the_stored_response(run: FaultRun) -> None:
    """D5, and D6: an effect was committed, and its acknowledgement is lost with the process."""
    place = "requests.after_commit"
    if run.case.event is not None:
        place = "listener.after_commit"
        await run.publish(1)
    async with run.living(OIP_FAILPOINT=f"{place}:kill") as serving:
        await run.change(serving, 2)
        assert await serving.process.wait() < 0
    async with run.living() as serving:
        await run.check(serving)
