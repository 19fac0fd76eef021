"""Transactions on a service's own schema, under its own role, with every wait bounded.

Rules P1 to P14 of the reliability notes: a fixed pool, time limits in each session, no transaction
that outlives its caller, and a refusal to run on a database that may forget a commit.
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
_LIFT = (
    "select set_config(name, %(limit)s, true) from pg_settings"
    " where name in ('statement_timeout', 'transaction_timeout')"
)
# Of sessions for questions. They are small and go by keys, often to tables of many partitions, so
# that planning each anew costs more than the answer.
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
    """More work has come than the service takes at a time."""

    kind, reason = Kind.OVERLOADED, "OVERLOADED"
    message = "The {service} service is busy; wait a moment and send the same request again."
    message_zh = "{service} 服务繁忙; 请稍候用同一请求重试。"


class RecordBusy(Problem):
    """Another change holds the same record."""

    kind, reason = Kind.RACED, "RECORD_BUSY"
    message = "Another change to the same record is under way; send the same request again."
    message_zh = "同一记录正在被另一操作修改; 请用同一请求重试。"


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
        the caller is cancelled meanwhile. `seconds` lifts the time limits for a long piece of
        work. Raises Overloaded if no connection is free within two seconds.
        """
        lifted = () if seconds is None else ((_LIFT, {"limit": f"{seconds}s"}),)
        connection = await self._open(platform, *lifted, serializable=serializable)
        with self._problems():
            try:
                yield connection
            except BaseException:
                await _finish(_end(connection, commit=False))
                raise
            await _finish(_end(connection, commit=True))

    @asynccontextmanager
    async def read(self, platform: str = EVERYTHING) -> AsyncIterator[Transaction]:
        """For questions about one platform's rows, or everything; each sees what is committed.

        Questions about everything go to sessions made for them, which can change nothing and need
        no transaction around: that would take two more trips to the server. A connection that
        died in the pool shows at the first question; asked again, it goes to a new one.
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
            # There is nothing to end, so nothing to wait for.
            await connection.close()

    async def check(self, patience_seconds: float = 30.0) -> None:
        """Connect, waiting for a server that is starting; raises NotDurableError, or what it says.

        Servers and services of one machine start in any order.
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
        """A connection with a transaction begun and scoped, and `first` done, all in one trip.

        That trip also shows whether the connection died in the pool. Nothing has been done by
        then, so the next one is taken, until all that may have been there are tried.
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
                await connection.invalidate()
                await connection.close()
            except BaseException:
                await _finish(_end(connection, commit=False))
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
        """Raise the problem that a caller can understand in place of the database's error."""
        try:
            yield
        except Exception as error:
            problem = _as_problem(error, self.service)
            if problem is not None:
                raise problem from error
            raise


async def driver_of(tx: Transaction) -> psycopg.AsyncConnection[Any]:
    """The driver's own connection, for COPY, pipelines and what is asked millions of times.

    Use it within `as_database_error`.
    """
    driver: psycopg.AsyncConnection[Any] | None = (await tx.get_raw_connection()).driver_connection
    assert driver is not None
    return driver


@contextmanager
def as_database_error(driver: psycopg.AsyncConnection[Any]) -> Iterator[None]:
    """Raise the driver's errors in the form in which the rest of the program knows them."""
    try:
        yield
    except psycopg.Error as error:
        lost = driver.closed
        raise OperationalError(None, None, error, connection_invalidated=lost) from error


async def retrying(work: Callable[[], Awaitable[R]]) -> R:
    """Run a whole transaction again when PostgreSQL refuses its order or finds a deadlock.

    At most five times, with a growing random pause. `work` opens the transaction itself.
    """
    for attempt in range(1, RETRY_COUNT_MAX + 1):
        try:
            return await work()
        except DBAPIError as error:
            if sqlstate(error) not in _SERIALISATION or attempt == RETRY_COUNT_MAX:
                raise
            log.info("transaction_repeated", attempt=attempt, sqlstate=sqlstate(error))
        pause = RETRY_FIRST_SECONDS * 2**attempt
        await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - spreads, hides nothing
    raise AssertionError("the last attempt returns or raises")


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's code of an error, or nothing."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def as_psycopg(url: str) -> URL:
    """A PostgreSQL URL in the form SQLAlchemy wants for psycopg."""
    return make_url(url).set(drivername="postgresql+psycopg")


def _engine(url: str, service: str, session: Mapping[str, str], **options: Any) -> AsyncEngine:
    engine = create_async_engine(
        as_psycopg(url),
        **options,
        max_overflow=0,
        # Errors are logged, and values may be those of a person.
        hide_parameters=True,
        pool_timeout=POOL_WAIT_SECONDS,
        # The connection used last is the one whose caches, here and in the server, are warm.
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
    """Refuse a session whose commits may be lost; set what only newer servers know."""
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
    """Commit or roll back, and give the connection back; one that does not answer is dropped."""
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


async def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end whatever happens to the caller; cancellation is passed on afterwards."""
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
    """Whether waiting may help: no server answers, or it says that it is starting up.

    The driver gives no code for a refused connection, only the server's words, which begin with
    FATAL.
    """
    words = str(error.orig)
    return "FATAL" not in words or "starting up" in words or "shutting down" in words


def _as_problem(error: BaseException, service: str) -> Problem | None:
    code = sqlstate(error)
    if code in _LOCKED:
        return RecordBusy()
    if code in _FULL:
        log.error("database_full", service=service, sqlstate=code)
        return Overloaded(service=service)
    return None
