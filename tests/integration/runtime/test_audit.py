"""The audit chain: any change of a row shows at the first number that does not match."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from services.runtime.base.clock import SetClock
from services.runtime.storage import audit
from services.runtime.storage.database import Database
from tests.support.databases import TOY_SERVICES, Databases

ADD_A_SIXTH = """
insert into audit (time, actor, action, resource, request_hash, seq, prev_hash, hash)
select time, 'x', action, resource, request_hash, 6, hash, sha256('x') from audit where seq = 5
"""


@pytest.fixture
async def url(databases: Databases) -> str:
    return await databases.fresh("toy", root=TOY_SERVICES)


@pytest.fixture
async def toys(url: str) -> AsyncIterator[Database]:
    database = Database(url, "toy", pool_size=4)
    yield database
    await database.close()


async def record(toys: Database, clock: SetClock, *resources: str) -> None:
    for resource in resources:
        async with toys.begin() as tx:
            await audit.append(
                tx, now=clock.now(), actor="a", action="b", resource=resource, request_hash=b"h"
            )


async def link(toys: Database) -> int:
    async with toys.begin() as tx:
        return await audit.link(tx)


async def check_chain(toys: Database) -> audit.ChainCheck:
    async with toys.begin() as tx:
        return await audit.verify(tx)


async def tamper(url: str, *statements: str) -> None:
    """Run statements as a superuser with triggers disabled."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("set session_replication_role = replica")
        await connection.execute("set search_path = toy")
        for statement in statements:
            await connection.execute(statement.encode())


async def test_rows_are_linked_in_the_order_they_were_written(
    toys: Database, clock: SetClock
) -> None:
    await record(toys, clock, "1", "2", "3")
    before = await check_chain(toys)
    assert await link(toys) == 3
    await record(toys, clock, "4")
    after = await check_chain(toys)

    assert (before.row_count, before.unlinked_count, before.holds) == (0, 3, True)
    assert (after.row_count, after.unlinked_count, after.holds) == (3, 1, True)
    assert after.head.seq == 3


async def test_a_change_that_fails_leaves_no_row(toys: Database, clock: SetClock) -> None:
    async def fail() -> None:
        async with toys.begin() as tx:
            await audit.append(tx, now=clock.now(), actor="a", action="b", resource="c")
            raise ZeroDivisionError

    with contextlib.suppress(ZeroDivisionError):
        await fail()

    assert await link(toys) == 0


async def test_changes_at_once_do_not_wait_for_each_other(toys: Database, clock: SetClock) -> None:
    async with toys.begin(serializable=True) as long:
        await audit.append(long, now=clock.now(), actor="a", action="long", resource="1")
        await record(toys, clock, "2")
        assert await link(toys) == 1
        await audit.append(long, now=clock.now(), actor="a", action="long", resource="3")
    assert await link(toys) == 2
    assert (await check_chain(toys)).holds


async def test_linking_at_once_makes_one_chain(toys: Database, clock: SetClock) -> None:
    await record(toys, clock, *(str(number) for number in range(30)))
    linked = await asyncio.gather(*(link(toys) for _ in range(3)))

    assert sorted(linked) == [0, 0, 30]
    assert (await check_chain(toys)).holds


async def test_the_linking_task_links_by_itself(
    toys: Database, clock: SetClock, until: Callable[..., Any]
) -> None:
    task = asyncio.create_task(audit.keep_linking(toys))
    await record(toys, clock, "1")

    async def linked() -> bool:
        return (await check_chain(toys)).row_count == 1

    await until(linked)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("statements", "first_bad"),
    [
        (["update audit set actor = 'someone else' where seq = 3"], 3),
        (["update audit set time = time + interval '1 second' where seq = 1"], 1),
        (["update audit set hash = sha256('x') where seq = 4"], 4),
        (["delete from audit where seq = 2"], 2),
        (["delete from audit where seq = 5"], 5),
        (["delete from audit where seq >= 4"], 4),
        (
            [
                "update audit set seq = 99 where seq = 2",
                "update audit set seq = 2 where seq = 3",
                "update audit set seq = 3 where seq = 99",
            ],
            2,
        ),
        (
            [ADD_A_SIXTH],
            6,
        ),
        (["update audit_head set seq = 4"], 5),
    ],
)
async def test_tampering_shows_where_it_begins(
    toys: Database, url: str, clock: SetClock, statements: list[str], first_bad: int
) -> None:
    await record(toys, clock, *"12345")
    await link(toys)
    assert (await check_chain(toys)).holds
    await tamper(url, *statements)

    assert (await check_chain(toys)).first_bad_seq == first_bad


async def test_a_truncated_chain_shows_against_a_head_stored_elsewhere(
    toys: Database, url: str, clock: SetClock
) -> None:
    await record(toys, clock, *"12345")
    await link(toys)
    async with toys.begin() as tx:
        stored_head = await audit.head(tx)
    await tamper(
        url,
        "delete from audit where seq > 3",
        "update audit_head set (seq, hash) = (select seq, hash from audit where seq = 3)",
    )

    chain = await check_chain(toys)

    assert chain.holds
    assert chain.head != stored_head


async def test_the_service_itself_cannot_rewrite_a_linked_row(
    toys: Database, clock: SetClock
) -> None:
    await record(toys, clock, "1")
    await link(toys)
    with pytest.raises(Exception, match="append-only"):
        async with toys.begin() as tx:
            await tx.execute(text("update audit set hash = sha256('x')"))
