"""Another content under a consumed number stops its producer's events until a person decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import grpc
import psycopg
import pytest
from oip.operations.v1 import operations_pb2

from services.cli import verify
from services.runtime.base.settings import Settings
from services.runtime.events import event_alarms, jetstream
from services.runtime.events.envelope import Envelope
from services.runtime.rpc.client import problem_of
from services.runtime.rpc.wire import enum_number
from services.runtime.service.addresses import publish_addresses
from services.runtime.service.delivery import wait_until_delivered
from services.runtime.service.host import event_signer
from services.runtime.service.operations import envelope_from_wire
from tests.support import command_line, toy
from tests.support.toy_delivery import ToyDelivery, consumed, consumed_numbers
from tests.support.toy_stack import NAMES, ToyStack, dead_letters, replayed

Until = Callable[..., Any]


async def broken(toys: ToyStack, service: str) -> list[str]:
    """The codes of the invariants that do not hold."""
    answer = await toys.stub(service).Verify(operations_pb2.VerifyRequest())
    return [check.invariant for check in answer.checks if not check.holds]


async def refusal(call: Awaitable[Any]) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return problem_of(caught.value).reason


async def alarms(toys: ToyStack, **request: Any) -> list[operations_pb2.EventAlarm]:
    request_of_all = operations_pb2.ListEventAlarmsRequest(**request)
    return list((await toys.stub("echo").ListEventAlarms(request_of_all)).event_alarms)


def another_under(envelope: Envelope, settings: Settings) -> Envelope:
    """Another content under the number of an event, signed with the producer's own key."""
    payload = toy.BellRang(name="forged", revision=1).SerializeToString()
    return event_signer(settings, "toy").sign(replace(envelope, payload=payload))


@pytest.fixture
async def with_alarm(toy_stack: ToyStack, until: Until) -> ToyStack:
    """Toy and echo after two contents came under the number of a ring of the bell `a`."""
    await toy_stack.ring("a")
    await toy_stack.delivered()
    (event,) = await replayed(toy_stack, from_seq=1)
    bus = await jetstream.connect(toy_stack.settings, "toy", on_closed=lambda: None)
    other = another_under(envelope_from_wire(event), toy_stack.settings)
    # Under an id of its own: JetStream drops a second message of one id.
    headers = {
        jetstream.PRODUCER_HEADER: other.producer,
        jetstream.EPOCH_HEADER: other.epoch,
        jetstream.SEQ_HEADER: str(other.pub_seq),
        jetstream.KEY_HEADER: other.key_id,
        jetstream.SIGNATURE_HEADER: other.signature.hex(),
    }
    await bus.js.publish(other.subject, other.payload, headers=headers)
    await bus.close()

    async def has_alarm() -> bool:
        return bool(await alarms(toy_stack))

    await until(has_alarm)
    return toy_stack


async def test_an_alarm_stops_its_producer_s_events_until_it_is_resolved(
    with_alarm: ToyStack, until: Until
) -> None:
    stub = with_alarm.stub("echo")
    (alarm,) = await alarms(with_alarm)
    await with_alarm.ring("b", 2)
    with pytest.raises(TimeoutError, match="echo has consumed 1 of 3 of toy"):
        await wait_until_delivered(with_alarm.channels(), NAMES, seconds=1.5)
    assert await with_alarm.echo_counts() == {"a": 1}
    assert await broken(with_alarm, "echo") == ["I6-alarms"]
    assert await broken(with_alarm, "toy") == []
    assert (alarm.subject, alarm.stored_hash == alarm.received_hash) == (
        "oip.toy.v1.BellRang",
        False,
    )
    report = await stub.GetDelivery(operations_pb2.GetDeliveryRequest())
    assert (report.open_alarm_count, report.rejected_message_count) == (1, 0)

    request = operations_pb2.ResolveEventAlarmRequest(
        name=alarm.name, request_id="r1", resolution=" the first one is toy's own "
    )
    first = await stub.ResolveEventAlarm(request)
    assert await stub.ResolveEventAlarm(request) == first
    assert first.HasField("resolve_time")
    assert first.resolution == "the first one is toy's own"

    async def applied() -> bool:
        return await with_alarm.echo_counts() == {"a": 1, "b": 2}

    await until(applied, 45)
    await with_alarm.delivered()
    assert await broken(with_alarm, "echo") == []
    assert await alarms(with_alarm) == []
    assert await alarms(with_alarm, include_resolved=True) == [first]


@pytest.mark.parametrize(
    ("resolution", "reason"),
    [
        ("", "FIELD_MISSING"),
        ("  ", "FIELD_MISSING"),
        ("two\nlines", "UNSEEN_CHARACTER"),
        ("x" * 501, "TOO_LONG"),
        ("nul\x00", "UNSEEN_CHARACTER"),
    ],
)
async def test_an_alarm_is_not_resolved_without_saying_why(
    toy_stack: ToyStack, resolution: str, reason: str
) -> None:
    request = operations_pb2.ResolveEventAlarmRequest(
        name="eventAlarms/toy-e-1-0123456789abcdef", request_id="r1", resolution=resolution
    )

    assert await refusal(toy_stack.stub("echo").ResolveEventAlarm(request)) == reason


NO_NAMES = (
    "",
    "x",
    "claims/c1",
    "eventAlarms/x",
    "eventAlarms/toy-e-x-0123456789abcdef",
    "eventAlarms/toy-e-1-0123",
    "eventAlarms/0123456789abcdef",
    "eventAlarms/toy-e-1-%23456789abcdef",
    f"eventAlarms/toy-e-{'1' * 100}-0123456789abcdef",
)


async def test_a_name_that_is_no_alarm_s_is_refused(toy_stack: ToyStack) -> None:
    stub = toy_stack.stub("echo")
    name_of_none = "eventAlarms/toy-e-1-0123456789abcdef"
    reasons = []
    for number, name in enumerate((*NO_NAMES, name_of_none)):
        request = operations_pb2.ResolveEventAlarmRequest(
            name=name, request_id=f"r{number}", resolution="seen"
        )
        reasons.append(await refusal(stub.ResolveEventAlarm(request)))

    assert reasons == [*["MALFORMED"] * len(NO_NAMES), "NOT_FOUND"]


async def test_alarms_come_page_by_page(toy_stack: ToyStack) -> None:
    for number, content in ((1, "a"), (1, "b"), (1, "c"), (2, "a"), (3, "a")):
        await toy_stack.execute(
            "echo",
            "insert into event_alarm values ('toy', 'e', :number, 'oip.toy.v1.BellRang', 'stored',"
            " sha256(cast(:content as bytea)), '2025-07-01', null, '')",
            number=number,
            content=content.encode(),
        )
    stub, token, seen = toy_stack.stub("echo"), "", []
    for _ in range(3):
        answer = await stub.ListEventAlarms(
            operations_pb2.ListEventAlarmsRequest(page_size=2, page_token=token)
        )
        seen += [alarm.name for alarm in answer.event_alarms]
        token = answer.next_page_token

    assert (len(seen), len(set(seen)), token) == (5, 5, "")
    assert await broken(toy_stack, "echo") == ["I6-alarms"]


async def test_another_producer_goes_on_while_one_is_stopped(
    delivery: ToyDelivery, until: Until
) -> None:
    receiver = delivery.receiver(handlers=toy.BOTH_HANDLERS)
    delivery.start(delivery.listener(receiver, replay=toy.replay_of()))
    await delivery.send(toy.rang(1))
    await until(consumed(delivery, {"a": 1}))
    await delivery.send(toy.rang(1, "forged"))

    async def has_alarm() -> bool:
        return len(await delivery.alarms()) == 1

    await until(has_alarm)
    await delivery.send(toy.rang(2, "waits"))
    for number in (1, 2, 3):
        await delivery.send(toy.rang(number, "d", producer="drum"))
    await until(consumed(delivery, {"a": 1, "d": 3}))

    (alarm,) = await delivery.alarms()
    async with delivery.echoes.begin() as tx:
        await event_alarms.resolve(tx, alarm, "seen", delivery.clock.now())
    await until(consumed(delivery, {"a": 1, "d": 3, "waits": 1}))
    assert await consumed_numbers(delivery.echoes) == [(3, 3), (2, 2)]


async def test_another_content_in_a_replay_raises_the_alarm(
    delivery: ToyDelivery, until: Until
) -> None:
    answers = toy.rang(1), toy.rang(2), toy.rang(3, "forged"), toy.rang(4)
    receiver = delivery.receiver()
    await receiver.receive(toy.rang(3))
    delivery.start(delivery.listener(receiver, replay=toy.replay_of(*answers)))

    async def has_alarm() -> bool:
        return [(one.epoch, one.pub_seq) for one in await delivery.alarms()] == [("e", 3)]

    await until(has_alarm)
    assert await delivery.echo_counts() == {"a": 3}
    assert await consumed_numbers(delivery.echoes) == [(3, 3)]


async def test_an_inbox_that_was_edited_is_found_by_its_fingerprint(
    toy_stack: ToyStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "DELIVERY_SECONDS", 0.5)
    await toy_stack.ring("a", 3)
    await toy_stack.delivered()
    url = toy_stack.settings.database_url
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("set session_replication_role = replica")
        await connection.execute("update echo.inbox set content_hash = 'x' where pub_seq = 2")
        await connection.execute("delete from echo.inbox_mark")

    sentence = "echo holds other events of toy than it published"
    with pytest.raises(TimeoutError, match=sentence):
        await wait_until_delivered(toy_stack.channels(), NAMES, seconds=0.3)
    with publish_addresses(toy_stack.settings.state_dir, toy_stack.addresses):
        done = await command_line.oip(toy_stack.settings.state_dir, "verify")
    assert done.exit_code == 1
    assert sentence in " ".join(done.output.replace("│", " ").split())
    assert "1 of the invariants do not hold." in done.output


async def test_a_dismissed_dead_letter_is_settled_with_its_reason(
    with_dead_letter: ToyStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = with_dead_letter.stub("echo")
    (letter,) = await dead_letters(with_dead_letter)

    async def open_count() -> int:
        report = await stub.GetDelivery(operations_pb2.GetDeliveryRequest())
        return int(report.open_dead_letter_count)

    def dismissal(
        reason: str, request_id: str = "r1", code: int = operations_pb2.SENT_IN_ERROR
    ) -> operations_pb2.DismissDeadLetterRequest:
        return operations_pb2.DismissDeadLetterRequest(
            name=letter.name, request_id=request_id, reason=reason, code=enum_number(code)
        )

    for number, reason in enumerate(("", "  ")):
        call = stub.DismissDeadLetter(dismissal(reason, f"bad-{number}"))
        assert await refusal(call) == "FIELD_MISSING", reason
    for code, expected in ((0, "FIELD_MISSING"), (6, "UNKNOWN_CHOICE"), (-1, "UNKNOWN_CHOICE")):
        call = stub.DismissDeadLetter(dismissal("seen", f"code-{code}", code))
        assert await refusal(call) == expected, code
    assert (await open_count(), await broken(with_dead_letter, "echo")) == (1, ["I6-dead-letters"])

    first = await stub.DismissDeadLetter(dismissal("rung by mistake"))
    assert await stub.DismissDeadLetter(dismissal("rung by mistake")) == first
    later = await stub.DismissDeadLetter(dismissal("another reason", "r2"))

    assert (first.dismissal, first.HasField("resolve_time")) == ("rung by mistake", True)
    assert first.dismissal_code == operations_pb2.SENT_IN_ERROR
    assert later == first
    assert (await open_count(), await broken(with_dead_letter, "echo")) == (0, [])
    assert await dead_letters(with_dead_letter) == []
    assert await dead_letters(with_dead_letter, include_resolved=True) == [first]
    monkeypatch.setenv("TOY_BRAVE", "yes")
    retry = operations_pb2.RetryDeadLetterRequest(name=letter.name, request_id="r3")
    assert await stub.RetryDeadLetter(retry) == first
    assert await with_dead_letter.echo_counts() == {}
    await with_dead_letter.delivered()
    missing = operations_pb2.DismissDeadLetterRequest(
        name="deadLetters/toy-e-9", request_id="r4", reason="seen", code=operations_pb2.SUPERSEDED
    )
    assert await refusal(stub.DismissDeadLetter(missing)) == "NOT_FOUND"
