"""The sessions of a service on PostgreSQL: their limits, and how a silent server is noticed.

A server that vanishes without closing its connections sends nothing, not even an error. The kernel
notices a vanished host (keepalives, `tcp_user_timeout`); a server that is stopped, or lies behind a
proxy that lost it, still has a kernel that acknowledges. So each wait for an answer has a limit of
its own, after which the connection is closed and the caller gets an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import psycopg
import structlog
from psycopg.abc import PQGen
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from services.runtime.base.refusals import StartRefusedError

R = TypeVar("R")

POOL_WAIT_SECONDS = 2
RECYCLE_SECONDS = 1800
CONNECT_SECONDS = 5
STATEMENT_SECONDS = 60
TRANSACTION_SECONDS = 120
# The server ends a statement by itself; what takes longer than that has no answer.
ANSWER_SECONDS = STATEMENT_SECONDS + 5
WAIT_POLL_SECONDS = 0.1
# `transaction_timeout` came with PostgreSQL 17; on 15 and 16 the other limits have to do.
TRANSACTION_TIMEOUT_SINCE = 170000

# An idle connection to a vanished host is noticed after 10 + 3 x 3 s, one with unanswered data
# after 10 s. Both sides have the same limits: the server frees the locks of a vanished service.
KEEPALIVE_IDLE_SECONDS = 10
KEEPALIVE_INTERVAL_SECONDS = 3
KEEPALIVE_COUNT = 3
UNACKNOWLEDGED_MS = 10_000
NETWORK = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives": 1,
    "keepalives_idle": KEEPALIVE_IDLE_SECONDS,
    "keepalives_interval": KEEPALIVE_INTERVAL_SECONDS,
    "keepalives_count": KEEPALIVE_COUNT,
    "tcp_user_timeout": UNACKNOWLEDGED_MS,
}
SERVER_NETWORK = {
    "tcp_keepalives_idle": f"{KEEPALIVE_IDLE_SECONDS}s",
    "tcp_keepalives_interval": f"{KEEPALIVE_INTERVAL_SECONDS}s",
    "tcp_keepalives_count": str(KEEPALIVE_COUNT),
    "tcp_user_timeout": f"{UNACKNOWLEDGED_MS}ms",
}
SESSION = {
    **SERVER_NETWORK,
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "15s",
    # A caller that is cancelled twice leaves its query running, and its locks held, without this.
    "client_connection_check_interval": "2s",
    "timezone": "UTC",
}
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")

log = structlog.get_logger(part="database")


class NotDurableError(StartRefusedError):
    """The database may lose a commit that it has confirmed."""

    def __init__(self, setting: str) -> None:
        super().__init__(
            f"PostgreSQL runs with {setting} off, so a confirmed payment could be lost; "
            f"set {setting} = on for the server, the database and the role"
        )


class SilentServerError(psycopg.OperationalError):
    """The server did not answer within the limit; whether it did the work is unknown."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"PostgreSQL did not answer for {seconds:g} seconds")


class BoundedConnection(psycopg.AsyncConnection[Any]):
    """A connection that waits a limited time for each answer, then closes."""

    # Until the session is checked; then as long as its statements may take.
    wait_seconds: float = CONNECT_SECONDS

    async def wait(
        self,
        gen: PQGen[R],
        interval: float = WAIT_POLL_SECONDS,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's own parameter
    ) -> R:
        """Wait as the library does. Raises SilentServerError after `wait_seconds`."""
        seconds = self.wait_seconds if timeout is None else timeout
        try:
            return await super().wait(gen, interval, seconds)
        except psycopg.errors._WaitTimeout:  # noqa: SLF001 - the library has no public name for it
            # The answer may still arrive, and nobody may take it for that of another question.
            self.pgconn.finish()
            log.warning("database_silent", seconds=seconds)
            raise SilentServerError(seconds) from None

    def __del__(self, *_: object) -> None:
        """Close a connection that was given back to a pool which was closed meanwhile.

        The toolkit drops such a pool with what is in it; a connection that was never given back
        is still reported by the pool.
        """
        if hasattr(self, "pgconn"):
            self.pgconn.finish()


def new_engine(url: str, service: str, session: Mapping[str, str], **options: Any) -> AsyncEngine:
    """A pool of bounded connections with these settings of the session."""
    engine = create_async_engine(
        as_psycopg(url),
        **options,
        max_overflow=0,
        # Errors are logged, and values may be those of a person.
        hide_parameters=True,
        pool_timeout=POOL_WAIT_SECONDS,
        # The most recently used connection has the warmest caches, here and in the server.
        pool_use_lifo=True,
        pool_recycle=RECYCLE_SECONDS,
        connect_args={
            **NETWORK,
            "async_creator_fn": BoundedConnection.connect,
            "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
            "application_name": f"oip_{service}",
        },
    )
    event.listen(engine.sync_engine, "connect", _check_session)
    return engine


def as_psycopg(url: str) -> URL:
    """A PostgreSQL URL in the form that SQLAlchemy needs for psycopg."""
    return make_url(url).set(drivername="postgresql+psycopg")


def _check_session(connection: Any, _record: object) -> None:
    """Refuse a session whose commits may be lost; set the limit that only newer servers have."""
    cursor = connection.cursor()
    try:
        cursor.execute(
            "select "
            + ", ".join(f"current_setting('{name}')" for name in DURABLE)
            + ", current_setting('server_version_num')::int"
        )
        *values, version = cursor.fetchone()
        for name, value in zip(DURABLE, values, strict=True):
            if value == "off":
                raise NotDurableError(name)
        if version >= TRANSACTION_TIMEOUT_SINCE:
            cursor.execute(f"set transaction_timeout = '{TRANSACTION_SECONDS}s'")
    finally:
        cursor.close()
    connection.commit()
    connection.driver_connection.wait_seconds = ANSWER_SECONDS
