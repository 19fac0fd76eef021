"""Transactions: durable, bounded, scoped to one platform, and none outlives its caller."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from services.kernel.problems import Forbidden
from services.kernel.scope import Scope
from services.runtime.storage.database import (
    Database,
    Overloaded,
    RecordBusy,
    Transaction,
    retrying,
)
from services.runtime.storage.sessions import NotDurableError
from tests.support.databases import TOY_SERVICES, Databases


@pytest.fixture
async def url(databases: Databases) -> str:
    return await databases.fresh("toy", root=TOY_SERVICES)


@pytest.fixture
async def toys(url: str) -> AsyncIterator[Database]:
    database = Database(url, "toy", pool_size=3)
    yield database
    await database.close()


async def add(tx: Transaction, name: str, platform: str = "P", rings: int = 0) -> None:
    await tx.execute(
        text("insert into bell (name, platform, rings) values (:name, :platform, :rings)"),
        {"name": name, "platform": platform, "rings": rings},
    )


async def names(tx: Transaction) -> set[str]:
    return {row.name for row in await tx.execute(text("select name from bell"))}


async def setting(tx: Transaction, name: str) -> str:
    return str((await tx.execute(text(f"show {name}"))).scalar_one())


async def test_a_session_has_its_limits_and_its_role(toys: Database) -> None:
    async with toys.begin() as tx:
        assert await setting(tx, "statement_timeout") == "1min"
        assert await setting(tx, "lock_timeout") == "2s"
        assert await setting(tx, "idle_in_transaction_session_timeout") == "15s"
        assert await setting(tx, "client_connection_check_interval") == "2s"
        assert await setting(tx, "transaction_timeout") == "2min"
        assert await setting(tx, "search_path") == "toy"
        user = (await tx.execute(text("select current_user"))).scalar_one()
        assert user == "oip_toy"


async def test_a_long_piece_of_work_may_lift_the_limits_for_itself_alone(toys: Database) -> None:
    async with toys.begin(seconds=600) as tx:
        assert await setting(tx, "statement_timeout") == "10min"
        assert await setting(tx, "transaction_timeout") == "10min"
    async with toys.begin() as tx:
        assert await setting(tx, "statement_timeout") == "1min"


async def test_a_platform_sees_and_writes_its_own_rows_only(toys: Database) -> None:
    async with toys.begin() as tx:
        await add(tx, "a", "A")
        await add(tx, "b", "B")

    async with toys.begin(Scope(platform="A")) as tx:
        assert await names(tx) == {"a"}
    with pytest.raises(Forbidden):
        async with toys.begin(Scope(platform="A")) as tx:
            await add(tx, "c", "B")
    async with toys.begin() as tx:
        assert await names(tx) == {"a", "b"}


async def test_the_scope_does_not_stay_on_the_connection(url: str) -> None:
    database = Database(url, "toy", pool_size=1)
    async with database.begin(Scope(platform="A")) as tx:
        await add(tx, "a", "A")
    async with database.begin() as tx:
        assert await setting(tx, "oip.platform") == ""
        assert await setting(tx, "oip.everything") == "on"
        assert await names(tx) == {"a"}
    await database.close()


async def test_the_role_cannot_touch_another_schema_or_what_is_append_only(
    toys: Database,
) -> None:
    for statement in (
        "delete from outbox",
        "update audit set actor = 'x'",
        "delete from inbox",
        "truncate audit",
        "create table t ()",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"):
            async with toys.begin() as tx:
                await tx.execute(text(statement))


async def test_a_full_pool_refuses_in_time_and_recovers(toys: Database) -> None:
    async with contextlib.AsyncExitStack() as held:
        for _ in range(3):
            await held.enter_async_context(toys.begin())
        with pytest.raises(Overloaded):
            async with asyncio.timeout(4), toys.begin():
                pass
    async with toys.begin() as tx:
        await tx.execute(text("select 1"))
    assert toys.checked_out_count == 0


async def test_a_held_record_is_a_refusal_after_two_seconds(toys: Database) -> None:
    async with toys.begin() as tx:
        await add(tx, "a")
    async with toys.begin() as holder:
        await holder.execute(text("select from bell for update"))
        with pytest.raises(RecordBusy):
            async with toys.begin() as tx:
                await tx.execute(text("select from bell for update"))


async def test_cancelling_a_caller_leaves_nothing_behind(toys: Database, url: str) -> None:
    started = asyncio.Event()

    async def work() -> None:
        async with toys.begin() as tx:
            await add(tx, "a")
            started.set()
            await tx.execute(text("select pg_sleep(30)"))

    task = asyncio.create_task(work())
    await started.wait()
    await asyncio.sleep(0.1)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0.01)
    with pytest.raises(asyncio.CancelledError):
        await task

    async with toys.begin() as tx:
        assert await names(tx) == set()
    assert toys.checked_out_count == 0
    await nothing_runs_in(url)


async def nothing_runs_in(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for _ in range(60):
            found = await connection.execute(
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and pid <> pg_backend_pid() and state <> 'idle' and backend_type = %s",
                ("client backend",),
            )
            if await found.fetchone() == (0,):
                return
            await asyncio.sleep(0.1)
    pytest.fail("a statement of a cancelled caller still runs")


async def test_a_commit_is_finished_although_the_caller_is_cancelled(toys: Database) -> None:
    async def work() -> None:
        async with toys.begin() as tx:
            await add(tx, "a")
            asyncio.get_running_loop().call_soon(task.cancel)

    task = asyncio.create_task(work())
    with pytest.raises(asyncio.CancelledError):
        await task

    async with toys.begin() as tx:
        assert await names(tx) == {"a"}


@pytest.mark.parametrize("scope", ["database", "role"])
async def test_a_session_that_may_lose_commits_is_refused(url: str, scope: str) -> None:
    name = make_url(url).database if scope == "database" else make_url(url).username
    thing = sql.SQL("database") if scope == "database" else sql.SQL("role")
    change = sql.SQL("alter {} {} set synchronous_commit = off")
    reset = sql.SQL("alter {} {} reset synchronous_commit")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(change.format(thing, sql.Identifier(name or "")))
        database = Database(url, "toy")
        try:
            with pytest.raises(NotDurableError, match="synchronous_commit = on"):
                await database.check()
        finally:
            await connection.execute(reset.format(thing, sql.Identifier(name or "")))
            await database.close()


async def test_serializable_work_is_repeated_until_it_fits(toys: Database) -> None:
    async with toys.begin() as tx:
        await add(tx, "a")
    attempts = 0

    async def ring() -> None:
        nonlocal attempts
        attempts += 1
        async with toys.begin(serializable=True) as tx:
            rings = (await tx.execute(text("select sum(rings) from bell"))).scalar_one()
            await asyncio.sleep(0.02)
            await tx.execute(text("update bell set rings = :rings"), {"rings": rings + 1})

    await asyncio.gather(*(retrying(ring) for _ in range(3)))

    async with toys.begin() as tx:
        assert (await tx.execute(text("select rings from bell"))).scalar_one() == 3
    assert attempts > 3


async def test_what_no_repeating_helps_is_raised_at_once(toys: Database) -> None:
    attempts = 0

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        async with toys.begin() as tx:
            await tx.execute(text("select 1 / 0"))

    with pytest.raises(DBAPIError, match="division by zero"):
        await retrying(work)
    assert attempts == 1


async def test_a_broken_connection_is_replaced(toys: Database, url: str) -> None:
    async with toys.begin() as tx:
        pid = (await tx.execute(text("select pg_backend_pid()"))).scalar_one()
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("select pg_terminate_backend(%s)", (pid,))
    await asyncio.sleep(0.2)

    async with toys.begin() as tx:
        assert await names(tx) == set()


async def test_losing_the_connection_inside_a_transaction_is_an_error_and_frees_the_pool(
    toys: Database, url: str
) -> None:
    async def work() -> None:
        async with toys.begin() as tx:
            await add(tx, "a")
            pid = (await tx.execute(text("select pg_backend_pid()"))).scalar_one()
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as killer:
                await killer.execute("select pg_terminate_backend(%s)", (pid,))
            await asyncio.sleep(0.2)

    with pytest.raises(DBAPIError):
        await work()
    assert toys.checked_out_count == 0
    async with toys.begin() as tx:
        assert await names(tx) == set()


async def test_a_server_that_is_not_there_yet_is_waited_for_and_then_named() -> None:
    database = Database("postgresql://oip@127.0.0.1:1/oip", "toy")
    with pytest.raises(OperationalError, match="refused"):
        await database.check(patience_seconds=1)
    await database.close()


async def test_a_database_that_was_not_migrated_is_named_at_once(databases: Databases) -> None:
    database = Database(await databases.empty(), "nowhere")
    async with asyncio.timeout(5):
        with pytest.raises(OperationalError, match="oip_nowhere"):
            await database.check()
    await database.close()


async def test_a_connection_given_back_to_a_closed_pool_is_closed(url: str) -> None:
    database = Database(url, "toy", pool_size=1)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        async with database.begin() as tx:
            await database.close()
            assert await names(tx) == set()
        del database, tx
        gc.collect()
        async with await psycopg.AsyncConnection.connect(url) as other:
            left = await other.execute(
                "select count(*) from pg_stat_activity"
                " where application_name = 'oip_toy' and datname = current_database()"
            )
            assert await left.fetchone() == (0,)
    assert [str(one.message) for one in warned] == []


async def test_a_question_sees_what_its_caller_may_and_changes_nothing(toys: Database) -> None:
    async with toys.begin() as tx:
        await add(tx, "a", "A")
        await add(tx, "b", "B")

    async with toys.read() as tx:
        assert await names(tx) == {"a", "b"}
    async with toys.read(Scope(platform="A")) as tx:
        assert await names(tx) == {"a"}
    with pytest.raises(DBAPIError, match="read-only transaction"):
        async with toys.read() as tx:
            await add(tx, "c")
    assert toys.checked_out_count == 0


async def test_connections_that_died_in_the_pool_are_replaced_unseen(
    toys: Database, url: str
) -> None:
    async with contextlib.AsyncExitStack() as held:
        for _ in range(3):
            await held.enter_async_context(toys.begin())
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name = 'oip_toy'"
        )

    async with toys.begin() as tx:
        await add(tx, "a")
    async with toys.begin() as tx:
        assert await names(tx) == {"a"}
