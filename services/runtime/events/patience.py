"""Waiting for a JetStream that does not answer, as after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import nats.errors
import nats.js.errors
import structlog

from services.runtime.events.streams import NotMigratedError

R = TypeVar("R")

log = structlog.get_logger(part="bus")


API_PATIENCE_SECONDS = 45


async def patiently(work: Callable[[], Awaitable[R]]) -> R:
    """Repeat a call for up to 45 seconds while JetStream does not answer or is not migrated."""
    loop = asyncio.get_running_loop()
    end = loop.time() + API_PATIENCE_SECONDS
    pause = 0.1
    while True:
        try:
            return await work()
        except (
            OSError,
            TimeoutError,
            NotMigratedError,
            nats.errors.NoServersError,
            nats.errors.NoRespondersError,
            nats.js.errors.ServiceUnavailableError,
        ) as error:
            if isinstance(error, NotMigratedError):
                log.warning("not_migrated", text=str(error))
            if loop.time() + pause > end:
                raise
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 2)
