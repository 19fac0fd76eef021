"""Transactions on a service's own schema, under its own role, with every wait bounded.

The pool has a fixed size, each session has time limits, no transaction outlives its caller, and a
database that may lose a confirmed commit is refused.
"""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias, TypeVar, cast

import psycopg
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kernel.problems import Kind, Problem, record_of_others
from services.kernel.scope import EVERYTHING, Scope
from services.runtime.storage.read_sessions import ReadSessions
from services.runtime.storage.sessions import (
    ANSWER_SECONDS,
    SESSION,
    STATEMENT_SECONDS,
    BoundedConnection,
    SilentServerError,
    new_engine,
)

Transaction: TypeAlias = AsyncConnection
R = TypeVar("R")

# The waits to open and to end a transaction; a server that answers needs milliseconds.
OPEN_SECONDS = 5
END_SECONDS = 10
_SCOPE = "select " + ", ".join(
    f"set_config('oip.{name}', %({name})s, true)" for name in EVERYTHING.settings
)
_ASSUME_ROLE = text(
    "select set_config('role', :role, true), set_config('lock_timeout', :lock_wait, true)"
)
_EVERYTHING_IS = text("select current_setting('oip.everything', true)")
_SET_EVERYTHING = text("select set_config('oip.everything', :value, true)")
_SET_TIME_LIMITS = (
    "select set_config(name, %(limit)s, true) from pg_settings"
    " where name in ('statement_timeout', 'transaction_timeout')"
)
# Of sessions that only read. Their queries are small and use keys, often on tables with many
# partitions, where planning each query costs more than running it.
READ_ONLY = {
    "oip.everything": "on",
    "default_transaction_read_only": "on",
    "plan_cache_mode": "force_generic_plan",
}
RETRY_COUNT_MAX = 5
RETRY_FIRST_SECONDS = 0.02
_SERIALISATION = {"40001", "40P01"}
_LOCKED = {"55P03"}
_NO_PRIVILEGE = "42501"
_DISK_FULL = "53100"
# What the server says of a row that the policy of its table refuses.
_OTHERS_ROW = "violates row-level security policy"
_FULL = {_DISK_FULL, "53200", "53300"}

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


class Database:
    """A pool of connections to one service's schema under one role."""

    def __init__(
        self, url: str, service: str, *, role: str | None = None, pool_size: int = 8
    ) -> None:
        self.service = service
        self._pool_size = pool_size
        self._answer_seconds: float = ANSWER_SECONDS
        # When the server last reported what it has no space for, by the loop's clock.
        self._full_times: list[float] = []
        session = {**SESSION, "role": role or f"oip_{service}", "search_path": service}
        self._engine = new_engine(url, service, session, pool_size=pool_size)
        read_only = new_engine(
            url,
            service,
            {**session, **READ_ONLY},
            pool_size=max(1, pool_size // 2),
            isolation_level="AUTOCOMMIT",
        )
        self._readers = ReadSessions(read_only)

    @asynccontextmanager
    async def begin(
        self,
        scope: Scope = EVERYTHING,
        *,
        serializable: bool = False,
        seconds: int | None = None,
    ) -> AsyncIterator[Transaction]:
        """A transaction that sees the rows of its scope, by default everything.

        It commits when the block ends and rolls back when the block raises; both happen even if
        the caller is cancelled meanwhile. `seconds` raises the time limits for a long
        transaction. Raises Overloaded if no connection is free within two seconds.
        """
        time_limits = () if seconds is None else ((_SET_TIME_LIMITS, {"limit": f"{seconds}s"}),)
        connection, driver = await self._open(scope, *time_limits, serializable=serializable)
        extra_seconds = 0 if seconds is None else max(0, seconds - STATEMENT_SECONDS)
        driver.wait_seconds = self._answer_seconds + extra_seconds
        with self._problems():
            try:
                yield connection
            except BaseException:
                driver.wait_seconds = END_SECONDS
                await _finish(_end(connection, commit=False))
                raise
            driver.wait_seconds = END_SECONDS
            await _finish(_end(connection, commit=True))

    @asynccontextmanager
    async def read(self, scope: Scope = EVERYTHING) -> AsyncIterator[Transaction]:
        """For queries on the rows of a scope, by default on all; each sees what is committed.

        Queries on all rows use read-only sessions without a transaction, which saves two round
        trips to the server. If a connection died in the pool, the first query raises an error with
        `connection_invalidated`; a repeat gets a new connection.
        """
        if not scope.everything:
            async with self.begin(scope) as tx:
                yield tx
            return
        connection = await self._free(self._readers.take())
        with self._problems():
            try:
                yield connection
            except BaseException as error:
                self._readers.forget(connection)
                await _finish(_end(connection, commit=False))
                if isinstance(error, DBAPIError) and error.connection_invalidated:
                    await self._readers.close()
                raise
            # There is no transaction to end, so nothing to wait for.
            await self._readers.give_back(connection)

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

    def bounded(self, seconds: float) -> Database:
        """The same pool for work in the background, which nobody cancels after a deadline.

        Its transactions wait at most `seconds` for each answer.
        """
        database = copy.copy(self)
        database._answer_seconds = seconds  # noqa: SLF001 - of the same class
        return database

    def seconds_since_full(self) -> float | None:
        """Since when the server has not reported a full disk; None if it never has."""
        if not self._full_times:
            return None
        return asyncio.get_running_loop().time() - self._full_times[0]

    async def close(self) -> None:
        """Close the pool; connections in use are closed once they were returned."""
        await self._engine.dispose()
        await self._readers.close()

    @property
    def checked_out_count(self) -> int:
        """Connections in use now."""
        pool: Any = self._engine.pool
        return int(pool.checkedout()) + self._readers.in_use_count

    async def _open(
        self, scope: Scope, *first: tuple[str, dict[str, str]], serializable: bool = False
    ) -> tuple[AsyncConnection, BoundedConnection]:
        """A connection with a scoped transaction in which `first` has run, in one round trip.

        The trip also shows whether the connection died in the pool. Nothing has been done by then,
        so the next connection is tried, until all that the pool may hold were tried.
        """
        for tries_left in reversed(range(self._pool_size + 1)):
            connection = await self._free(self._engine.connect())
            try:
                if serializable:
                    await connection.execution_options(isolation_level="SERIALIZABLE")
                await connection.begin()
                driver = cast("BoundedConnection", await driver_of(connection))
                driver.wait_seconds = OPEN_SECONDS
                with as_database_error(driver):
                    async with driver.pipeline():
                        for statement, values in ((_SCOPE, scope.settings), *first):
                            await driver.execute(statement, values)
            except OperationalError as error:
                if not driver.closed or not tries_left:
                    await _finish(_end(connection, commit=False))
                    raise
                await _drop(connection)
                if isinstance(error.orig, SilentServerError):
                    # So are the others of the pool; new ones show whether the server is there.
                    await self.close()
            except BaseException:
                # A pipeline that is cut off leaves answers behind, which the next user of the
                # session would take for its own.
                await _finish(_drop(connection))
                raise
            else:
                return connection, driver
        raise AssertionError("the last try returns or raises")

    async def _free(self, connection: Awaitable[AsyncConnection]) -> AsyncConnection:
        try:
            return await connection
        except PoolTimeoutError as error:
            raise Overloaded(service=self.service) from error

    @contextmanager
    def _problems(self) -> Iterator[None]:
        """Raise a Problem in place of a database error that the caller can act on."""
        try:
            yield
        except Exception as error:
            if sqlstate(error) == _DISK_FULL:
                self._full_times[:] = [asyncio.get_running_loop().time()]
            problem = _as_problem(error, self.service)
            if problem is not None:
                raise problem from error
            raise


async def driver_of(tx: Transaction) -> psycopg.AsyncConnection[Any]:
    """The driver's own connection, for COPY, pipelines and the most frequent queries.

    Use it within `as_database_error`.
    """
    known = tx.sync_connection
    pooled = (
        await tx.get_raw_connection() if known is None or known.invalidated else known.connection
    )
    driver: psycopg.AsyncConnection[Any] | None = pooled.driver_connection
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


@asynccontextmanager
async def seeing_everything(tx: Transaction) -> AsyncIterator[None]:
    """Within the block the transaction sees everything: for rules that must not miss a row.

    What they read may decide, but may not be shown to a caller who does not see it.
    """
    before = (await tx.execute(_EVERYTHING_IS)).scalar_one() or "off"
    if before == "on":
        yield
        return
    await tx.execute(_SET_EVERYTHING, {"value": "on"})
    yield
    await tx.execute(_SET_EVERYTHING, {"value": before})


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


async def _end(connection: AsyncConnection, *, commit: bool) -> None:
    """Commit or roll back and return the connection; drop it if the server does not answer."""
    try:
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
    if code == _NO_PRIVILEGE and _OTHERS_ROW in str(getattr(error, "orig", "")):
        return record_of_others()
    if code in _FULL:
        log.error("database_full", service=service, sqlstate=code)
        return Overloaded(service=service)
    return None
