"""A real PostgreSQL and a real nats-server from their wheels, in the state folder.

    async with embedded(Settings()) as settings: ...

starts each server whose URL is not set, and stops it at the end. The servers listen on the loopback
interface only, each with its own password. They do not outlive this process, even if it is killed;
servers left by an earlier, killed run are stopped first.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import structlog

from services.runtime.base.settings import Settings
from services.runtime.base.tasks import end as end_tasks
from services.runtime.embedded.folder import StateInUseError, locked
from services.runtime.embedded.nats import NatsServer
from services.runtime.embedded.postgres import PostgresServer
from services.runtime.embedded.processes import CannotStartError

__all__ = [
    "CannotStartError",
    "NatsServer",
    "PostgresServer",
    "ServerEndedError",
    "StateInUseError",
    "embedded",
]

WATCH_SECONDS = 0.5
STORE_WATCH_SECONDS = 1.0

log = structlog.get_logger(part="embedded")


class ServerEndedError(RuntimeError):
    """An embedded server has ended unexpectedly."""

    def __init__(self, log_file: Path) -> None:
        super().__init__(
            f"{log_file.stem} has ended unexpectedly; its log is {log_file}. "
            "Nothing that was confirmed is lost: run the same command again"
        )


@asynccontextmanager
async def embedded(settings: Settings) -> AsyncIterator[Settings]:
    """Start each server whose URL is not set; yields the settings with all URLs.

    Raises StateInUseError if another stack runs on the same folder, CannotStartError if a server
    does not start; both say in one sentence what to do.
    """
    if settings.database_url and settings.nats_url:
        yield settings
        return
    async with AsyncExitStack() as stack:
        stack.enter_context(_ended_by_sigterm())
        folder = stack.enter_context(locked(settings.state_dir))
        servers: list[PostgresServer | NatsServer] = []
        urls: dict[str, str | Path] = {}
        if not settings.database_url:
            postgres = PostgresServer(folder / "postgres")
            stack.push_async_callback(postgres.stop)
            servers.append(postgres)
            urls["database_url"] = await postgres.start()
        if not settings.nats_url:
            nats_server = NatsServer(folder / "nats")
            stack.push_async_callback(nats_server.stop)
            servers.append(nats_server)
            urls["nats_url"] = await nats_server.start()
            urls["nats_monitor_url"] = nats_server.monitor_url
            urls["nats_key_dir"] = nats_server.key_dir
        await stack.enter_async_context(_ended_with(servers))
        yield settings.model_copy(update=urls)


@asynccontextmanager
async def _ended_with(servers: Sequence[PostgresServer | NatsServer]) -> AsyncIterator[None]:
    """End the block with ServerEndedError if a server ends unexpectedly."""
    owner = asyncio.current_task()
    ended: list[PostgresServer | NatsServer] = []

    async def watch() -> None:
        while not ended:
            await asyncio.sleep(WATCH_SECONDS)
            ended.extend(server for server in servers if server.has_ended)
        log.error("server_ended", log=[str(server.log_file) for server in ended])
        if owner is not None:
            owner.cancel()

    watchers = [asyncio.create_task(watch(), name="watch the embedded servers")]
    watchers += [
        asyncio.create_task(_keep_storing(server, ended), name="watch the store of NATS")
        for server in servers
        if isinstance(server, NatsServer)
    ]
    try:
        yield
    except asyncio.CancelledError:
        if not ended or owner is None:
            raise
        owner.uncancel()
        raise ServerEndedError(ended[0].log_file) from None
    finally:
        await end_tasks(watchers)


async def _keep_storing(server: NatsServer, ended: list[PostgresServer | NatsServer]) -> None:
    """Restart a server that stores nothing more; if it does not start, it has ended."""
    while True:
        await asyncio.sleep(STORE_WATCH_SECONDS)
        try:
            await server.restart_if_stuck()
        except CannotStartError:
            log.exception("server_not_restarted")
            ended.append(server)
            return


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM cancel the task, unless the caller has installed a handler.

    For SIGINT, `asyncio.run` does the same.
    """
    task = asyncio.current_task()
    if task is None or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    except (RuntimeError, ValueError):  # not the main thread: no signal handlers here
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
