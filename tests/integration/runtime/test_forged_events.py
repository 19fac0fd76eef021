"""Messages that are no events of their producer have no effect, and stop nobody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.runtime.base.nats_keys import load_key
from services.runtime.base.settings import Settings
from services.runtime.events import event_keys, outbox, receiver, rejected_messages
from services.runtime.events.envelope import Envelope
from services.runtime.events.event_keys import load_or_make_signer, trust_of
from services.runtime.events.jetstream import HEADER_FORMS
from tests.support import toy
from tests.support.toy_delivery import ToyDelivery, consumed, consumed_numbers

Until = Callable[..., Any]


def counted(delivery: ToyDelivery, expected: dict[str, int]) -> Callable[[], Any]:
    async def holds() -> bool:
        return await delivery.rejected() == expected

    return holds


async def test_forged_events_of_the_next_number_have_no_effect_and_the_true_one_has(
    delivery: ToyDelivery, until: Until
) -> None:
    true = toy.rang(1)
    other = replace(toy.rang(1, "forged"), signature=b"", key_id="")
    drum = toy.signer_of("drum")
    delivery.start(delivery.listener(replay=toy.replay_of()))

    await delivery.send(other)
    await delivery.send(drum.sign(other))
    await delivery.send(replace(drum.sign(other), key_id=toy.SIGNER.key_id))
    await delivery.send(replace(true, payload=other.payload))
    await delivery.send(replace(other, key_id=true.key_id, signature=toy.rang(2).signature))
    await delivery.send(true, epoch="f")
    await delivery.send(true, seq="2")
    reasons = {"BAD_HEADER_KEY": 1, "UNKNOWN_KEY": 1, "BAD_SIGNATURE": 5}
    await until(counted(delivery, reasons))
    assert await delivery.echo_counts() == {}
    assert await consumed_numbers(delivery.echoes) == []

    await delivery.send(true)

    await until(consumed(delivery, {"a": 1}))
    assert await consumed_numbers(delivery.echoes) == [(1, 1)]
    assert await delivery.alarms() == []


async def test_an_event_whose_id_a_forged_one_took_is_replayed(
    delivery: ToyDelivery, until: Until
) -> None:
    listener = delivery.listener(repair_seconds=0.5)
    await delivery.ring("a", 2)
    async with delivery.toys.begin() as tx:
        epoch = (await outbox.published(tx)).epoch
    await delivery.bus.publish(replace(toy.rang(1, "forged", epoch=epoch), signature=b""))
    await delivery.relay().once()
    assert (await delivery.bus.js.stream_info("TOY")).state.messages == 2
    delivery.start(listener)

    await until(consumed(delivery, {"a": 2}))

    assert await consumed_numbers(delivery.echoes) == [(2, 2)]
    assert await delivery.rejected() == {"BAD_HEADER_SIGNATURE": 1}


async def test_a_forged_event_beside_a_true_one_raises_no_alarm(
    delivery: ToyDelivery, until: Until
) -> None:
    delivery.start(delivery.listener(replay=toy.replay_of()))
    await delivery.send(toy.rang(1))
    await until(consumed(delivery, {"a": 1}))

    forged = replace(toy.rang(1, "forged"), signature=toy.rang(1).signature)
    await delivery.send(forged)
    await until(counted(delivery, {"BAD_SIGNATURE": 1}))
    await delivery.send(toy.rang(2))

    await until(consumed(delivery, {"a": 2}))
    assert await delivery.alarms() == []


async def test_an_event_on_the_subject_of_another_producer_is_rejected(
    delivery: ToyDelivery, until: Until
) -> None:
    delivery.start(delivery.listener(replay=toy.replay_of()))
    foreign = toy.signer_of("drum").sign(replace(toy.rang(1, "forged"), producer="drum"))
    await delivery.send(foreign)
    await delivery.send(toy.rang(1))

    await until(consumed(delivery, {"a": 1}))
    await until(counted(delivery, {"FOREIGN_SUBJECT": 1}))


RAW_VALUES = (
    b"", b"0", b"-1", b"+7", b"7.0", b"\x00", b"7\x00", "٧".encode(), b"\xff\xfe", b"7" * 5000,
    b"x" * 10_240,
)  # fmt: skip
RAW_BLOCKS = (
    b"NATS/1.0\r\n\r\n",
    b"NATS/1.0\r\nno header\r\n\r\n",
    b"NATS/1.0\r\n: empty name\r\n\r\n",
    b"NATS/1.0\r\nStatus: 503\r\n\r\n",
    b"NATS/1.0\r\nStatus: 100\r\n\r\n",
    b"NATS/1.0\r\nStatus: 404\r\nDescription: No Messages\r\n\r\n",
    b"NATS/1.0 503\r\n\r\n",
    b"NATS/1.0 409 Consumer Deleted\r\n\r\n",
    b"NATS/1.0 \xff\xff\xff\r\n\r\n",
    b"NATS/1.0 503 \xff\xff\xff\r\n\r\n",
)


def raw_blocks() -> list[bytes]:
    """Header blocks of which none is an event's: each header missing, and with absurd values."""
    true = toy.rang(1)
    known = {
        "Oip-Producer": b"toy",
        "Oip-Epoch": b"e",
        "Oip-Seq": b"1",
        "Oip-Key": true.key_id.encode(),
        "Oip-Signature": true.signature.hex().encode(),
    }
    assert known.keys() == HEADER_FORMS.keys()
    blocks = list(RAW_BLOCKS)
    for name in known:
        for value in (None, *RAW_VALUES):
            held = {**known, name: value}
            lines = [key.encode() + b": " + one for key, one in held.items() if one is not None]
            blocks.append(b"NATS/1.0\r\n" + b"\r\n".join(lines) + b"\r\n\r\n")
    return blocks


async def publish_raw(settings: Settings, blocks: list[bytes], payload: bytes) -> None:
    """Publish by NATS's own protocol, with header blocks that no client would write."""
    place = urlsplit(settings.nats_url)
    key = load_key(settings.nats_key_path("toy"))
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    nonce = json.loads((await reader.readline()).removeprefix(b"INFO "))["nonce"]
    options = {"headers": True, "nkey": key.public, "sig": key.sign(nonce).decode()}
    writer.write(f"CONNECT {json.dumps(options)}\r\n".encode())
    for block in blocks:
        sizes = f"{len(block)} {len(block) + len(payload)}"
        writer.write(f"HPUB oip.toy.v1.BellRang {sizes}\r\n".encode() + block + payload + b"\r\n")
    writer.write(b"PING\r\n")
    async with asyncio.timeout(10):
        while (line := await reader.readline()) != b"PONG\r\n":
            assert line, "the server closed the connection"
            assert not line.startswith(b"-ERR"), line
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("payload", [toy.rang(1).payload, b""], ids=["content", "empty"])
async def test_absurd_headers_are_rejected_and_the_listener_goes_on(
    delivery: ToyDelivery, bus_settings: Settings, until: Until, payload: bytes
) -> None:
    listener = delivery.listener(replay=toy.replay_of())
    delivery.start(listener)
    blocks = raw_blocks()
    await publish_raw(bus_settings, blocks, payload)
    await delivery.send(toy.rang(1))

    await until(consumed(delivery, {"a": 1}))
    await until(listener.is_idle)

    assert sum((await delivery.rejected()).values()) == len(blocks)
    assert await consumed_numbers(delivery.echoes) == [(1, 1)]
    assert not any(task.done() for task in delivery.tasks)


async def test_a_number_far_ahead_that_its_producer_never_published_is_rejected(
    delivery: ToyDelivery, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "AHEAD_MAX", 3)
    published = [toy.rang(number) for number in range(1, 3)]
    delivery.start(delivery.listener(replay=toy.replay_of(*published), gap_seconds=3600))
    await delivery.send(toy.rang(6, "forged"))
    await delivery.send(toy.rang(900_000_000_000_000_000, "forged"))
    await delivery.send(toy.rang(9, "forged", epoch="unknown"))
    for envelope in published:
        await delivery.send(envelope)

    await until(counted(delivery, {"NUMBER_NOT_PUBLISHED": 3}))
    await until(consumed(delivery, {"a": 2}))


async def test_a_true_gap_is_crossed_once_its_producer_has_confirmed_the_number(
    delivery: ToyDelivery, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "AHEAD_MAX", 3)
    asked: list[int] = []

    async def replay(producer: str, epoch: str, from_seq: int) -> AsyncGenerator[Envelope, None]:
        asked.append(from_seq)
        # A repair asks for all events, and here it never gets them.
        if from_seq < 8 or len(asked) < 3:
            raise ConnectionRefusedError(producer)
        async for envelope in toy.replay_from(delivery.toys)(producer, epoch, from_seq):
            yield envelope

    async def lose_all_but_the_last(envelope: Envelope) -> None:
        if envelope.pub_seq >= 8:
            await delivery.bus.publish(envelope)

    await delivery.ring("a", 9)
    await delivery.relay(lose_all_but_the_last).once()
    delivery.start(delivery.listener(replay=replay, gap_seconds=3600))

    await until(consumed(delivery, {"a": 2}))

    assert await consumed_numbers(delivery.echoes) == [(2, 9)]
    assert await delivery.rejected() == {}


async def test_a_far_event_that_always_fails_becomes_a_dead_letter(
    delivery: ToyDelivery, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "AHEAD_MAX", 3)
    far = toy.rang(9, "poison")
    delivery.start(delivery.listener(replay=toy.replay_of(far), gap_seconds=3600))
    await delivery.send(far)

    async def has_dead_letter() -> bool:
        return await consumed_numbers(delivery.echoes) == [(1, 9)]

    await until(has_dead_letter)
    assert await delivery.rejected() == {}


async def test_a_replayed_event_with_a_bad_signature_is_rejected(
    delivery: ToyDelivery, until: Until
) -> None:
    answers = [toy.rang(1), replace(toy.rang(2), payload=b""), toy.rang(3)]
    delivery.start(delivery.listener(replay=toy.replay_of(*answers), gap_seconds=3600))

    await until(counted(delivery, {"REPLAYED_BAD_SIGNATURE": 1}))
    await until(consumed(delivery, {"a": 2}))

    assert await consumed_numbers(delivery.echoes) == [(2, 3)]


async def test_an_event_under_a_key_that_comes_later_is_applied_without_a_new_start(
    delivery: ToyDelivery, until: Until, tmp_path: Path
) -> None:
    signers = [
        load_or_make_signer(tmp_path / f"{name}.pem", name, tmp_path / name)
        for name in ("toy", "next")
    ]
    trust = trust_of(tmp_path / "toy")
    first, second = (signer.sign(toy.rang(number)) for number, signer in enumerate(signers, 1))
    listener = delivery.listener(
        delivery.receiver(trust=trust), replay=toy.replay_of(first, second), repair_seconds=0.2
    )
    await delivery.send(first)
    await delivery.send(second)
    delivery.start(listener)

    async def is_rejected() -> bool:
        return "UNKNOWN_KEY" in await delivery.rejected()

    await until(is_rejected)
    await until(consumed(delivery, {"a": 1}))
    public_keys = tmp_path / "toy" / "toy.pub"
    public_keys.write_bytes(public_keys.read_bytes() + (tmp_path / "next/next.pub").read_bytes())

    await until(consumed(delivery, {"a": 2}))


async def test_a_broken_key_file_delays_events_and_loses_none(
    delivery: ToyDelivery, until: Until, tmp_path: Path
) -> None:
    signer = load_or_make_signer(tmp_path / "toy.pem", "toy", tmp_path)
    whole = (tmp_path / "toy.pub").read_bytes()
    (tmp_path / "toy.pub").write_bytes(b"broken")
    read_count = 0

    def read() -> dict[str, list[bytes]]:
        nonlocal read_count
        read_count += 1
        return event_keys.read_public_keys(tmp_path)

    trust = event_keys.EventTrust(read)
    listener = delivery.listener(delivery.receiver(trust=trust), replay=toy.replay_of())
    delivery.start(listener)
    await delivery.send(signer.sign(toy.rang(1)))

    async def came_often() -> bool:
        return read_count > 6

    await until(came_often)
    (tmp_path / "toy.pub").write_bytes(whole)

    await until(consumed(delivery, {"a": 1}))
    assert await delivery.rejected() == {}


async def test_a_database_that_is_away_while_a_message_is_rejected_does_not_stop_the_listener(
    delivery: ToyDelivery, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, failures = rejected_messages.insert, 2

    async def fail_at_first(*arguments: Any) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise ConnectionResetError
        await count(*arguments)

    monkeypatch.setattr(rejected_messages, "insert", fail_at_first)
    delivery.start(delivery.listener(replay=toy.replay_of()))
    await delivery.send(replace(toy.rang(1), payload=b""))
    await delivery.send(toy.rang(1))

    await until(counted(delivery, {"BAD_SIGNATURE": 1}))
    await until(consumed(delivery, {"a": 1}))
