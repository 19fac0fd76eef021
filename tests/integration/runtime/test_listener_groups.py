"""Events that share a transaction: the failure of one is its own, and each counts once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from nats.aio.msg import Msg
from sqlalchemy import text

from services.runtime.events import dead_letters, event_alarms
from services.runtime.events.envelope import Envelope
from services.runtime.events.event_keys import NotAuthenticError
from services.runtime.events.jetstream import Bus
from services.runtime.events.receiver import DifferentContentError, Outcome, Receiver
from services.runtime.storage import audit
from services.runtime.storage.database import Database, Overloaded, Transaction
from tests.support import toy
from tests.support.toy_delivery import ToyDelivery, consumed, consumed_numbers

Until = Callable[..., Any]
COUNT = 12
PLACES = pytest.mark.parametrize("place", [1, 6, COUNT], ids=["first", "middle", "last"])


async def outcomes_of(receiver: Receiver, *batch: Envelope) -> list[Outcome]:
    return [outcome async for outcome in receiver.receive_all(batch)]


async def fetch(bus: Bus, count: int) -> list[Msg]:
    subscription = await bus.js.pull_subscribe_bind("echo", stream="TOY")
    messages: list[Msg] = []
    while len(messages) < count:
        messages += await subscription.fetch(count - len(messages), timeout=5)
    return messages


def with_one(place: int, name: str) -> list[Envelope]:
    """Twelve rings, one of them of another bell."""
    return [toy.rang(seq, name if seq == place else "a") for seq in range(1, COUNT + 1)]


async def audited(echoes: Database) -> Counter[str]:
    """The audit rows of events."""
    async with echoes.begin() as tx:
        await audit.link(tx)
        assert (await audit.verify(tx)).holds
        rows = await tx.execute(text("select resource from audit"))
        return Counter(row.resource for row in rows)


@PLACES
async def test_a_failing_event_leaves_the_others_of_its_group_applied_once(
    delivery: ToyDelivery, until: Until, place: int
) -> None:
    listener = delivery.listener()
    events = with_one(place, "poison")
    for envelope in events:
        await delivery.send(envelope)

    await listener._take(await fetch(delivery.echo_bus, COUNT))

    others = [envelope for envelope in events if envelope.pub_seq != place]
    assert await delivery.echo_counts() == {"a": COUNT - 1}
    assert await audited(delivery.echoes) == {f"events/{other.name}": 1 for other in others}
    delivery.start(listener)
    await until(listener.is_idle)
    async with delivery.echoes.begin() as tx:
        (letter,) = await dead_letters.list_dead_letters(tx, size=10)
    assert letter.envelope.pub_seq == place
    assert await delivery.echo_counts() == {"a": COUNT - 1}
    assert await consumed_numbers(delivery.echoes) == [(COUNT, COUNT)]


@PLACES
async def test_a_forged_message_leaves_the_others_of_its_group_applied_once(
    delivery: ToyDelivery, place: int
) -> None:
    events = with_one(place, "a")
    events[place - 1] = replace(events[place - 1], payload=b"")

    outcomes = await outcomes_of(delivery.receiver(), *events)

    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    assert [type(error) for error in errors] == [NotAuthenticError]
    assert sum(outcome.count for outcome in outcomes) == COUNT
    assert await delivery.echo_counts() == {"a": COUNT - 1}


@PLACES
async def test_a_failure_that_shows_at_the_commit_is_its_event_s_own(
    delivery: ToyDelivery, place: int
) -> None:
    async def count_or_break(tx: Transaction, event: Any, context: object) -> None:
        if event.name == "late":
            await tx.execute(
                text("create temp table late (n int unique deferrable initially deferred)")
            )
            await tx.execute(text("insert into late values (1), (1)"))
        await toy.on_bell_rang(tx, event, context)

    receiver = delivery.receiver(handlers={toy.BellRang: count_or_break})
    outcomes = await outcomes_of(receiver, *with_one(place, "late"))

    failed = [outcome for outcome in outcomes if outcome.error is not None]
    assert [outcome.count for outcome in failed] == [1]
    assert await delivery.echo_counts() == {"a": COUNT - 1}
    assert await consumed_numbers(delivery.echoes) == [
        (COUNT - 1, COUNT - 1 if place == COUNT else COUNT)
    ]


async def test_the_cost_of_failures_is_linear(delivery: ToyDelivery) -> None:
    runs: Counter[int] = Counter()

    async def fail_often(tx: Transaction, event: Any, context: object) -> None:
        runs[event.revision] += 1
        if event.revision % 3:
            raise ZeroDivisionError
        await toy.on_bell_rang(tx, event, context)

    receiver = delivery.receiver(handlers={toy.BellRang: fail_often})
    outcomes = await outcomes_of(receiver, *(toy.rang(seq, revision=seq) for seq in range(1, 61)))

    assert sum(outcome.count for outcome in outcomes if outcome.error is not None) == 40
    assert await delivery.echo_counts() == {"a": 20}
    assert max(runs.values()) <= 2


async def test_a_number_that_comes_twice_in_a_group_counts_once(delivery: ToyDelivery) -> None:
    first, second = toy.rang(1), toy.rang(2)

    outcomes = await outcomes_of(delivery.receiver(), first, second, first, second, first)

    assert outcomes == [Outcome(5, 2)]
    assert await delivery.echo_counts() == {"a": 2}
    assert await consumed_numbers(delivery.echoes) == [(2, 2)]


async def test_another_content_within_a_group_raises_the_alarm_and_stops_what_follows(
    delivery: ToyDelivery, until: Until
) -> None:
    listener = delivery.listener(replay=toy.replay_of())
    for envelope in (toy.rang(1), toy.rang(2), toy.rang(2, "forged"), toy.rang(3, "waits")):
        await delivery.send(envelope)

    await listener._take(await fetch(delivery.echo_bus, 4))

    (alarm,) = await delivery.alarms()
    assert alarm.pub_seq == 2
    assert await delivery.echo_counts() == {"a": 2}
    async with delivery.echoes.begin() as tx:
        await event_alarms.resolve(tx, alarm, "seen", delivery.clock.now())
    delivery.start(listener)
    await until(consumed(delivery, {"a": 2, "waits": 1}))
    assert await consumed_numbers(delivery.echoes) == [(3, 3)]


async def test_another_content_of_an_earlier_event_fails_alone(delivery: ToyDelivery) -> None:
    receiver = delivery.receiver()
    await receiver.receive(toy.rang(2))

    outcomes = await outcomes_of(receiver, toy.rang(1), toy.rang(2, "forged"), toy.rang(3))

    assert [type(outcome.error) for outcome in outcomes] == [
        type(None),
        DifferentContentError,
        type(None),
    ]


async def test_two_groups_that_deadlock_are_both_applied_once(delivery: ToyDelivery) -> None:
    both_hold_a_row = asyncio.Barrier(2)
    runs = 0

    async def meet(tx: Transaction, event: Any, context: object) -> None:
        nonlocal runs
        runs += 1
        await toy.on_bell_rang(tx, event, context)
        if runs <= 2:
            await both_hold_a_row.wait()

    receivers = [delivery.receiver(handlers={toy.BellRang: meet}) for _ in range(2)]
    batches = [
        [toy.rang(1, "x"), toy.rang(2, "y")],
        [toy.rang(3, "y"), toy.rang(4, "x")],
    ]
    async with asyncio.timeout(20):
        outcomes = await asyncio.gather(
            *(outcomes_of(one, *batch) for one, batch in zip(receivers, batches, strict=True))
        )

    assert outcomes == [[Outcome(2, 2)], [Outcome(2, 2)]]
    assert runs > 4
    assert await delivery.echo_counts() == {"x": 2, "y": 2}
    assert await consumed_numbers(delivery.echoes) == [(4, 4)]


async def test_the_same_events_in_two_groups_at_once_count_once(delivery: ToyDelivery) -> None:
    events = [toy.rang(seq, f"b{seq}") for seq in range(1, 21)]
    receiver = delivery.receiver()

    await asyncio.gather(outcomes_of(receiver, *events), outcomes_of(receiver, *reversed(events)))

    assert set((await delivery.echo_counts()).values()) == {1}
    assert await consumed_numbers(delivery.echoes) == [(20, 20)]


async def test_slow_events_share_short_transactions(delivery: ToyDelivery, until: Until) -> None:
    transactions: Counter[int] = Counter()

    async def count_slowly(tx: Transaction, event: Any, context: object) -> None:
        number = await tx.execute(text("select pg_current_xact_id()::text::bigint"))
        transactions[number.scalar_one()] += 1
        await asyncio.sleep(0.1)
        await toy.on_bell_rang(tx, event, context)

    for seq in range(1, 37):
        await delivery.send(toy.rang(seq))
    receiver = delivery.receiver(handlers={toy.BellRang: count_slowly})
    delivery.start(delivery.listener(receiver, replay=toy.replay_of(), gap_seconds=3600))
    await until(consumed(delivery, {"a": 36}))

    # The first group learns the pace; half a second allows at most five more at a time.
    groups = list(transactions.values())
    assert sum(groups) == 36
    assert max(groups) <= 16
    assert sorted(groups)[-2] <= 5


async def test_a_full_pool_fails_the_group_at_once_and_no_event_alone(
    delivery: ToyDelivery, echoes: Database
) -> None:
    url = echoes._engine.url.render_as_string(hide_password=False)
    narrow = Database(url, "echo", pool_size=1)
    receiver = replace(delivery, echoes=narrow).receiver()
    async with narrow.begin(), asyncio.timeout(4):
        (outcome,) = await outcomes_of(receiver, *with_one(1, "a"))
    await narrow.close()

    assert outcome.count == COUNT
    assert isinstance(outcome.error, Overloaded)
    assert await delivery.echo_counts() == {}
