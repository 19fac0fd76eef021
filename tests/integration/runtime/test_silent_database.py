"""A PostgreSQL that vanishes without closing its connections is noticed, and given up in time."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from services.runtime.rpc.error_status import is_unavailable
from services.runtime.storage import database as database_module
from services.runtime.storage import migrate, sessions
from services.runtime.storage.database import Database, Transaction, driver_of
from tests.support.databases import TOY_SERVICES, Databases
from tests.support.tcp_proxy import Mode, TcpProxy, tcp_proxy

# Of tests; the constants of production are tens of seconds.
SECONDS = 0.5
# The driver waits for the server to cancel a query, which is silent too.
CANCEL_SECONDS = 12


@pytest.fixture
async def url(databases: Databases) -> str:
    return await databases.fresh("toy", root=TOY_SERVICES)


@pytest.fixture
async def proxy(url: str) -> AsyncIterator[TcpProxy]:
    place = make_url(url)
    async with tcp_proxy(place.host or "", place.port or 0) as running:
        yield running


@pytest.fixture
async def toys(
    url: str, proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    for name in ("OPEN_SECONDS", "END_SECONDS"):
        monkeypatch.setattr(database_module, name, SECONDS)
    monkeypatch.setitem(sessions.NETWORK, "connect_timeout", 2)
    address = make_url(url).set(host="127.0.0.1", port=proxy.port)
    pool = Database(address.render_as_string(hide_password=False), "toy", pool_size=3)
    yield pool.bounded(SECONDS)
    await pool.close()


async def one(tx: Transaction) -> int:
    return int((await tx.execute(text("select 1"))).scalar_one())


async def works(toys: Database) -> None:
    """All connections of the pool can be used, and none is in use."""

    async def use() -> None:
        async with toys.begin() as tx:
            assert await one(tx) == 1
            await asyncio.sleep(0.05)

    await asyncio.gather(use(), use(), use())
    assert toys.checked_out_count == 0


@contextmanager
def within(seconds: float) -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


async def test_a_query_to_a_silent_server_is_an_outage_and_its_connection_is_dropped(
    toys: Database, proxy: TcpProxy
) -> None:
    await works(toys)

    async def ask() -> None:
        async with toys.begin() as tx:
            proxy.mode = Mode.BLACKHOLE
            await one(tx)

    with within(5), pytest.raises(OperationalError) as raised:
        await ask()
    assert is_unavailable(raised.value)

    proxy.mode = Mode.PASS
    with within(3):
        await works(toys)


async def test_a_pool_that_fell_silent_while_idle_is_replaced_in_one_wait(
    toys: Database, proxy: TcpProxy
) -> None:
    await works(toys)
    proxy.mode = Mode.BLACKHOLE
    with within(5), pytest.raises(OperationalError):
        await works(toys)

    proxy.mode = Mode.PASS
    with within(3):
        await works(toys)


async def test_a_commit_whose_answer_is_lost_ends_unknown_and_is_done(
    toys: Database, proxy: TcpProxy
) -> None:
    async def ring() -> None:
        async with toys.begin() as tx:
            await tx.execute(text("insert into bell (name, platform, rings) values ('a', 'P', 1)"))
            proxy.mode = Mode.DROP_REPLIES

    with within(5), pytest.raises(OperationalError) as raised:
        await ring()
    assert is_unavailable(raised.value)

    proxy.mode = Mode.PASS
    async with toys.begin() as tx:
        assert (await tx.execute(text("select rings from bell"))).scalar_one() == 1


async def test_cancelling_a_query_to_a_silent_server_ends_in_time(
    toys: Database, proxy: TcpProxy
) -> None:
    async def wait() -> None:
        async with toys.begin() as tx:
            (await driver_of(tx)).wait_seconds = 600  # type: ignore[attr-defined]
            proxy.mode = Mode.BLACKHOLE
            await one(tx)

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0.5)
    assert not waiting.done()
    waiting.cancel()
    with within(CANCEL_SECONDS), pytest.raises(asyncio.CancelledError):
        await waiting

    proxy.mode = Mode.PASS
    await works(toys)


async def test_a_read_only_query_and_a_new_connection_end_in_time_too(
    toys: Database, proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "ANSWER_SECONDS", SECONDS)
    async with toys.read() as tx:
        assert await one(tx) == 1
    proxy.mode = Mode.BLACKHOLE

    async def ask() -> None:
        async with toys.read() as tx:
            await one(tx)

    for _ in range(2):  # the pooled connection, then a new one
        with within(5), pytest.raises(OperationalError):
            await ask()


async def test_every_connection_notices_a_vanished_host(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    toys = Database(url, "toy", pool_size=1)
    limits: list[dict[str, int]] = []
    async with toys.begin() as tx:
        limits.append(tcp_limits(await driver_of(tx)))
        for name, value in sessions.SERVER_NETWORK.items():
            shown = await tx.execute(
                text("select setting, unit from pg_settings where name = :n"), {"n": name}
            )
            setting, unit = shown.one()
            assert f"{setting}{unit or ''}" == value
    async with toys.read() as tx:
        limits.append(tcp_limits(await driver_of(tx)))
    await toys.close()

    create_engine = sa.create_engine

    def watched(*arguments: object, **options: object) -> sa.Engine:
        engine = create_engine(*arguments, **options)  # type: ignore[call-overload]
        sa.event.listen(engine, "connect", lambda raw, _: limits.append(tcp_limits(raw)))
        assert isinstance(engine, sa.Engine)
        return engine

    monkeypatch.setattr(sa, "create_engine", watched)
    await migrate.migrate(url, ["toy"], TOY_SERVICES)

    expected = {
        "idle": sessions.KEEPALIVE_IDLE_SECONDS,
        "interval": sessions.KEEPALIVE_INTERVAL_SECONDS,
        "count": sessions.KEEPALIVE_COUNT,
        "unacknowledged": sessions.UNACKNOWLEDGED_MS,
    }
    assert limits == [expected] * 3


def tcp_limits(
    driver: psycopg.AsyncConnection[object] | psycopg.Connection[object],
) -> dict[str, int]:
    with socket.socket(fileno=socket.dup(driver.fileno())) as line:
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        options = {
            "idle": socket.TCP_KEEPIDLE,
            "interval": socket.TCP_KEEPINTVL,
            "count": socket.TCP_KEEPCNT,
            "unacknowledged": socket.TCP_USER_TIMEOUT,
        }
        return {
            name: line.getsockopt(socket.IPPROTO_TCP, option) for name, option in options.items()
        }
