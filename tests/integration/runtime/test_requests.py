"""One request id is one change: repeats, races, crashes and other content."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psycopg
import pytest
from oip.operations.v1 import operations_pb2
from oip.type.v1 import type_pb2
from sqlalchemy import text
from sqlalchemy.exc import DataError

from services.kernel.problems import Forbidden, Malformed, NotFound
from services.runtime.base import failpoints
from services.runtime.base.clock import SetClock
from services.runtime.base.failpoints import FailpointError
from services.runtime.base.settings import Settings
from services.runtime.rpc.access import Caller, set_caller
from services.runtime.rpc.client import Channels
from services.runtime.service.act_problems import RequestIdReused
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import change, change_after, read
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.data_keys import open_service_key
from services.runtime.storage.database import Database, Transaction
from services.runtime.storage.key_file import load_or_make_keys
from tests.support import toy

Ring = operations_pb2.RetryDeadLetterRequest
Rung = operations_pb2.DeadLetter
Work = Callable[[Transaction], Awaitable[Rung]]

P = "91350100M000100Y43"
Q = "91110108MA01ABCD2H"


@pytest.fixture
async def context(toys: Database, clock: SetClock, tmp_path: Path) -> AsyncIterator[ServiceContext]:
    set_caller(Caller("li", frozenset({type_pb2.Access.ADMINISTRATOR})))
    channels = Channels({}, lambda: "")
    cipher = ColumnCipher(load_or_make_keys(tmp_path / "keys.json"))
    await open_service_key(toys, cipher)
    yield ServiceContext("toy", toys, clock, cipher, channels)
    await channels.close()


def ringing(name: str, clock: SetClock) -> Work:
    async def work(tx: Transaction) -> Rung:
        rings = await toy.ring(tx, name, clock.now())
        return Rung(name=f"bells/{name}", error=str(rings))

    return work


def a_request(name: str = "a", request_id: str = "") -> Ring:
    return Ring(name=name, request_id=request_id or uuid.uuid4().hex)


async def ring(context: ServiceContext, request: Ring, *, serializable: bool = False) -> str:
    clock = context.clock
    assert isinstance(clock, SetClock)
    work = ringing(request.name, clock)
    answer = await change(
        context, request, Rung, work, resource=lambda rung: rung.name, serializable=serializable
    )
    return answer.error


async def count(context: ServiceContext, table: str) -> int:
    async with context.database.begin() as tx:
        return int((await tx.execute(text(f"select count(*) from {table}"))).scalar_one())


async def test_a_change_commits_its_effect_event_answer_and_audit_row(
    context: ServiceContext,
) -> None:
    assert await ring(context, a_request()) == "1"

    assert await toy.rings(context.database) == {"a": 1}
    assert [await count(context, table) for table in ("outbox", "command", "audit")] == [1, 1, 1]
    assert context.wake.is_set()
    async with context.database.begin() as tx:
        row = (await tx.execute(text("select actor, action, resource from audit"))).one()
    assert tuple(row) == ("li", "oip.operations.v1.RetryDeadLetterRequest", "bells/a")


async def test_a_repeat_gets_the_first_answer_and_changes_nothing(context: ServiceContext) -> None:
    request = a_request()
    first = await ring(context, request)
    await ring(context, a_request())

    assert await ring(context, request) == first
    assert await toy.rings(context.database) == {"a": 2}
    assert await count(context, "audit") == 2


async def test_the_same_id_with_other_content_is_refused(context: ServiceContext) -> None:
    await ring(context, a_request("a", "r1"))

    with pytest.raises(RequestIdReused) as refusal:
        await ring(context, a_request("b", "r1"))

    assert refusal.value.facts["request_id"] == "r1"
    assert await toy.rings(context.database) == {"a": 1}


@pytest.mark.parametrize("request_id", ["", " ", "a b", "é", "x" * 129, "-x", "a\n"])
async def test_a_request_without_a_usable_id_is_refused(
    context: ServiceContext, request_id: str
) -> None:
    request = Ring(name="a", request_id=request_id)

    with pytest.raises(Malformed) as refusal:
        await ring(context, request)

    assert refusal.value.field == "request_id"
    assert await count(context, "command") == 0


async def test_a_refused_change_leaves_nothing_and_its_id_free(context: ServiceContext) -> None:
    request = a_request()

    async def refuse(tx: Transaction) -> Rung:
        await ringing("a", SetClock(context.clock.now()))(tx)
        raise NotFound(name="bells/a")

    with pytest.raises(NotFound):
        await change(context, request, Rung, refuse, resource="bells/a")

    assert [await count(context, table) for table in ("outbox", "command", "audit")] == [0, 0, 0]
    assert await ring(context, request) == "1"


@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
async def test_the_same_request_sent_many_times_at_once_counts_once(
    context: ServiceContext, isolation: str
) -> None:
    request = a_request()
    strict = isolation == "serializable"

    answers = await asyncio.gather(*(ring(context, request, serializable=strict) for _ in range(8)))

    assert answers == ["1"] * 8
    assert await toy.rings(context.database) == {"a": 1}
    assert await count(context, "audit") == 1


async def test_two_contents_racing_for_one_id_give_one_change_and_one_refusal(
    context: ServiceContext,
) -> None:
    results = await asyncio.gather(
        ring(context, a_request("a", "r1")),
        ring(context, a_request("b", "r1")),
        return_exceptions=True,
    )

    assert sorted(type(result).__name__ for result in results) == ["RequestIdReused", "str"]
    assert sum((await toy.rings(context.database)).values()) == 1


async def test_platforms_have_ids_of_their_own(context: ServiceContext) -> None:
    platform = frozenset({type_pb2.Access.PLATFORM})
    for code in (P, Q):
        set_caller(Caller("waimai", platform, code))

        async def work(tx: Transaction, code: str = code) -> Rung:
            await tx.execute(
                text("insert into bell (name, platform, rings) values (:n, :p, 1)"),
                {"n": f"bell of {code}", "p": code},
            )
            return Rung(name=f"bells/{code}")

        answer = await change(context, Ring(name="x", request_id="r1"), Rung, work, resource="x")

        assert answer.name == f"bells/{code}"


async def test_a_platform_reads_its_own_rows_alone(context: ServiceContext) -> None:
    async with context.database.begin() as tx:
        for code in (P, Q):
            await tx.execute(
                text("insert into bell (name, platform, rings) values (:p, :p, 1)"), {"p": code}
            )

    async def names(tx: Transaction) -> list[str]:
        return list((await tx.execute(text("select name from bell order by 1"))).scalars())

    assert len(await read(context, names)) == 2
    set_caller(Caller("waimai", frozenset({type_pb2.Access.PLATFORM}), P))
    assert await read(context, names) == [P]


async def test_a_read_goes_on_although_its_connection_died(
    context: ServiceContext, stack: Settings
) -> None:
    async def select_one(tx: Transaction) -> int:
        return int((await tx.execute(text("select 1"))).scalar_one())

    assert await read(context, select_one) == 1
    async with await psycopg.AsyncConnection.connect(stack.database_url, autocommit=True) as admin:
        await admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'oip_toy'"
        )

    assert await read(context, select_one) == 1


async def test_a_platform_cannot_write_rows_of_another(context: ServiceContext) -> None:
    set_caller(Caller("waimai", frozenset({type_pb2.Access.PLATFORM}), P))

    async def work(tx: Transaction) -> Rung:
        await tx.execute(text(f"insert into bell values ('q', '{Q}', 1)"))
        return Rung()

    with pytest.raises(Forbidden):
        await change(context, a_request(), Rung, work, resource="x")


@pytest.mark.parametrize(
    ("place", "rings_after"), [("requests.before_commit", 0), ("requests.after_commit", 1)]
)
async def test_a_client_without_an_answer_repeats_the_request_with_the_same_id(
    context: ServiceContext, monkeypatch: pytest.MonkeyPatch, place: str, rings_after: int
) -> None:
    request = a_request()
    monkeypatch.setenv(failpoints.VARIABLE, f"{place}:raise")
    with pytest.raises(FailpointError):
        await ring(context, request)
    assert sum((await toy.rings(context.database)).values()) == rings_after
    monkeypatch.delenv(failpoints.VARIABLE)

    assert await ring(context, request) == "1"
    assert await toy.rings(context.database) == {"a": 1}


class Peer:
    """Another service: it counts its calls, and fails while it is down."""

    def __init__(self) -> None:
        self.call_count = 0
        self.is_down = False

    async def ask(self) -> str:
        self.call_count += 1
        if self.is_down:
            raise ConnectionRefusedError
        return f"answer {self.call_count}"


async def ring_after(context: ServiceContext, request: Ring, peer: Peer) -> Rung:
    async def work(tx: Transaction, answer: str) -> Rung:
        rings = await toy.ring(tx, request.name, context.clock.now())
        return Rung(name=f"bells/{request.name}", error=f"{rings} after {answer}")

    return await change_after(
        context, request, Rung, peer.ask, work, resource=lambda rung: rung.name
    )


async def test_a_change_after_a_question_works_with_its_answer(context: ServiceContext) -> None:
    peer = Peer()

    rung = await ring_after(context, a_request(), peer)

    assert rung.error == "1 after answer 1"
    assert [await count(context, table) for table in ("outbox", "command", "audit")] == [1, 1, 1]
    assert context.wake.is_set()


async def test_a_repeat_does_not_need_the_other_service(context: ServiceContext) -> None:
    peer, request = Peer(), a_request()
    first = await ring_after(context, request, peer)
    peer.is_down = True

    assert await ring_after(context, request, peer) == first
    assert peer.call_count == 1
    assert await toy.rings(context.database) == {"a": 1}
    with pytest.raises(RequestIdReused):
        await ring_after(context, a_request("b", request.request_id), peer)
    assert peer.call_count == 1


async def test_a_question_that_fails_changes_nothing_and_leaves_the_id_free(
    context: ServiceContext,
) -> None:
    peer, request = Peer(), a_request()
    peer.is_down = True
    with pytest.raises(ConnectionRefusedError):
        await ring_after(context, request, peer)
    assert [await count(context, table) for table in ("outbox", "command", "audit")] == [0, 0, 0]

    peer.is_down = False

    assert (await ring_after(context, request, peer)).error == "1 after answer 2"


async def test_the_question_is_asked_outside_of_a_transaction(context: ServiceContext) -> None:
    checked_out: list[int] = []

    class Watching(Peer):
        async def ask(self) -> str:
            checked_out.append(context.database.checked_out_count)
            return await super().ask()

    await ring_after(context, a_request(), Watching())

    assert checked_out == [0]


async def test_the_same_question_and_change_at_once_count_once(context: ServiceContext) -> None:
    peer, request = Peer(), a_request()

    answers = await asyncio.gather(*(ring_after(context, request, peer) for _ in range(6)))

    assert all(answer == answers[0] for answer in answers)
    assert await toy.rings(context.database) == {"a": 1}
    assert await count(context, "audit") == 1


async def test_a_change_after_a_question_needs_a_request_id_before_it_asks(
    context: ServiceContext,
) -> None:
    peer = Peer()

    with pytest.raises(Malformed):
        await ring_after(context, Ring(name="a"), peer)
    assert peer.call_count == 0


async def test_a_cancelled_change_is_whole_or_absent(context: ServiceContext) -> None:
    for pause in (0.0, 0.001, 0.003, 0.006, 0.01, 0.02):
        request = a_request(f"bell{pause}")
        task = asyncio.create_task(ring(context, request))
        await asyncio.sleep(pause)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert await ring(context, request) == "1"

    counts = [await count(context, table) for table in ("bell", "outbox", "command", "audit")]
    assert counts == [6, 6, 6, 6]
    assert context.database.checked_out_count == 0


async def test_money_runs_serializable_and_again_when_it_must(context: ServiceContext) -> None:
    """Two changes that each read the sum and add to it: one of them has to run again."""
    runs = 0

    async def add_up(tx: Transaction) -> Rung:
        nonlocal runs
        runs += 1
        total = (await tx.execute(text("select coalesce(sum(rings), 0) from bell"))).scalar_one()
        await asyncio.sleep(0.1)
        name = uuid.uuid4().hex
        await tx.execute(
            text("insert into bell values (:name, 'P', :rings)"),
            {"name": name, "rings": int(total) + 1},
        )
        return Rung(name=name)

    await asyncio.gather(
        *(
            change(context, a_request(), Rung, add_up, resource="x", serializable=True)
            for _ in range(3)
        )
    )

    async with context.database.begin() as tx:
        rings = sorted((await tx.execute(text("select rings from bell"))).scalars())
    assert rings == [1, 2, 4]
    assert runs > 3


async def test_no_change_happens_without_its_audit_row(context: ServiceContext) -> None:
    """A resource that PostgreSQL cannot store makes the whole change fail."""
    clock = context.clock
    assert isinstance(clock, SetClock)

    with pytest.raises(DataError, match="NUL"):
        await change(context, a_request(), Rung, ringing("a", clock), resource="a\x00b")

    assert await toy.rings(context.database) == {}


async def test_a_platform_may_name_itself_only() -> None:
    who = Caller("waimai", frozenset({type_pb2.Access.PLATFORM}), P)

    who.require_platform(P)
    who.require_platform(f"platforms/{P}/orderBatches/b1")
    with pytest.raises(Forbidden):
        who.require_platform(f"platforms/{Q}")
    Caller("li", frozenset({type_pb2.Access.ADJUDICATOR})).require_platform(Q)
