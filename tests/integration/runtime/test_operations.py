"""Two services served for real: delivery, replay, dead letters, self-checks, and how they stop."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest
from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from sqlalchemy import text

from services.runtime import bus as buses
from services.runtime.channels import Channels, problem_of
from services.runtime.clock import SystemClock
from services.runtime.database import Transaction
from services.runtime.delivery import settled
from services.runtime.embedded import NatsServer
from services.runtime.running import Check, Running, Service
from services.runtime.serve import serving_all
from services.runtime.settings import Settings
from services.runtime.stack import announced
from services.runtime.tokens import Issuer
from tests.support import toy
from tests.support.databases import TOY_SERVICES, Databases

Stub: TypeAlias = "operations_pb2_grpc.OperationsServiceAsyncStub"
NAMES = ("toy", "echo")


def register_nothing(_server: grpc.aio.Server, _running: Running) -> None:
    """Toy and echo have no methods but those of OperationsService."""


async def bells_are_counted(tx: Transaction) -> list[Check]:
    total = (await tx.execute(text("select coalesce(sum(rings), 0) from bell"))).scalar_one()
    return [Check("T1", "Bells are not rung more than a hundred times.", total <= 100, str(total))]


async def nothing_to_check(_tx: Transaction) -> list[Check]:
    return []


TOY = Service("toy", register_nothing, {}, bells_are_counted)
ECHO = Service("echo", register_nothing, toy.HANDLERS, nothing_to_check)


class Pair:
    """Toy and echo, served; `stub` gives their operations to a role."""

    def __init__(self, settings: Settings, running: dict[str, Running]) -> None:
        self.settings = settings
        self.running = running
        keys = settings.signing_key_path, settings.jwks_path
        self._issuer = Issuer.at(*keys, SystemClock())
        self._channels: list[Channels] = []

    @property
    def addresses(self) -> dict[str, str]:
        return {name: self.running[name].channels.addresses[name] for name in NAMES}

    def channels(self, role: str = "administrator") -> Channels:
        made = Channels(self.addresses, self._issuer.source("li", [role]))
        self._channels.append(made)
        return made

    def stub(self, service: str, role: str = "administrator") -> Stub:
        return self.channels(role).stub(operations_pb2_grpc.OperationsServiceStub, service)

    async def ring(self, name: str, times: int = 1) -> None:
        one = self.running["toy"]
        for _ in range(times):
            async with one.database.begin() as tx:
                await toy.ring(tx, name, one.clock.now())
        one.wake.set()

    async def close(self) -> None:
        for made in self._channels:
            await made.close()


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[Pair]:
    bus = await buses.connect(settings, "pair", on_closed=lambda: None)
    ports = dict.fromkeys(NAMES, "127.0.0.1:0")
    crashes: list[str] = []

    def on_crash(part: str, _error: BaseException) -> None:
        crashes.append(part)

    async with serving_all(
        (TOY, ECHO), settings, SystemClock(), bus, addresses=ports, grace=1, on_crash=on_crash
    ) as running:
        pair = Pair(settings, running)
        yield pair
        await pair.close()
    await bus.close()
    assert crashes == []


@pytest.fixture
async def settings(databases: Databases, nats_server: NatsServer, tmp_path: Path) -> Settings:
    return Settings(
        state_dir=tmp_path / "state",
        database_url=await databases.fresh(*NAMES, root=TOY_SERVICES),
        nats_url=nats_server.url,
        nats_monitor_url=nats_server.monitor_url,
    )


@pytest.fixture
async def pair(settings: Settings) -> AsyncIterator[Pair]:
    async with served(settings) as made:
        yield made


async def replayed(pair: Pair, **request: Any) -> list[operations_pb2.CarriedEvent]:
    call = pair.stub("toy", "service").Replay(operations_pb2.ReplayRequest(**request))
    return [event async for event in call]


async def test_what_one_service_tells_the_other_hears(pair: Pair) -> None:
    await pair.ring("a", 3)
    await settled(pair.channels(), NAMES)

    assert await toy.echoes(pair.running["echo"].database) == {"a": 3}
    told = await pair.stub("toy").GetDelivery(operations_pb2.GetDeliveryRequest())
    heard = await pair.stub("echo").GetDelivery(operations_pb2.GetDeliveryRequest())
    assert (told.written_count, told.published_seq) == (3, 3)
    assert [(row.producer, row.epoch, row.event_count, row.max_seq) for row in heard.heard] == [
        ("toy", told.epoch, 3, 3)
    ]


async def test_a_listener_that_has_heard_nothing_says_so(pair: Pair) -> None:
    heard = await pair.stub("echo").GetDelivery(operations_pb2.GetDeliveryRequest())

    assert [(row.producer, row.event_count) for row in heard.heard] == [("toy", 0)]


async def test_replay_gives_every_event_in_order_across_pages(pair: Pair) -> None:
    one = pair.running["toy"]
    async with one.database.begin() as tx:
        for _ in range(250):
            await toy.ring(tx, "a", one.clock.now())
    one.wake.set()
    await settled(pair.channels(), NAMES)

    events = await replayed(pair, from_seq=1)
    later = await replayed(pair, from_seq=248, epoch=events[0].epoch)

    assert [event.pub_seq for event in events] == list(range(1, 251))
    assert [event.pub_seq for event in later] == [248, 249, 250]
    assert toy.BellRang.FromString(events[-1].payload).revision == 250


async def test_replay_from_before_the_beginning_is_refused(pair: Pair) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await replayed(pair, from_seq=0)

    assert problem_of(caught.value).reason == "MALFORMED"


async def test_a_consumer_that_lost_the_stream_rebuilds_from_replay(settings: Settings) -> None:
    async with served(settings) as pair:
        await pair.ring("a", 5)
        await settled(pair.channels(), NAMES)
    one = NatsServer(settings.state_dir / "other")
    await one.start()
    elsewhere = settings.model_copy(
        update={"nats_url": one.url, "nats_monitor_url": one.monitor_url}
    )
    # The stream is gone, and toy believes it has sent all; a new listener asks toy itself.
    async with served(elsewhere) as pair:
        async with pair.running["toy"].database.begin() as tx:
            await toy.ring(tx, "b", pair.running["toy"].clock.now())
        pair.running["toy"].wake.set()
        await settled(pair.channels(), NAMES)
        assert await toy.echoes(pair.running["echo"].database) == {"a": 5, "b": 1}
    await one.stop()


@pytest.fixture
async def poisoned(pair: Pair) -> Pair:
    await pair.ring("shy")
    async with pair.running["toy"].database.begin() as tx:
        await tx.execute(text("select 1"))
    await settled(pair.channels(), ["toy"])
    (event,) = await replayed(pair, from_seq=1)
    # Five deliveries take a minute with their pauses; put it aside as the listener then would.
    async with pair.running["echo"].database.begin() as tx:
        where = {"p": event.producer, "e": event.epoch, "s": event.pub_seq}
        await tx.execute(
            text(
                "insert into inbox (producer, epoch, pub_seq, subject, content_hash, hear_time)"
                " values (:p, :e, :s, 'x', 'x', now()) on conflict do nothing"
            ),
            where,
        )
        await tx.execute(
            text(
                "insert into dead_letter values (:p, :e, :s, :subject, :payload, 'NotFound', now())"
            ),
            {**where, "subject": event.subject, "payload": event.payload},
        )
    return pair


async def letters(pair: Pair, **request: Any) -> list[operations_pb2.DeadLetter]:
    answer = await pair.stub("echo").ListDeadLetters(
        operations_pb2.ListDeadLettersRequest(**request)
    )
    return list(answer.dead_letters)


async def test_a_dead_letter_stays_when_its_retry_fails(poisoned: Pair) -> None:
    (letter,) = await letters(poisoned)
    request = operations_pb2.RetryDeadLetterRequest(name=letter.name, request_id="r1")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await poisoned.stub("echo").RetryDeadLetter(request)

    assert problem_of(caught.value).reason == "DEAD_LETTER_FAILS_AGAIN"
    assert [one.name for one in await letters(poisoned)] == [letter.name]


async def test_a_dead_letter_that_can_be_handled_now_is_settled_once(
    poisoned: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    (letter,) = await letters(poisoned)
    monkeypatch.setenv("TOY_BRAVE", "yes")
    request = operations_pb2.RetryDeadLetterRequest(name=letter.name, request_id="r1")
    stub = poisoned.stub("echo")

    first = await stub.RetryDeadLetter(request)
    again = await stub.RetryDeadLetter(request)

    assert first.HasField("settle_time")
    assert first == again
    assert await letters(poisoned) == []
    assert [one.name for one in await letters(poisoned, include_settled=True)] == [letter.name]
    assert await toy.echoes(poisoned.running["echo"].database) == {"shy": 1}


@pytest.mark.parametrize("name", ["deadLetters/x", "deadLetters/toy-e-x", "claims/c1", ""])
async def test_a_name_that_is_no_dead_letters_is_refused(pair: Pair, name: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await pair.stub("echo").RetryDeadLetter(
            operations_pb2.RetryDeadLetterRequest(name=name, request_id="r1")
        )

    assert problem_of(caught.value).reason == "MALFORMED"


async def test_a_dead_letter_nobody_put_there_is_not_found(pair: Pair) -> None:
    request = operations_pb2.RetryDeadLetterRequest(name="deadLetters/toy-e-9", request_id="r1")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await pair.stub("echo").RetryDeadLetter(request)

    assert problem_of(caught.value).reason == "NOT_FOUND"


async def test_dead_letters_come_page_by_page(pair: Pair) -> None:
    async with pair.running["echo"].database.begin() as tx:
        for seq in range(1, 6):
            await tx.execute(
                text(
                    "insert into dead_letter values"
                    " ('toy', 'e', :s, 'oip.toy.v1.BellRang', '', 'NotFound', now())"
                ),
                {"s": seq},
            )
    stub, token, seen = pair.stub("echo"), "", []
    for _ in range(3):
        answer = await stub.ListDeadLetters(
            operations_pb2.ListDeadLettersRequest(page_size=2, page_token=token)
        )
        seen += [letter.event.pub_seq for letter in answer.dead_letters]
        token = answer.next_page_token

    assert seen == [1, 2, 3, 4, 5]
    assert token == ""


async def checks(pair: Pair, service: str) -> dict[str, bool]:
    answer = await pair.stub(service).Verify(operations_pb2.VerifyRequest())
    return {check.text: check.holds for check in answer.checks}


async def test_verify_re_computes_what_holds_for_all_services_and_for_this_one(pair: Pair) -> None:
    await pair.ring("a", 3)
    await settled(pair.channels(), NAMES)

    assert all((await checks(pair, "echo")).values())
    of_toy = await checks(pair, "toy")
    assert of_toy["Bells are not rung more than a hundred times."]
    assert len(of_toy) == 6


@pytest.mark.parametrize(
    ("service", "damage", "text_of_check"),
    [
        ("toy", "update outbox_counter set next_seq = 9", "published events is 1 to n"),
        (
            "echo",
            "insert into inbox values ('toy', 'e', 2, 'x', 'x', now())",
            "heard 1 to n, each once",
        ),
        (
            "echo",
            "insert into dead_letter values ('toy', 'e', 1, 'x', '', 'x', now())",
            "No event waits",
        ),
        (
            "toy",
            "insert into command values ('*', 'r', 'm', 'x', 'x', now())",
            "has its audit row",
        ),
        ("toy", "insert into bell values ('a', 'P', 101)", "not rung more"),
    ],
)
async def test_verify_names_what_does_not_hold(
    pair: Pair, service: str, damage: str, text_of_check: str
) -> None:
    async with pair.running[service].database.begin() as tx:
        await tx.execute(text(damage))

    failed = [check for check, holds in (await checks(pair, service)).items() if not holds]

    assert len(failed) == 1
    assert text_of_check in failed[0]


async def test_settled_says_who_is_behind(pair: Pair) -> None:
    async with pair.running["toy"].database.begin() as tx:
        await tx.execute(text("update outbox_counter set next_seq = 5"))

    with pytest.raises(TimeoutError, match="echo has heard 0 of 4 of toy"):
        await settled(pair.channels(), NAMES, seconds=0.3)


async def test_a_stopped_stack_leaves_no_connection_and_can_start_again(
    settings: Settings,
) -> None:
    for _ in range(2):
        async with served(settings) as pair:
            await pair.ring("a")
            await settled(pair.channels(), NAMES)
            databases = [one.database for one in pair.running.values()]
        assert [database.checked_out_count for database in databases] == [0, 0]

    async with served(settings) as pair:
        assert await toy.echoes(pair.running["echo"].database) == {"a": 2}


async def oip(settings: Settings, addresses: dict[str, str], *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "services.cli.main", "--state-dir", str(settings.state_dir)]
    file = settings.state_dir / "running.json"
    with announced(settings.state_dir, addresses):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert json.loads(file.read_text())["addresses"] == addresses
        done = await asyncio.to_thread(
            subprocess.run,
            [*command, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={
                **os.environ,
                "COLUMNS": "200",
                "LC_ALL": "C.UTF-8",
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
        )
    assert not file.exists()
    return done.returncode, done.stdout + done.stderr


async def test_oip_verify_passes_and_fails_with_the_invariants(pair: Pair) -> None:
    await pair.ring("a", 2)
    code, shown = await oip(pair.settings, pair.addresses, "verify")
    assert code == 0, shown
    assert "All invariants hold." in shown

    async with pair.running["toy"].database.begin() as tx:
        await tx.execute(text("insert into bell values ('b', 'P', 101)"))
    code, shown = await oip(pair.settings, pair.addresses, "verify")
    assert code == 1, shown
    assert "1 of the invariants do not hold." in shown


async def test_oip_dead_letters_are_listed_and_a_refusal_is_one_sentence(poisoned: Pair) -> None:
    (letter,) = await letters(poisoned)

    where = poisoned.settings, poisoned.addresses
    code, shown = await oip(*where, "dead-letters", "list")
    assert (code, letter.name in shown) == (0, True), shown

    code, shown = await oip(*where, "dead-letters", "retry", letter.name, "--service", "echo")
    assert code == 2
    assert shown.count("\n") == 1
    assert "failed again" in shown


async def test_oip_says_in_one_sentence_that_nobody_is_there(pair: Pair) -> None:
    code, shown = await oip(pair.settings, {"toy": "127.0.0.1:1"}, "verify")

    assert code == 3
    assert shown.startswith("The service cannot be reached")
