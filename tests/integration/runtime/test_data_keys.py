"""Data keys: one for each person, shared with consumers alone, wrapped again under load."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from oip.type.v1 import type_pb2
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from services.kernel.problems import Malformed, Problem
from services.runtime.events import personal_fields
from services.runtime.rpc.access import Caller, acting_as
from services.runtime.service.addresses import publish_addresses
from services.runtime.service.context import ServiceContext
from services.runtime.service.key_client import fetch_keys, shared_keys
from services.runtime.service.requests import change
from services.runtime.storage import data_keys
from services.runtime.storage.crypto import DataKey, key_id_of
from services.runtime.storage.database import Transaction
from services.runtime.storage.key_file import add_key
from services.runtime.storage.key_sharing import Exchange
from services.runtime.storage.suites import SUITES, Suite
from tests.support.command_line import run_oip
from tests.support.stack_client import refused
from tests.support.toy_stack import ToyStack

Request = operations_pb2.RetryDeadLetterRequest
Answer = operations_pb2.DeadLetter
OFFICER = Caller("li", frozenset({type_pb2.Access.ADMINISTRATOR}))


def saying(context: ServiceContext, *persons: str) -> Callable[[Transaction], Awaitable[Answer]]:
    """A command that encrypts something about persons, reads it again and says it."""

    async def work(tx: Transaction) -> Answer:
        for person in persons:
            cipher = await data_keys.of_person(tx, context.cipher, person)
            value = cipher.encrypt(f"what is said of {person}", "row")
            reader = await data_keys.for_rows(tx, context.cipher, [(value,)])
            assert reader.decrypt(value, "row") == f"what is said of {person}"
        return Answer(name="deadLetters/a", error="canary")

    return work


async def say(context: ServiceContext, *persons: str, request_id: str = "") -> str:
    """Make the change; the id of its request."""
    request = Request(name="a", request_id=request_id or uuid.uuid4().hex)
    with acting_as(OFFICER):
        answer = await change(context, request, Answer, saying(context, *persons), resource="a")
    assert answer.error == "canary"
    return request.request_id


async def key_ids(stack: ToyStack) -> list[str]:
    async with stack.contexts["toy"].database.begin() as tx:
        return list((await tx.execute(text("select id from data_key order by id"))).scalars())


async def response(stack: ToyStack, request_id: str) -> bytes:
    async with stack.contexts["toy"].database.begin() as tx:
        question = "select response from command where request_id = :request_id"
        return bytes((await tx.execute(text(question), {"request_id": request_id})).scalar_one())


async def test_a_response_is_under_the_key_of_the_only_person(toy_stack: ToyStack) -> None:
    context = toy_stack.contexts["toy"]
    (service_key,) = await key_ids(toy_stack)
    of_one = await response(toy_stack, await say(context, "workers/1"))
    (person_key,) = set(await key_ids(toy_stack)) - {service_key}
    of_two = await response(toy_stack, await say(context, "workers/1", "workers/2"))
    of_none = await response(toy_stack, await say(context))

    assert key_id_of(of_one) == person_key
    assert key_id_of(of_two) == key_id_of(of_none) == service_key
    assert all(b"canary" not in value for value in (of_one, of_two, of_none))


async def test_a_person_has_one_key_however_often_it_is_needed_at_once(
    toy_stack: ToyStack,
) -> None:
    context = toy_stack.contexts["toy"]
    await asyncio.gather(*(say(context, "workers/1", "workers/2") for _ in range(8)))

    assert len(await key_ids(toy_stack)) == 3


async def test_keys_are_wrapped_again_while_commands_run(toy_stack: ToyStack) -> None:
    context = toy_stack.contexts["toy"]
    path = toy_stack.settings.keys_path
    sent: list[tuple[str, str]] = []
    rotating = True

    async def load(number: int) -> None:
        while rotating:
            person = f"workers/{(number + 3 * len(sent)) % 40}"
            sent.append((person, await say(context, person)))

    async def rotate() -> None:
        for _ in range(3):
            newest, remaining = add_key(path), 1
            while remaining:
                answer = await toy_stack.stub("toy").RewrapDataKeys(
                    operations_pb2.RewrapDataKeysRequest(
                        request_id=uuid.uuid4().hex, wrapping_key=newest, data_key_count_max=5
                    )
                )
                remaining = answer.remaining_count

    loads = [asyncio.create_task(load(number)) for number in range(4)]
    await rotate()
    rotating = False
    await asyncio.gather(*loads)

    assert len(sent) > 20
    for person, request_id in sent[::7]:
        await say(context, person, request_id=request_id)
    keys = await toy_stack.stub("toy").GetDataKeys(operations_pb2.GetDataKeysRequest())
    *older, newest = keys.wrapped
    assert len(older) >= 3
    assert all(row.data_key_count == 0 and row.in_key_file for row in older)
    assert newest.data_key_count == len(await key_ids(toy_stack))


async def test_the_commands_rotate_while_commands_run(toy_stack: ToyStack) -> None:
    """`oip keys new` and `oip keys rotate`, three times; no command and no event fails."""
    path, context = toy_stack.settings.keys_path, toy_stack.contexts["toy"]
    rotating, count = True, 0

    async def load(number: int) -> None:
        nonlocal count
        while rotating:
            await say(context, f"workers/{(number * 7 + count) % 60}")
            await toy_stack.ring(f"bell-{number}")
            count += 1

    async def rotate() -> str:
        added = await run_oip(toy_stack.settings.state_dir, "keys", "new", "--key-file", str(path))
        assert added.exit_code == 0, added.output
        newest = context.cipher.wrapping_ids[-1]
        done = await run_oip(toy_stack.settings.state_dir, "keys", "rotate", "--key", newest)
        assert done.exit_code == 0, done.output
        return newest

    with publish_addresses(toy_stack.settings.state_dir, toy_stack.addresses):
        loads = [asyncio.create_task(load(number)) for number in range(4)]
        newest = [await rotate() for _ in range(3)][-1]
        rotating = False
        await asyncio.gather(*loads)
        await toy_stack.delivered()
        shown = await run_oip(toy_stack.settings.state_dir, "keys", "show")

    assert count > 20
    assert sum((await toy_stack.echo_counts()).values()) == count
    for service in ("toy", "echo"):
        keys = await toy_stack.stub(service).GetDataKeys(operations_pb2.GetDataKeysRequest())
        assert [row.wrapping_key for row in keys.wrapped if row.data_key_count] == [newest]
    assert newest in shown.stdout
    assert "NO" not in shown.stdout


async def test_a_second_suite_is_used_by_a_running_service(
    toy_stack: ToyStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys, stored responses and shared keys of both suites work side by side."""
    context = toy_stack.contexts["toy"]
    monkeypatch.setattr(personal_fields, "consumers_of", lambda _producer: frozenset({"echo"}))
    first = await say(context, "workers/1")
    monkeypatch.setitem(SUITES, 2, Suite(2, "AES-128-CCM", 16, AESCCM))
    second = await say(context, "workers/2")

    assert [(await response(toy_stack, each))[1] for each in (first, second)] == [1, 2]
    for person, request_id in (("workers/1", first), ("workers/2", second)):
        await say(context, person, request_id=request_id)
    keys = await asked(toy_stack, *await key_ids(toy_stack))
    assert sorted((key.suite.number, len(key.key)) for key in keys) == [(1, 32), (2, 16)]
    newest, remaining = add_key(toy_stack.settings.keys_path), 1
    while remaining:
        request = operations_pb2.RewrapDataKeysRequest(
            request_id=uuid.uuid4().hex, wrapping_key=newest
        )
        remaining = (await toy_stack.stub("toy").RewrapDataKeys(request)).remaining_count
    for person, request_id in (("workers/1", first), ("workers/2", second)):
        await say(context, person, request_id=request_id)


async def test_a_service_without_the_new_key_file_is_named(toy_stack: ToyStack) -> None:
    request = operations_pb2.RewrapDataKeysRequest(request_id="r", wrapping_key="k99")
    problem = await refused(toy_stack.stub("toy").RewrapDataKeys(request))

    assert problem.reason == "OTHER_NEWEST_KEY"
    newest = toy_stack.contexts["toy"].cipher.wrapping_ids[-1]
    assert (problem.metadata["newest"], problem.metadata["asked"]) == (newest, "k99")


async def asked(stack: ToyStack, *keys: str, who: str = "services/echo") -> list[DataKey]:
    """The data keys of toy that a service gets."""
    exchange = Exchange()
    request = operations_pb2.FindDataKeysRequest(keys=keys, public_key=exchange.public_key)
    channels = stack.channels("service", subject=who)
    stub = channels.stub(operations_pb2_grpc.OperationsServiceStub, "toy")
    return shared_keys(exchange, await stub.FindDataKeys(request))


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events of toys have no personal fields; here echo is declared as their consumer."""
    monkeypatch.setattr(personal_fields, "consumers_of", lambda _producer: frozenset({"echo"}))


@pytest.mark.usefixtures("consumer")
async def test_a_consumer_gets_the_keys_of_persons_and_never_that_of_the_service(
    toy_stack: ToyStack,
) -> None:
    (service_key,) = await key_ids(toy_stack)
    await say(toy_stack.contexts["toy"], "workers/1")
    ids = await key_ids(toy_stack)

    keys = await asked(toy_stack, *ids, "unknown")

    assert [key.id for key in keys] == [key_id for key_id in ids if key_id != service_key]
    (row,) = await audited(toy_stack)
    assert (row.actor, row.resource) == ("services/echo", f"dataKeys/{keys[0].id}")
    for public_key in (b"", b"x", bytes(32), bytes(33)):
        request = operations_pb2.FindDataKeysRequest(keys=ids, public_key=public_key)
        channels = toy_stack.channels("service", subject="services/echo")
        stub = channels.stub(operations_pb2_grpc.OperationsServiceStub, "toy")
        problem = await refused(stub.FindDataKeys(request))
        assert problem.reason == Malformed.reason


async def audited(stack: ToyStack) -> list[Any]:
    """Who got which data key of toy."""
    question = "select actor, resource from audit where action like '%FindDataKeys%' order by id"
    async with stack.contexts["toy"].database.begin() as tx:
        return list((await tx.execute(text(question))).all())


@pytest.mark.usefixtures("consumer")
async def test_a_stranger_gets_no_key(toy_stack: ToyStack) -> None:
    await say(toy_stack.contexts["toy"], "workers/1")
    ids = await key_ids(toy_stack)

    for who in ("services/drum", "echo", "services/echo/x"):
        problem = await refused(asked(toy_stack, *ids, who=who))
        assert problem.reason == "NOT_A_CONSUMER"
        assert problem.metadata["caller"] == who
    stub = toy_stack.stub("toy", "administrator")
    request = operations_pb2.FindDataKeysRequest(keys=ids, public_key=Exchange().public_key)
    assert (await refused(stub.FindDataKeys(request))).reason == "FORBIDDEN"
    assert await audited(toy_stack) == []


async def test_without_a_declared_consumer_nobody_gets_a_key(toy_stack: ToyStack) -> None:
    await say(toy_stack.contexts["toy"], "workers/1")
    ids = await key_ids(toy_stack)

    assert (await refused(asked(toy_stack, *ids))).reason == "NOT_A_CONSUMER"


async def erase(stack: ToyStack, person: str) -> str:
    """Destroy the key of a person as an erasure does; its id."""
    context = stack.contexts["toy"]
    async with context.database.begin() as tx:
        key = await data_keys.lock_key(tx, context.cipher, person)
        await data_keys.destroy(tx, key)
    return key.id


@pytest.mark.usefixtures("consumer")
async def test_a_destroyed_key_is_refused_and_nothing_is_stored_under_it(
    toy_stack: ToyStack,
) -> None:
    context = toy_stack.contexts["toy"]
    request_id = await say(context, "workers/1")
    await say(context, "workers/2")
    erased = await erase(toy_stack, "workers/1")
    others = [key_id for key_id in await key_ids(toy_stack) if key_id != erased]

    problem = await refused(asked(toy_stack, *others, erased))
    assert (problem.reason, problem.metadata["keys"]) == ("DATA_KEY_ERASED", erased)
    channels = toy_stack.channels("service", subject="services/echo")
    shared = await fetch_keys(channels, "toy", [*others, erased])
    assert ([key.id in others for key in shared.keys], shared.erased) == ([True], [erased])
    # What is sent again cannot be answered any more, and nothing new is stored.
    for repeated in (request_id, ""):
        with pytest.raises(Problem) as caught:
            await say(context, "workers/1", request_id=repeated)
        assert caught.value.reason == ("DATA_KEY_ERASED" if repeated else "PERSON_ERASED")
    await say(context, "workers/2")


async def test_a_key_of_nobody_is_destroyed_before_it_is_made(toy_stack: ToyStack) -> None:
    await erase(toy_stack, "workers/1")

    with pytest.raises(data_keys.PersonErased):
        await say(toy_stack.contexts["toy"], "workers/1")


async def test_a_destroyed_key_stays_destroyed(toy_stack: ToyStack) -> None:
    await say(toy_stack.contexts["toy"], "workers/1")
    async with toy_stack.contexts["toy"].database.begin() as tx:
        question = (
            "select id, wrapped, wrapping_key from data_key order by create_time desc limit 1"
        )
        before = (await tx.execute(text(question))).one()
    assert await erase(toy_stack, "workers/1") == before.id

    with pytest.raises(IntegrityError, match="was destroyed"):
        await toy_stack.execute(
            "toy",
            "update data_key set wrapped = :wrapped, wrapping_key = :key where id = :id",
            wrapped=before.wrapped,
            key=before.wrapping_key,
            id=before.id,
        )
    newest, remaining = add_key(toy_stack.settings.keys_path), 1
    while remaining:
        request = operations_pb2.RewrapDataKeysRequest(
            request_id=uuid.uuid4().hex, wrapping_key=newest
        )
        remaining = (await toy_stack.stub("toy").RewrapDataKeys(request)).remaining_count
    async with toy_stack.contexts["toy"].database.begin() as tx:
        assert (await tx.execute(text(question))).one().wrapped is None


async def test_an_erasure_waits_for_those_who_encrypt_about_the_person(toy_stack: ToyStack) -> None:
    context = toy_stack.contexts["toy"]
    await say(context, "workers/1")
    async with context.database.begin() as tx:
        cipher = await data_keys.of_person(tx, context.cipher, "workers/1")
        erasing = asyncio.create_task(erase(toy_stack, "workers/1"))
        await asyncio.sleep(0.3)
        assert not erasing.done()
        value = cipher.encrypt("said meanwhile", "row")
        assert (await data_keys.for_rows(tx, context.cipher, [(value,)])).show(
            value, "row"
        ) == "said meanwhile"
    await erasing
    async with context.database.begin() as tx:
        reader = await data_keys.for_rows(tx, context.cipher, [(value,)])
        assert reader.show(value, "row") == "PERSON_ERASED"
