"""Delivery, replay and dead letters of two services served for real."""

from __future__ import annotations

import grpc
import pytest
from oip.operations.v1 import operations_pb2

from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.rpc.client import problem_of
from services.runtime.service.delivery import wait_until_delivered
from tests.support import toy
from tests.support.nats import NATS_USERS
from tests.support.toy_stack import NAMES, ToyStack, dead_letters, replayed, serve_toys


async def test_what_one_service_publishes_the_other_consumes(toy_stack: ToyStack) -> None:
    await toy_stack.ring("a", 3)
    await toy_stack.delivered()

    assert await toy_stack.echo_counts() == {"a": 3}
    toy_delivery = await toy_stack.stub("toy").GetDelivery(operations_pb2.GetDeliveryRequest())
    echo_delivery = await toy_stack.stub("echo").GetDelivery(operations_pb2.GetDeliveryRequest())
    assert (toy_delivery.written_count, toy_delivery.published_seq) == (3, 3)
    assert [
        (row.producer, row.epoch, row.event_count, row.max_seq)
        for row in echo_delivery.consumed
        if row.producer == "toy"
    ] == [("toy", toy_delivery.epoch, 3, 3)]


async def test_a_listener_that_has_consumed_nothing_says_so(toy_stack: ToyStack) -> None:
    delivery = await toy_stack.stub("echo").GetDelivery(operations_pb2.GetDeliveryRequest())

    assert [(row.producer, row.event_count) for row in delivery.consumed] == [
        ("toy", 0),
        ("staff", 0),
    ]


async def test_replay_gives_every_event_in_order_across_pages(toy_stack: ToyStack) -> None:
    context = toy_stack.contexts["toy"]
    async with context.database.begin() as tx:
        for _ in range(250):
            await toy.ring(tx, "a", context.clock.now())
    context.wake.set()
    await toy_stack.delivered()

    events = await replayed(toy_stack, from_seq=1)
    later = await replayed(toy_stack, from_seq=248, epoch=events[0].epoch)

    assert [event.pub_seq for event in events] == list(range(1, 251))
    assert [event.pub_seq for event in later] == [248, 249, 250]
    assert toy.BellRang.FromString(events[-1].payload).revision == 250


async def test_replay_from_before_the_beginning_is_refused(toy_stack: ToyStack) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await replayed(toy_stack, from_seq=0)

    assert problem_of(caught.value).reason == "MALFORMED"


async def test_a_consumer_that_lost_the_stream_rebuilds_from_replay(
    toy_settings: Settings,
) -> None:
    async with serve_toys(toy_settings) as toy_stack:
        await toy_stack.ring("a", 5)
        await toy_stack.delivered()
    other_server = NatsServer(toy_settings.state_dir / "other", users=NATS_USERS)
    await other_server.start()
    elsewhere = toy_settings.model_copy(
        update={
            "nats_url": other_server.url,
            "nats_monitor_url": other_server.monitor_url,
            "nats_key_dir": other_server.key_dir,
        }
    )
    # The stream is lost, and toy has marked all as sent; a new listener asks toy itself.
    async with serve_toys(elsewhere) as toy_stack:
        await toy_stack.ring("b")
        await toy_stack.delivered()
        assert await toy_stack.echo_counts() == {"a": 5, "b": 1}
    await other_server.stop()


async def test_a_dead_letter_stays_when_its_retry_fails(with_dead_letter: ToyStack) -> None:
    (letter,) = await dead_letters(with_dead_letter)
    request = operations_pb2.RetryDeadLetterRequest(name=letter.name, request_id="r1")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await with_dead_letter.stub("echo").RetryDeadLetter(request)

    assert problem_of(caught.value).reason == "DEAD_LETTER_FAILS_AGAIN"
    assert [letter.name for letter in await dead_letters(with_dead_letter)] == [letter.name]


async def test_a_dead_letter_that_can_be_handled_now_is_resolved_once(
    with_dead_letter: ToyStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    (letter,) = await dead_letters(with_dead_letter)
    monkeypatch.setenv("TOY_BRAVE", "yes")
    request = operations_pb2.RetryDeadLetterRequest(name=letter.name, request_id="r1")
    stub = with_dead_letter.stub("echo")

    first = await stub.RetryDeadLetter(request)
    repeat = await stub.RetryDeadLetter(request)

    assert first.HasField("resolve_time")
    assert first == repeat
    assert await dead_letters(with_dead_letter) == []
    assert [
        letter.name for letter in await dead_letters(with_dead_letter, include_resolved=True)
    ] == [letter.name]
    assert await with_dead_letter.echo_counts() == {"shy": 1}


@pytest.mark.parametrize("name", ["deadLetters/x", "deadLetters/toy-e-x", "claims/c1", ""])
async def test_a_name_that_is_no_dead_letters_is_refused(toy_stack: ToyStack, name: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await toy_stack.stub("echo").RetryDeadLetter(
            operations_pb2.RetryDeadLetterRequest(name=name, request_id="r1")
        )

    assert problem_of(caught.value).reason == "MALFORMED"


async def test_a_dead_letter_that_does_not_exist_is_not_found(toy_stack: ToyStack) -> None:
    request = operations_pb2.RetryDeadLetterRequest(name="deadLetters/toy-e-9", request_id="r1")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await toy_stack.stub("echo").RetryDeadLetter(request)

    assert problem_of(caught.value).reason == "NOT_FOUND"


async def test_dead_letters_come_page_by_page(toy_stack: ToyStack) -> None:
    for seq in range(1, 6):
        await toy_stack.execute(
            "echo",
            "insert into dead_letter values"
            " ('toy', 'e', :seq, 'oip.toy.v1.BellRang', '', 'NotFound', now())",
            seq=seq,
        )
    stub, token, seen = toy_stack.stub("echo"), "", []
    for _ in range(3):
        answer = await stub.ListDeadLetters(
            operations_pb2.ListDeadLettersRequest(page_size=2, page_token=token)
        )
        seen += [letter.event.pub_seq for letter in answer.dead_letters]
        token = answer.next_page_token

    assert seen == [1, 2, 3, 4, 5]
    assert token == ""


async def test_waiting_for_delivery_says_who_is_behind(toy_stack: ToyStack) -> None:
    await toy_stack.execute("toy", "update outbox_counter set next_seq = 5")

    with pytest.raises(TimeoutError, match="echo has consumed 0 of 4 of toy"):
        await wait_until_delivered(toy_stack.channels(), NAMES, seconds=0.3)


async def test_a_stopped_stack_leaves_no_connection_and_can_start_again(
    toy_settings: Settings,
) -> None:
    for _ in range(2):
        async with serve_toys(toy_settings) as toy_stack:
            await toy_stack.ring("a")
            await toy_stack.delivered()
            databases = [context.database for context in toy_stack.contexts.values()]
        assert [database.checked_out_count for database in databases] == [0, 0]

    async with serve_toys(toy_settings) as toy_stack:
        assert await toy_stack.echo_counts() == {"a": 2}
