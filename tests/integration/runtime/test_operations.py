"""Delivery, replay and dead letters of two services served for real."""

from __future__ import annotations

import grpc
import pytest
from oip.operations.v1 import operations_pb2
from sqlalchemy import text

from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.rpc.client import problem_of
from services.runtime.service.delivery import settled
from tests.support import toy
from tests.support.served import NAMES, ServedPair, letters, replayed, served


async def test_what_one_service_tells_the_other_hears(both: ServedPair) -> None:
    await both.ring("a", 3)
    await settled(both.channels(), NAMES)

    assert await toy.echoes(both.running["echo"].database) == {"a": 3}
    told = await both.stub("toy").GetDelivery(operations_pb2.GetDeliveryRequest())
    heard = await both.stub("echo").GetDelivery(operations_pb2.GetDeliveryRequest())
    assert (told.written_count, told.published_seq) == (3, 3)
    assert [(row.producer, row.epoch, row.event_count, row.max_seq) for row in heard.heard] == [
        ("toy", told.epoch, 3, 3)
    ]


async def test_a_listener_that_has_heard_nothing_says_so(both: ServedPair) -> None:
    heard = await both.stub("echo").GetDelivery(operations_pb2.GetDeliveryRequest())

    assert [(row.producer, row.event_count) for row in heard.heard] == [("toy", 0)]


async def test_replay_gives_every_event_in_order_across_pages(both: ServedPair) -> None:
    one = both.running["toy"]
    async with one.database.begin() as tx:
        for _ in range(250):
            await toy.ring(tx, "a", one.clock.now())
    one.wake.set()
    await settled(both.channels(), NAMES)

    events = await replayed(both, from_seq=1)
    later = await replayed(both, from_seq=248, epoch=events[0].epoch)

    assert [event.pub_seq for event in events] == list(range(1, 251))
    assert [event.pub_seq for event in later] == [248, 249, 250]
    assert toy.BellRang.FromString(events[-1].payload).revision == 250


async def test_replay_from_before_the_beginning_is_refused(both: ServedPair) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await replayed(both, from_seq=0)

    assert problem_of(caught.value).reason == "MALFORMED"


async def test_a_consumer_that_lost_the_stream_rebuilds_from_replay(
    both_settings: Settings,
) -> None:
    async with served(both_settings) as both:
        await both.ring("a", 5)
        await settled(both.channels(), NAMES)
    one = NatsServer(both_settings.state_dir / "other")
    await one.start()
    elsewhere = both_settings.model_copy(
        update={"nats_url": one.url, "nats_monitor_url": one.monitor_url}
    )
    # The stream is gone, and toy believes it has sent all; a new listener asks toy itself.
    async with served(elsewhere) as both:
        async with both.running["toy"].database.begin() as tx:
            await toy.ring(tx, "b", both.running["toy"].clock.now())
        both.running["toy"].wake.set()
        await settled(both.channels(), NAMES)
        assert await toy.echoes(both.running["echo"].database) == {"a": 5, "b": 1}
    await one.stop()


async def test_a_dead_letter_stays_when_its_retry_fails(poisoned: ServedPair) -> None:
    (letter,) = await letters(poisoned)
    request = operations_pb2.RetryDeadLetterRequest(name=letter.name, request_id="r1")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await poisoned.stub("echo").RetryDeadLetter(request)

    assert problem_of(caught.value).reason == "DEAD_LETTER_FAILS_AGAIN"
    assert [one.name for one in await letters(poisoned)] == [letter.name]


async def test_a_dead_letter_that_can_be_handled_now_is_settled_once(
    poisoned: ServedPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    (letter,) = await letters(poisoned)
    monkeypatch.setenv("TOY_BRAVE", "yes")
    request = operations_pb2.RetryDeadLetterRequest(name=letter.name, request_id="r1")
    stub = poisoned.stub("echo")

    first = await stub.RetryDeadLetter(request)
    again = await stub.RetryDeadLetter(request)

    assert first.HasField("resolve_time")
    assert first == again
    assert await letters(poisoned) == []
    assert [one.name for one in await letters(poisoned, include_resolved=True)] == [letter.name]
    assert await toy.echoes(poisoned.running["echo"].database) == {"shy": 1}


@pytest.mark.parametrize("name", ["deadLetters/x", "deadLetters/toy-e-x", "claims/c1", ""])
async def test_a_name_that_is_no_dead_letters_is_refused(both: ServedPair, name: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await both.stub("echo").RetryDeadLetter(
            operations_pb2.RetryDeadLetterRequest(name=name, request_id="r1")
        )

    assert problem_of(caught.value).reason == "MALFORMED"


async def test_a_dead_letter_nobody_put_there_is_not_found(both: ServedPair) -> None:
    request = operations_pb2.RetryDeadLetterRequest(name="deadLetters/toy-e-9", request_id="r1")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await both.stub("echo").RetryDeadLetter(request)

    assert problem_of(caught.value).reason == "NOT_FOUND"


async def test_dead_letters_come_page_by_page(both: ServedPair) -> None:
    async with both.running["echo"].database.begin() as tx:
        for seq in range(1, 6):
            await tx.execute(
                text(
                    "insert into dead_letter values"
                    " ('toy', 'e', :s, 'oip.toy.v1.BellRang', '', 'NotFound', now())"
                ),
                {"s": seq},
            )
    stub, token, seen = both.stub("echo"), "", []
    for _ in range(3):
        answer = await stub.ListDeadLetters(
            operations_pb2.ListDeadLettersRequest(page_size=2, page_token=token)
        )
        seen += [letter.event.pub_seq for letter in answer.dead_letters]
        token = answer.next_page_token

    assert seen == [1, 2, 3, 4, 5]
    assert token == ""


async def test_settled_says_who_is_behind(both: ServedPair) -> None:
    async with both.running["toy"].database.begin() as tx:
        await tx.execute(text("update outbox_counter set next_seq = 5"))

    with pytest.raises(TimeoutError, match="echo has heard 0 of 4 of toy"):
        await settled(both.channels(), NAMES, seconds=0.3)


async def test_a_stopped_stack_leaves_no_connection_and_can_start_again(
    both_settings: Settings,
) -> None:
    for _ in range(2):
        async with served(both_settings) as both:
            await both.ring("a")
            await settled(both.channels(), NAMES)
            databases = [one.database for one in both.running.values()]
        assert [database.checked_out_count for database in databases] == [0, 0]

    async with served(both_settings) as both:
        assert await toy.echoes(both.running["echo"].database) == {"a": 2}
