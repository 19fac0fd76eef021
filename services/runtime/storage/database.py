"""Transactions on a service's own schema, under its own role, with every wait bounded.

The pool has a fixed size, each session has time limits, no transaction outlives its caller, and a
database that may lose a confirmed commit is refused.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias, TypeVar

import psycopg
import structlog
from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from services.kernel.problems import Kind, Problem

Transaction: TypeAlias = AsyncConnection
R = TypeVar("R")

EVERYTHING = "*"

POOL_WAIT_SECONDS = 2
RECYCLE_SECONDS = 1800
CONNECT_SECONDS = 5
END_SECONDS = 10
STATEMENT_SECONDS = 60
TRANSACTION_SECONDS = 120
# `transaction_timeout` came with PostgreSQL 17; on 15 and 16 the other limits have to do.
TRANSACTION_TIMEOUT_SINCE = 170000
SESSION = {
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "15s",
    # A caller that is cancelled twice leaves its query running, and its locks held, without this.
    "client_connection_check_interval": "2s",
    "timezone": "UTC",
}
_SCOPE = "select set_config('oip.platform', %(platform)s, true)"
_ASSUME_ROLE = text(
    "select set_config('role', :role, true), set_config('lock_timeout', :lock_wait, true)"
)
_SET_TIME_LIMITS = (
    "select set_config(name, %(limit)s, true) from pg_settings"
    " where name in ('statement_timeout', 'transaction_timeout')"
)
# Of sessions that only read. Their queries are small and use keys, often on tables with many
# partitions, where planning each query costs more than running it.
READ_ONLY = {
    "oip.platform": EVERYTHING,
    "default_transaction_read_only": "on",
    "plan_cache_mode": "force_generic_plan",
}
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")

RETRY_COUNT_MAX = 5
RETRY_FIRST_SECONDS = 0.02
_SERIALISATION = {"40001", "40P01"}
_LOCKED = {"55P03"}
_FULL = {"53100", "53200", "53300"}

log = structlog.get_logger(part="database")


class Overloaded(Problem):
    """The service has more work than it accepts at a time."""

    kind, reason = Kind.OVERLOADED, "OVERLOADED"
    message = "The {service} service is busy; wait a moment and send the same request again."
    message_zh = "{service} 服务繁忙; 请稍候用同一请求重试。"


class RecordBusy(Problem):
    """Another transaction has locked the same record."""

    kind, reason = Kind.RACED, "RECORD_BUSY"
    message = "Another change to the same record is under way; send the same request again."
    message_zh = "同一记录正在被另一操作修改; 请用同一请求重试。"


class StaleRevisionError(RuntimeError):
    """A change was made to a revision that is not the stored one; nothing of it may be kept."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} was changed since it was read: lock the row before changing it")


class NotDurableError(RuntimeError):
    """The database may lose a commit that it has confirmed."""

    def __init__(self, setting: str) -> None:
        super().__init__(
            f"PostgreSQL runs with {setting} off, so a confirmed payment could be lost; "
            f"set {setting} = on for the server, the database and the role"
        )


class Database:
    """A pool of connections to one service's schema under one role."""

    def __init__(
        self, url: str, service: str, *, role: str | None = None, pool_size: int = 8
    ) -> None:
        self.service = service
        self._pool_size = pool_size
        session = {**SESSION, "role": role or f"oip_{service}", "search_path": service}
        self._engine = _engine(url, service, session, pool_size=pool_size)
        self._read_only = _engine(
            url,
            service,
            {**session, **READ_ONLY},
            pool_size=max(1, pool_size // 2),
            isolation_level="AUTOCOMMIT",
        )

    @asynccontextmanager
    async def begin(
        self,
        platform: str = EVERYTHING,
        *,
        serializable: bool = False,
        seconds: int | None = None,
    ) -> AsyncIterator[Transaction]:
        """A transaction that sees one platform's rows, or everything.

        It commits when the block ends and rolls back when the block raises; both happen even if
        the caller is cancelled meanwhile. `seconds` raises the time limits for a long
        transaction. Raises Overloaded if no connection is free within two seconds.
        """
        time_limits = () if seconds is None else ((_SET_TIME_LIMITS, {"limit": f"{seconds}s"}),)
        connection = await self._open(platform, *time_limits, serializable=serializable)
        with self._problems():
            try:
                yield connection
            except BaseException:
                await _finish(_end(connection, commit=False))
                raise
            await _finish(_end(connection, commit=True))

    @asynccontextmanager
    async def read(self, platform: str = EVERYTHING) -> AsyncIterator[Transaction]:
        """For queries on one platform's rows, or on all; each sees what is committed.

        Queries on all rows use read-only sessions without a transaction, which saves two round
        trips to the server. If a connection died in the pool, the first query raises an error with
        `connection_invalidated`; a repeat gets a new connection.
        """
        if platform != EVERYTHING:
            async with self.begin(platform) as tx:
                yield tx
            return
        connection = await self._connect(self._read_only)
        with self._problems():
            try:
                yield connection
            except BaseException:
                await _finish(_end(connection, commit=False))
                raise
            # There is no transaction to end, so nothing to wait for.
            await connection.close()

    async def check(self, patience_seconds: float = 30.0) -> None:
        """Connect, and wait for a server that is starting; servers may start after services.

        Raises NotDurableError, or the server's own error.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + patience_seconds
        while True:
            try:
                async with self.begin() as tx:
                    await tx.execute(text("select 1"))
            except OperationalError as error:
                if not _may_be_starting(error) or loop.time() > end:
                    raise
                log.info("database_awaited", service=self.service)
                await asyncio.sleep(0.5)
            else:
                return

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()
        await self._read_only.dispose()

    @property
    def checked_out_count(self) -> int:
        """Connections in use now."""
        pools: list[Any] = [self._engine.pool, self._read_only.pool]
        return sum(pool.checkedout() for pool in pools)

    async def _open(
        self, platform: str, *first: tuple[str, dict[str, str]], serializable: bool = False
    ) -> AsyncConnection:
        """A connection with a scoped transaction in which `first` has run, in one round trip.

        The trip also shows whether the connection died in the pool. Nothing has been done by then,
        so the next connection is tried, until all that the pool may hold were tried.
        """
        for tries_left in reversed(range(self._pool_size + 1)):
            connection = await self._connect(self._engine)
            try:
                if serializable:
                    await connection.execution_options(isolation_level="SERIALIZABLE")
                await connection.begin()
                driver = await driver_of(connection)
                with as_database_error(driver):
                    async with driver.pipeline():
                        for statement, values in ((_SCOPE, {"platform": platform}), *first):
                            await driver.execute(statement, values)
            except OperationalError:
                if not driver.closed or not tries_left:
                    await _finish(_end(connection, commit=False))
                    raise
                await _drop(connection)
            except BaseException:
                # A pipeline that is cut off leaves answers behind, which the next user of the
                # session would take for its own.
                await _finish(_drop(connection))
                raise
            else:
                return connection
        raise AssertionError("the last try returns or raises")

    async def _connect(self, engine: AsyncEngine) -> AsyncConnection:
        try:
            return await engine.connect()
        except PoolTimeoutError as error:
            raise Overloaded(service=self.service) from error

    @contextmanager
    def _problems(self) -> Iterator[None]:
        """Raise a Problem in place of a database error that the caller can act on."""
        try:
            yield
        except Exception as error:
            problem = _as_problem(error, self.service)
            if problem is not None:
                raise problem from error
            raise


async def driver_of(tx: Transaction) -> psycopg.AsyncConnection[Any]:
    """The driver's own connection, for COPY, pipelines and the most frequent queries.

    Use it within `as_database_error`.
    """
    driver: psycopg.AsyncConnection[Any] | None = (await tx.get_raw_connection()).driver_connection
    if driver is None:
        raise RuntimeError("the connection was given back to the pool")
    return driver


@contextmanager
def as_database_error(driver: psycopg.AsyncConnection[Any]) -> Iterator[None]:
    """Raise the driver's errors as SQLAlchemy does, which the rest of the program expects."""
    try:
        yield
    except psycopg.Error as error:
        closed = driver.closed
        raise OperationalError(None, None, error, connection_invalidated=closed) from error


async def assume_role(tx: Transaction, role: str, *, lock_wait: str) -> None:
    """Continue under another role, and wait this long for locks, until the transaction ends."""
    await tx.execute(_ASSUME_ROLE, {"role": role, "lock_wait": lock_wait})


async def retrying(work: Callable[[], Awaitable[R]]) -> R:
    """Repeat a whole transaction after a serialisation failure or a deadlock.

    At most five runs, with a growing random pause. `work` opens the transaction itself.
    """
    for attempt in range(1, RETRY_COUNT_MAX + 1):
        try:
            return await work()
        except DBAPIError as error:
            if sqlstate(error) not in _SERIALISATION or attempt == RETRY_COUNT_MAX:
                raise
            log.info("transaction_repeated", attempt=attempt, sqlstate=sqlstate(error))
        pause = RETRY_FIRST_SECONDS * 2**attempt
        await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - jitter
    raise AssertionError("the last attempt returns or raises")


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE of an error; empty if it has none."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def as_psycopg(url: str) -> URL:
    """A PostgreSQL URL in the form that SQLAlchemy needs for psycopg."""
    return make_url(url).set(drivername="postgresql+psycopg")


def _engine(url: str, service: str, session: Mapping[str, str], **options: Any) -> AsyncEngine:
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
            "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
            "application_name": f"oip_{service}",
            "connect_timeout": CONNECT_SECONDS,
        },
    )
    event.listen(engine.sync_engine, "connect", _check_session)
    return engine


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


async def _end(connection: AsyncConnection, *, commit: bool) -> None:
    """Commit or roll back and return the connection; drop it if the server does not answer."""
    try:
        async with asyncio.timeout(END_SECONDS):
            if commit:
                await connection.commit()
            else:
                await connection.rollback()
    except BaseException as error:
        log.warning("connection_dropped", error=type(error).__name__, committing=commit)
        await connection.invalidate()
        if commit:
            raise
    finally:
        await connection.close()


async def _drop(connection: AsyncConnection) -> None:
    """Close the session behind a connection instead of returning it to the pool."""
    await connection.invalidate()
    await connection.close()


async def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end even if the caller is cancelled; raise the cancellation afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        task.exception()
        raise cancelled
    task.result()


def _may_be_starting(error: OperationalError) -> bool:
    """Whether waiting may help: no server answers, or it reports that it is starting up.

    For a refused connection the driver has no code, only the server's text, which begins with
    FATAL.
    """
    message = str(error.orig)
    return "FATAL" not in message or "starting up" in message or "shutting down" in message


def _as_problem(error: BaseException, service: str) -> Problem | None:
    code = sqlstate(error)
    if code in _LOCKED:
        return RecordBusy()
    if code in _FULL:
        log.error("database_full", service=service, sqlstate=code)
        return Overloaded(service=service)
    return None
