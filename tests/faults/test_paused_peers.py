"""A service that another one asks is paused: it looks alive to the kernel and answers nothing.

The asking service answers within the deadline of its caller, and goes on by itself afterwards.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import pytest
from oip.fund.v1 import fund_pb2, fund_pb2_grpc

from services.kernel.periods import Month
from services.runtime.rpc import limits
from services.runtime.rpc.client import CLIENT_OPTIONS, RemoteProblem
from services.runtime.rpc.wire import month_to_wire
from tests.support.fault_cases import CASES
from tests.support.fault_run import FaultRun
from tests.support.killed_orders import until
from tests.support.ports import reserved_port
from tests.support.service_process import START_SECONDS, ServiceProcess

# Longer than the keepalive of a channel takes to give a connection up.
PAUSE_SECONDS = 30
# Of the calls to the asking service.
DEADLINE_SECONDS = 4
# What a service answers that cannot reach another one.
UNREACHABLE = "A part of the system is not reachable; repeat the call with the same request id."
# The services that ask others.
CLAIMS, FUND = (case for case in CASES if case.service in {"claims", "fund"})


@asynccontextmanager
async def peer(run: FaultRun, name: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A service that is asked, in its own process."""
    with reserved_port() as port:
        address = f"127.0.0.1:{port}"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.neighbours",
            name,
            address,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "OIP_STATE_DIR": str(run.settings.state_dir),
            },
        )
        try:
            async with grpc.aio.insecure_channel(address, options=CLIENT_OPTIONS) as channel:
                await asyncio.wait_for(channel.channel_ready(), START_SECONDS)
            yield process, address
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
            await process.wait()


@contextmanager
def paused(process: asyncio.subprocess.Process) -> Any:
    """SIGSTOP, and SIGCONT at the end."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


async def refusal_in_time(run: FaultRun, serving: ServiceProcess, number: int) -> RemoteProblem:
    """Why a change that is sent under the deadline is refused."""

    async def limited() -> RemoteProblem:
        limits.set_seconds_left(DEADLINE_SECONDS)
        return await run.refusal(serving, number)

    # A task of its own: the deadline is that of the calls in it.
    return await asyncio.create_task(limited())


@pytest.mark.parametrize("run", [CLAIMS], ids=["claims"], indirect=True)
@pytest.mark.parametrize("name", CLAIMS.asks)
async def test_claims_answers_unavailable_while_a_peer_is_paused(run: FaultRun, name: str) -> None:
    """L5."""
    async with (
        peer(run, name) as (process, address),
        run.living(**{f"OIP_{name.upper()}_ADDRESS": address}) as serving,
    ):
        await run.change(serving, 1)
        refusals = []
        with paused(process):
            end = time.monotonic() + PAUSE_SECONDS
            while time.monotonic() < end:
                number = len(run.responses)
                run.responses[number] = None
                refusals.append(await refusal_in_time(run, serving, number))
        assert all(refusal.is_unreachable for refusal in refusals), refusals
        # Claims itself answers, before the deadline of its caller has passed.
        assert UNREACHABLE in {refusal.sentence for refusal in refusals}
        await run.check(serving)


@pytest.mark.parametrize("run", [FUND], ids=["fund"], indirect=True)
async def test_fund_names_the_producer_that_is_paused(run: FaultRun) -> None:
    """L5."""
    name = "premiums"
    async with (
        peer(run, name) as (process, address),
        run.living(**{f"OIP_{name.upper()}_ADDRESS": address}) as serving,
    ):
        stub = serving.channels("fund_officer").stub(fund_pb2_grpc.FundServiceStub, "fund")

        async def is_unreachable() -> bool:
            request = fund_pb2.TrialSettlementRequest(month=month_to_wire(Month(2025, 7)))
            period = await stub.TrialSettlement(request, timeout=30)
            return any(
                obstacle.reason == "PRODUCER_UNREACHABLE" and name in obstacle.text
                for obstacle in period.obstacles
            )

        async def is_reachable() -> bool:
            return not await is_unreachable()

        assert await is_reachable()
        with paused(process):
            assert await is_unreachable()
        await until(is_reachable)
        await run.check(serving)
