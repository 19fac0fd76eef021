"""Data keys: one for each person, shared with consumers alone, wrapped again under load."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import grpc
import pytest
from oip.operations.v1 import operations_pb2
from oip.type.v1 import type_pb2
from sqlalchemy import text

from services.kernel.problems import Malformed
from services.runtime.rpc.access import Caller, acting_as
from services.runtime.service.context import ServiceContext
from services.runtime.service.key_operations import shared_keys
from services.runtime.service.requests import change
from services.runtime.storage import data_keys
from services.runtime.storage.crypto import key_id_of
from services.runtime.storage.database import Transaction
from services.runtime.storage.key_file import add_key
from services.runtime.storage.key_sharing import Exchange
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


async def test_a_service_without_the_new_key_file_is_named(toy_stack: ToyStack) -> None:
    request = operations_pb2.RewrapDataKeysRequest(request_id="r", wrapping_key="k99")
    problem = await refused(toy_stack.stub("toy").RewrapDataKeys(request))

    assert problem.reason == "OTHER_NEWEST_KEY"
    newest = toy_stack.contexts["toy"].cipher.wrapping_ids[-1]
    assert (problem.metadata["newest"], problem.metadata["asked"]) == (newest, "k99")


async def test_a_service_gets_the_keys_of_persons_and_never_that_of_the_service(
    toy_stack: ToyStack,
) -> None:
    (service_key,) = await key_ids(toy_stack)
    await say(toy_stack.contexts["toy"], "workers/1")
    ids = await key_ids(toy_stack)
    exchange = Exchange()
    request = operations_pb2.FindDataKeysRequest(
        keys=[*ids, "unknown"], public_key=exchange.public_key
    )
    answer = await toy_stack.stub("toy", "service").FindDataKeys(request)

    keys = shared_keys(exchange, answer)
    assert [key.id for key in keys] == [key_id for key_id in ids if key_id != service_key]
    assert all(keys[0].key not in row.wrapped for row in answer.keys)
    with pytest.raises(grpc.RpcError) as caught:
        await toy_stack.stub("toy", "administrator").FindDataKeys(request)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    for public_key in (b"", b"x", bytes(32), bytes(33)):
        request.public_key = public_key
        problem = await refused(toy_stack.stub("toy", "service").FindDataKeys(request))
        assert problem.reason == Malformed.reason
