"""The relay: dense numbers in commit order; no event is lost or sent under two numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from services.runtime.base.clock import SetClock, SystemClock
from services.runtime.base.failpoints import FailpointError
from services.runtime.events import epochs, inbox, outbox
from services.runtime.events.envelope import Envelope
from services.runtime.events.outbox import Relay
from services.runtime.storage.database import Database
from tests.support import toy


def relay_into(toys: Database, published: list[Envelope]) -> Relay:
    async def publish(envelope: Envelope) -> None:
        published.append(envelope)

    return Relay(toys, publish, toy.SIGNER, SystemClock(), asyncio.Event())


async def test_events_get_dense_numbers_and_are_marked_sent(
    toys: Database, clock: SetClock
) -> None:
    async with toys.begin() as tx:
        for _ in range(5):
            await toy.ring(tx, "a", clock.now())
    published: list[Envelope] = []

    assert await relay_into(toys, published).once() == 5

    assert [envelope.pub_seq for envelope in published] == [1, 2, 3, 4, 5]
    assert {envelope.subject for envelope in published} == {"oip.toy.v1.BellRang"}
    for envelope in published:
        toy.TRUST.require_authentic(envelope)
    async with toys.begin() as tx:
        progress = await outbox.published(tx)
    assert (progress.written_count, progress.published_seq, progress.unsent_count) == (5, 5, 0)


async def test_an_event_that_commits_late_is_not_passed_over(
    toys: Database, clock: SetClock
) -> None:
    published: list[Envelope] = []
    relay = relay_into(toys, published)
    async with toys.begin() as late:
        await toy.ring(late, "late", clock.now())
        async with toys.begin() as early:
            await toy.ring(early, "early", clock.now())
        await relay.once()
    await relay.once()

    assert [toy.BellRang.FromString(envelope.payload).name for envelope in published] == [
        "early",
        "late",
    ]
    assert [envelope.pub_seq for envelope in published] == [1, 2]


async def test_a_rolled_back_change_publishes_nothing(toys: Database, clock: SetClock) -> None:
    published: list[Envelope] = []

    async def fail() -> None:
        async with toys.begin() as tx:
            await toy.ring(tx, "a", clock.now())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await relay_into(toys, published).once() == 0
    assert await toy.rings(toys) == {}


@pytest.mark.parametrize("place", ["relay.after_number", "relay.after_publish", "relay.after_mark"])
async def test_a_failure_anywhere_sends_the_same_event_under_the_same_number(
    toys: Database, clock: SetClock, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    published: list[Envelope] = []
    relay = relay_into(toys, published)
    async with toys.begin() as tx:
        for name in "abc":
            await toy.ring(tx, name, clock.now())
    monkeypatch.setenv("OIP_FAILPOINT", f"{place}:raise")
    with pytest.raises(FailpointError):
        await relay.once()
    monkeypatch.delenv("OIP_FAILPOINT")
    async with toys.begin() as tx:
        await toy.ring(tx, "d", clock.now())
    while await relay.once():
        pass

    content = {envelope.pub_seq: envelope.content_hash for envelope in published}
    assert sorted(content) == [1, 2, 3, 4]
    assert all(content[envelope.pub_seq] == envelope.content_hash for envelope in published)


async def test_of_two_relays_one_publishes(toys: Database, clock: SetClock) -> None:
    published: list[Envelope] = []
    async with toys.begin() as tx:
        for _ in range(20):
            await toy.ring(tx, "a", clock.now())

    async def slowly(envelope: Envelope) -> None:
        await asyncio.sleep(0.01)
        published.append(envelope)

    relays = [Relay(toys, slowly, toy.SIGNER, SystemClock(), asyncio.Event()) for _ in range(2)]
    sent = await asyncio.gather(*(relay.once() for relay in relays))

    assert sorted(sent) == [0, 20]
    assert [envelope.pub_seq for envelope in published] == list(range(1, 21))


async def test_the_relay_goes_on_after_the_bus_was_away(
    toys: Database, clock: SetClock, until: Callable[..., Any]
) -> None:
    published: list[Envelope] = []
    away = True

    async def publish(envelope: Envelope) -> None:
        if away:
            raise TimeoutError
        published.append(envelope)

    wake = asyncio.Event()
    task = asyncio.create_task(Relay(toys, publish, toy.SIGNER, SystemClock(), wake).run())
    async with toys.begin() as tx:
        await toy.ring(tx, "a", clock.now())
    await asyncio.sleep(0.3)
    away = False

    async def came() -> bool:
        return len(published) == 1

    await until(came)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_reading_again_gives_every_event_from_a_number_on(
    toys: Database, clock: SetClock
) -> None:
    published: list[Envelope] = []
    async with toys.begin() as tx:
        for _ in range(7):
            await toy.ring(tx, "a", clock.now())
    await relay_into(toys, published).once()

    async with toys.begin() as tx:
        first = await outbox.read_from(tx, "toy", "", 3, limit=2)
        rest = await outbox.read_from(tx, "toy", first[-1].epoch, first[-1].pub_seq + 1)

    assert [*first, *rest] == published[2:]


async def test_a_restored_database_begins_a_new_sequence_that_replay_leads_to(
    toys: Database, clock: SetClock
) -> None:
    published: list[Envelope] = []
    relay = relay_into(toys, published)
    for epoch in ("", "second"):
        async with toys.begin() as tx:
            if epoch:
                await epochs.begin_epoch(tx, epoch)
            await toy.ring(tx, "a", clock.now())
        await relay.once()

    async with toys.begin() as tx:
        replayed = await outbox.read_from(tx, "toy", published[0].epoch, 1)
        unknown = await outbox.read_from(tx, "toy", "lost with the disk", 40)

    assert [(envelope.epoch, envelope.pub_seq) for envelope in replayed] == [
        (published[0].epoch, 1),
        ("second", 1),
    ]
    assert unknown == replayed


async def test_both_sides_of_a_delivery_agree_on_a_fingerprint(
    toys: Database, echoes: Database, clock: SetClock
) -> None:
    published: list[Envelope] = []
    async with toys.begin() as tx:
        for name in "abcd":
            await toy.ring(tx, name, clock.now())
    await relay_into(toys, published).once()
    async with echoes.begin() as tx:
        for envelope in reversed(published):
            await inbox.record(tx, envelope, clock.now())
        (consumed,) = await inbox.progress(tx, "toy")
    async with toys.begin() as tx:
        here = await outbox.published(tx)
        last = await outbox.fingerprint_at(tx, published[0].epoch, 4)
        before = await outbox.fingerprint_at(tx, published[0].epoch, 3)
        after = await outbox.fingerprint_at(tx, published[0].epoch, 5)

    assert here.fingerprint == last == consumed.fingerprint
    assert before not in {None, last}
    assert after is None


async def test_an_event_too_large_for_the_bus_is_refused_in_the_change(
    toys: Database, clock: SetClock
) -> None:
    with pytest.raises(ValueError, match="split it"):
        async with toys.begin() as tx:
            await outbox.add(tx, toy.BellRang(name="x" * 1_000_001), clock.now())


async def test_a_backlog_goes_out_in_batches_in_order(toys: Database) -> None:
    async with toys.begin() as tx:
        await tx.execute(
            text(
                "insert into outbox (subject, payload, create_time)"
                " select 'oip.toy.v1.BellRang', '', now() from generate_series(1, 450)"
            )
        )
    published: list[Envelope] = []
    relay = relay_into(toys, published)

    batches = []
    while batch := await relay.once():
        batches.append(batch)

    assert batches == [200, 200, 50]
    assert [envelope.pub_seq for envelope in published] == list(range(1, 451))


async def test_only_stored_events_are_marked_and_the_others_follow_under_their_numbers(
    toys: Database, clock: SetClock
) -> None:
    stored: list[Envelope] = []
    lost = {3, 40}
    flying = flying_max = 0

    async def publish(envelope: Envelope) -> None:
        nonlocal flying, flying_max
        flying += 1
        flying_max = max(flying_max, flying)
        await asyncio.sleep(0.001)
        flying -= 1
        if envelope.pub_seq in lost:
            lost.remove(envelope.pub_seq)
            raise TimeoutError
        stored.append(envelope)

    async with toys.begin() as tx:
        for _ in range(50):
            await toy.ring(tx, "a", clock.now())
    relay = Relay(toys, publish, toy.SIGNER, SystemClock(), asyncio.Event())
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await relay.once()
    await relay.once()

    assert sorted(envelope.pub_seq for envelope in stored) == list(range(1, 51))
    assert await relay.once() == 0
    assert 1 < flying_max <= outbox.IN_FLIGHT_COUNT
