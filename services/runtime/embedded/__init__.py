"""A real PostgreSQL and a real nats-server from their wheels, below the state folder.

    async with embedded(Settings()) as settings: ...

starts what no URL was set for, and stops it at the end. The servers listen on the loopback
interface only, each with a password of its own. They do not outlive this process, even if it is
killed; what an earlier, killed run left behind is stopped first.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from services.runtime.embedded.folder import StateInUseError, locked
from services.runtime.embedded.nats import NatsServer
from services.runtime.embedded.postgres import PostgresServer
from services.runtime.embedded.processes import CannotStartError
from services.runtime.settings import Settings

__all__ = ["CannotStartError", "NatsServer", "PostgresServer", "StateInUseError", "embedded"]


@asynccontextmanager
async def embedded(settings: Settings) -> AsyncIterator[Settings]:
    """Start the servers that are not set, and give the settings with their URLs filled in.

    Raises StateInUseError if another stack runs on the same folder, CannotStartError if a server
    does not come up; both say what to do in one sentence.
    """
    if settings.database_url and settings.nats_url:
        yield settings
        return
    async with AsyncExitStack() as stack:
        stack.enter_context(_ended_by_sigterm())
        folder = stack.enter_context(locked(settings.state_dir))
        urls: dict[str, str] = {}
        if not settings.database_url:
            postgres = PostgresServer(folder / "postgres")
            stack.push_async_callback(postgres.stop)
            urls["database_url"] = await postgres.start()
        if not settings.nats_url:
            nats_server = NatsServer(folder / "nats")
            stack.push_async_callback(nats_server.stop)
            urls["nats_url"] = await nats_server.start()
            urls["nats_monitor_url"] = nats_server.monitor_url
        yield settings.model_copy(update=urls)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the task in good order, unless whoever runs us has a handler of their own.

    SIGINT does so by itself under `asyncio.run`.
    """
    task = asyncio.current_task()
    if task is None or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    except (RuntimeError, ValueError):  # not the main thread: the starter ends us another way
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
