"""The inbox: an event counts once, and what is missing shows."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from services.runtime.base.clock import SetClock
from services.runtime.events import inbox
from services.runtime.events.envelope import Envelope
from services.runtime.events.inbox import Consumed, Receipt
from services.runtime.storage.database import Database

FIRST, REPEATED = Receipt.FIRST, Receipt.REPEATED


def event(seq: int, producer: str = "toy", epoch: str = "e1") -> Envelope:
    return Envelope(producer, epoch, seq, f"oip.{producer}.v1.BellRang", b"%d" % seq)


async def consume(echoes: Database, clock: SetClock, *events: Envelope) -> list[Receipt]:
    async with echoes.begin() as tx:
        return [await inbox.record(tx, envelope, clock.now()) for envelope in events]


async def test_an_event_is_first_once(echoes: Database, clock: SetClock) -> None:
    assert await consume(echoes, clock, event(1), event(1), event(2)) == [FIRST, REPEATED, FIRST]
    assert await consume(echoes, clock, event(1), event(1, epoch="e2")) == [REPEATED, FIRST]


async def test_another_content_or_subject_under_a_number_is_different(
    echoes: Database, clock: SetClock
) -> None:
    await consume(echoes, clock, event(1))
    altered = replace(event(1), payload=b"altered")
    renamed = replace(event(1), subject="oip.toy.v1.BellTuned")

    assert await consume(echoes, clock, altered, renamed) == [Receipt.DIFFERENT] * 2
    assert await consume(echoes, clock, event(1)) == [REPEATED]


async def test_of_two_at_once_one_is_first(echoes: Database, clock: SetClock) -> None:
    first = await asyncio.gather(*(consume(echoes, clock, event(1)) for _ in range(4)))

    assert sorted(receipt.value for (receipt,) in first) == ["first", *["repeated"] * 3]


async def test_a_rolled_back_effect_is_not_recorded(echoes: Database, clock: SetClock) -> None:
    async def fail() -> None:
        async with echoes.begin() as tx:
            assert await inbox.record(tx, event(1), clock.now()) is FIRST
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await consume(echoes, clock, event(1)) == [FIRST]


async def test_figures_name_each_producer_and_epoch(echoes: Database, clock: SetClock) -> None:
    await consume(echoes, clock, event(1), event(3), event(1, "claims"))

    async with echoes.begin() as tx:
        assert await inbox.list_consumed(tx) == [
            Consumed("claims", "e1", 1, 1),
            Consumed("toy", "e1", 2, 3),
        ]


async def test_gaps_are_found_whatever_the_order(echoes: Database, clock: SetClock) -> None:
    chance = random.Random(7)
    missing = 40
    coming = [seq for seq in range(1, 101) if seq != missing]
    chance.shuffle(coming)
    for start in range(0, len(coming), 9):
        await consume(echoes, clock, *(event(seq) for seq in coming[start : start + 9]))
        async with echoes.begin() as tx:
            (progress,) = await inbox.progress(tx, "toy")
        got = set(coming[: start + 9])
        whole = next(seq for seq in range(1, 200) if seq not in got) - 1
        assert (progress.whole_seq, progress.max_seq) == (whole, max(got))
    assert (progress.whole_seq, progress.has_gap) == (missing - 1, True)

    await consume(echoes, clock, event(missing))

    async with echoes.begin() as tx:
        (progress,) = await inbox.progress(tx, "toy")
    assert (progress.whole_seq, progress.has_gap) == (100, False)


async def test_progress_lists_epochs_in_the_order_they_were_consumed(
    echoes: Database, clock: SetClock
) -> None:
    await consume(echoes, clock, event(1, epoch="zz"))
    clock.set(clock.now().replace(hour=2))
    await consume(echoes, clock, event(2, epoch="aa"), event(1, "claims"))

    async with echoes.begin() as tx:
        epochs = await inbox.progress(tx, "toy")

    assert [(row.epoch, row.whole_seq, row.max_seq) for row in epochs] == [
        ("zz", 1, 1),
        ("aa", 0, 2),
    ]


async def test_two_transactions_look_at_producers_in_any_order_and_none_waits(
    echoes: Database, clock: SetClock
) -> None:
    await consume(echoes, clock, event(1), event(1, "claims"))

    async with echoes.begin() as one, echoes.begin() as other:
        seen = [await inbox.progress(one, "toy"), await inbox.progress(other, "claims")]
        async with asyncio.timeout(5):
            seen += [await inbox.progress(one, "claims"), await inbox.progress(other, "toy")]

    assert [row.whole_seq for (row,) in seen] == [1] * 4
    async with echoes.begin() as tx:
        assert await inbox.list_producers(tx) == ["claims", "toy"]
