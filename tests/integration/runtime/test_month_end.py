"""A service ends each month with one event: in order, once, also a month of nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import pytest
from google.protobuf.message import Message
from oip.grading.v1 import events_pb2
from oip.type.v1 import type_pb2
from sqlalchemy.exc import DBAPIError

from services.grading.__main__ import SERVICE
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.runtime.base.clock import SetClock
from services.runtime.base.failpoints import VARIABLE, FailpointError
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.events import ended_months, epochs, lost_events, outbox
from services.runtime.events.envelope import Envelope
from services.runtime.events.lost_events import LostEvent, LostEventsOpen, Resolution
from services.runtime.rpc.wire import month_from_wire, month_to_wire
from services.runtime.service.common_invariants import MONTHS_ENDED, common_checks
from services.runtime.service.month_end import end_next
from tests.support.databases import Databases
from tests.support.stack_client import StackClient, stack_client, with_nats

JULY, AUGUST, OCTOBER = Month(2025, 7), Month(2025, 8), Month(2025, 10)
FIRST = datetime(2025, 8, 20, 1, 0, tzinfo=UTC)
ENDED = events_pb2.MonthEnded
EVENT = events_pb2.AppraisalConcluded(appraisal="appraisals/a1", revision=1)
CONCLUDED = "oip.grading.v1.AppraisalConcluded"
MONTH_END = SERVICE.month_end


@pytest.fixture
def clock() -> SetClock:
    return SetClock(FIRST)


@pytest.fixture
async def client(
    stack: Settings, databases: Databases, nats_server: NatsServer, clock: SetClock
) -> AsyncIterator[StackClient]:
    settings = with_nats(stack, nats_server, await databases.fresh("grading"))
    async with stack_client([SERVICE], settings, clock) as client:
        yield client


async def ended(client: StackClient) -> list[Month]:
    """The months of the MonthEnded events, in the order in which they were written."""
    events = await client.published("grading", ENDED)
    return [month_from_wire(event.summary.month, "month") for event in events]


async def until_ended(client: StackClient, months: list[Month]) -> None:
    """Wait until the service has ended these months and no other."""
    loop = asyncio.get_running_loop()
    latest = loop.time() + 15
    while (done := await ended(client)) != months:
        assert loop.time() < latest, f"{done} have ended, not {months}"
        await asyncio.sleep(0.05)


async def end(client: StackClient, month: Month, previous: Month | None) -> None:
    """End a month as a wrong program would."""
    async with client.database("grading").begin() as tx:
        await outbox.add(tx, EVENT, client.clock.now(), month=OCTOBER)
        await ended_months.insert(tx, month, previous, [], client.clock.now())


async def publish(client: StackClient, *, month: Month | None = None, fen: int = 0) -> None:
    async with client.database("grading").begin() as tx:
        await outbox.add(tx, EVENT, client.clock.now(), month=month, amount=Fen(fen))


async def holds(client: StackClient) -> bool:
    async with client.database("grading").begin() as tx:
        checks = await common_checks(tx, client.context("grading"))
    return next(check.holds for check in checks if check.invariant == MONTHS_ENDED.code)


async def test_the_sequence_begins_with_the_month_before_the_first_start(
    client: StackClient,
) -> None:
    await until_ended(client, [JULY])

    assert await holds(client)


async def test_months_of_nothing_end_one_after_the_other(client: StackClient) -> None:
    client.set_day(date(2025, 11, 3))

    await until_ended(client, list(JULY.until(Month(2025, 11))))

    events = await client.published("grading", ENDED)
    assert [list(event.summary.events) for event in events] == [[], [], [], []]
    assert await holds(client)


async def test_a_month_counts_its_events_and_ends_at_midnight_in_shanghai(
    client: StackClient,
) -> None:
    await until_ended(client, [JULY])
    client.clock.set(datetime(2025, 8, 31, 15, 59, 59, tzinfo=UTC))
    await publish(client, fen=700)
    await publish(client, fen=-20)
    await asyncio.sleep(1)
    assert await ended(client) == [JULY]

    client.clock.set(datetime(2025, 8, 31, 16, 0, tzinfo=UTC))
    await until_ended(client, [JULY, AUGUST])
    client.clock.set(FIRST)
    await publish(client)
    client.set_day(date(2025, 10, 1))
    await until_ended(client, [JULY, AUGUST, Month(2025, 9)])

    _, august, september = await client.published("grading", ENDED)
    assert [(each.event, each.event_count, each.sum_fen) for each in august.summary.events] == [
        (CONCLUDED, 2, 680)
    ]
    # What was written after the end belongs to the next month, even if the clock was set back.
    assert [(each.event, each.event_count) for each in september.summary.events] == [(CONCLUDED, 1)]
    assert await holds(client)


async def test_an_event_under_way_is_waited_for(client: StackClient) -> None:
    await until_ended(client, [JULY])
    async with client.database("grading").begin() as tx:
        await outbox.add(tx, EVENT, client.clock.now())
        client.set_day(date(2025, 9, 1))
        await asyncio.sleep(1)
        assert await ended(client) == [JULY]

    await until_ended(client, [JULY, AUGUST])

    (_, august) = await client.published("grading", ENDED)
    assert [each.event_count for each in august.summary.events] == [1]
    assert await holds(client)


async def test_the_database_refuses_an_event_of_an_ended_month_and_a_second_end(
    client: StackClient,
) -> None:
    await until_ended(client, [JULY])

    with pytest.raises(DBAPIError, match="has ended"):
        await publish(client, month=JULY)
    for month, previous in ((JULY, None), (OCTOBER, JULY), (OCTOBER, None)):
        with pytest.raises(DBAPIError):
            await end(client, month, previous)
    async with client.database("grading").begin() as tx:
        with pytest.raises(DBAPIError):
            await tx.exec_driver_sql("delete from ended_month")

    assert await ended(client) == [JULY]


async def test_of_rounds_at_once_one_ends_the_month(client: StackClient) -> None:
    await until_ended(client, [JULY])
    client.set_day(date(2025, 9, 1))
    context = client.context("grading")
    assert MONTH_END is not None

    await asyncio.gather(*(end_next(context, MONTH_END) for _ in range(4)))

    assert await ended(client) == [JULY, AUGUST]
    assert await holds(client)


async def test_a_round_that_was_killed_is_repeated(
    client: StackClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until_ended(client, [JULY])
    monkeypatch.setenv(VARIABLE, "month_end.before_commit:raise")
    client.set_day(date(2025, 9, 1))
    assert MONTH_END is not None
    with pytest.raises(FailpointError):
        await end_next(client.context("grading"), MONTH_END)
    assert await ended(client) == [JULY]

    monkeypatch.delenv(VARIABLE)
    await end_next(client.context("grading"), MONTH_END)

    assert await ended(client) == [JULY, AUGUST]
    assert await holds(client)


async def test_verify_names_an_event_that_came_after_the_end_of_its_month(
    client: StackClient,
) -> None:
    await until_ended(client, [JULY])
    await publish(client)
    async with client.database("grading").begin() as tx:
        await tx.exec_driver_sql("set role none")
        await tx.exec_driver_sql(
            "update outbox set month = '2025-07-01' where month > '2025-07-01'"
        )

    assert not await holds(client)


async def test_a_month_that_ended_before_a_restore_ends_with_the_same_counts_alone(
    client: StackClient, clock: SetClock
) -> None:
    """What is made again counts in its month and with its money, as it did then."""
    assert MONTH_END is not None
    await until_ended(client, [JULY])
    summary = type_pb2.MonthSummary(month=month_to_wire(AUGUST))
    summary.events.add(event=CONCLUDED, event_count=1, sum_fen=70)
    async with client.database("grading").begin() as tx:
        epoch = (await outbox.published(tx)).epoch
        await epochs.begin_epoch(tx, "after")
        lost = [lost_event(epoch, 7, EVENT), lost_event(epoch, 8, ENDED(summary=summary))]
        await lost_events.insert(tx, lost, clock.now())
    clock.set(datetime(2025, 9, 2, 1, 0, tzinfo=UTC))

    with pytest.raises(LostEventsOpen):
        await end_next(client.context("grading"), MONTH_END)
    await publish(client, month=AUGUST, fen=70)
    await until_ended(client, [JULY, AUGUST])

    rows = await client.rows("grading", "select distinct resolution from lost_event")
    assert [row.resolution for row in rows] == [Resolution.REDONE]


def lost_event(epoch: str, number: int, message: Message) -> LostEvent:
    """An event of an earlier epoch that the service's database does not know."""
    subject, payload = message.DESCRIPTOR.full_name, message.SerializeToString(deterministic=True)
    content_hash = Envelope("", "", 0, subject, payload).content_hash
    blocks = type(message) in SERVICE.all_guards
    return LostEvent(epoch, number, content_hash, subject, payload, blocks=blocks)
