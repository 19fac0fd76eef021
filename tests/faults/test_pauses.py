"""Servers that are paused look alive to the kernel; each service notices and needs no restart."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.fault_run import FaultRun
from tests.support.killed_orders import ask, until

_SESSIONS = "select pid from pg_stat_activity where application_name = %s"
# More than the waits of the background and then of the connections in the pool. A service that
# does not notice never goes on: the sessions are paused until it has.
NOTICED_SECONDS = 120
PAUSE_SECONDS = 4


@contextmanager
def paused(pids: list[int]) -> Iterator[None]:
    """SIGSTOP, and SIGCONT at the end."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                continue


async def test_a_service_whose_sessions_and_bus_are_paused_goes_on(run: FaultRun) -> None:
    """L5 and L1: new sessions take the place of those that fell silent, while they still are."""
    url = run.settings.database_url
    async with run.living() as serving:
        await run.change(serving, 2)
        await run.check(serving)
        sessions = [pid for (pid,) in await ask(url, _SESSIONS, f"oip_{run.service}")]
        assert sessions
        with paused(sessions):
            with paused([run.server.pid]):
                await run.write_own(3)
                await run.change(serving, 2)
                await asyncio.sleep(PAUSE_SECONDS)
            await run.publish(3)
            await run.finish(serving, NOTICED_SECONDS)

        async def is_healthy() -> bool:
            return not await serving.faults()

        await until(is_healthy, NOTICED_SECONDS)
        await run.check(serving)
