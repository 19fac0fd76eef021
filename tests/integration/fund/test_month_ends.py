"""A month is proposed only when nothing of it is missing, and the approved text says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import grpc
import pytest
from oip.benefits.v1 import events_pb2 as benefit_events
from oip.fund.v1 import fund_pb2 as pb
from oip.premiums.v1 import events_pb2 as premium_events

from services.fund.domain.problems import MonthEndedDiffers
from services.fund.domain.producers import PRODUCERS, Delivery
from services.kernel.periods import Month
from services.runtime.rpc.client import RemoteProblem
from tests.integration.fund.conftest import (
    AUGUST,
    DELIVERY,
    JULY,
    JUNE,
    A,
    approve,
    assessed,
    close,
    close_month,
    instructed,
    month_message,
    officer,
    propose,
    trial,
)
from tests.support.producers import EPOCH, EVENTS, Producers, producers_of
from tests.support.stack_client import StackClient, refused


@pytest.fixture
def producers(client: StackClient) -> Producers:
    return producers_of(client)


async def july(producers: Producers) -> None:
    """July with a premium and a benefit, ended by all producers."""
    await producers.send(assessed(JULY, (A, DELIVERY, 10, 70)))
    await producers.send(instructed(JULY, A, DELIVERY, 50))
    await producers.end_month(JULY)


async def close_ended(client: StackClient, month: Month) -> pb.SettlementPeriod:
    """Propose, approve and close a month that its producers have ended already."""
    request = pb.ProposeSettlementRequest(request_id=f"propose-{month}", month=month_message(month))
    await approve(client, month, (await officer(client).ProposeSettlement(request)).hash)
    return await close(client, month)


async def refusal(client: StackClient) -> RemoteProblem:
    request = pb.ProposeSettlementRequest(request_id="refused", month=month_message(JULY))
    problem = await refused(officer(client).ProposeSettlement(request))
    assert problem.code is grpc.StatusCode.FAILED_PRECONDITION
    assert problem.reason == "NOT_READY_TO_PROPOSE"
    return problem


@pytest.mark.parametrize("producer", PRODUCERS)
async def test_a_producer_that_cannot_be_reached_stands_in_the_way(
    client: StackClient, producers: Producers, producer: str
) -> None:
    await july(producers)
    producers.unreachable = {producer}

    problem = await refusal(client)
    tried = await trial(client, JULY)

    assert problem.metadata["reasons"] == "PRODUCER_UNREACHABLE"
    assert f"The {producer} service cannot be reached" in problem.sentence
    assert f"({producer})服务; 请启动后重新提交" in problem.sentence_zh
    assert [obstacle.reason for obstacle in tried.obstacles] == ["PRODUCER_UNREACHABLE"]
    producers.unreachable = set()
    assert (await propose(client, JULY)).state == pb.SettlementPeriod.PROPOSED


async def test_an_event_that_is_written_and_not_published_stands_in_the_way(
    client: StackClient, producers: Producers
) -> None:
    await july(producers)
    producers.unpublished = {"benefits": 2}

    problem = await refusal(client)

    # What is not published cannot be consumed either.
    assert problem.metadata["reasons"] == "EVENTS_NOT_PUBLISHED EVENTS_NOT_CONSUMED"
    assert "The benefits service has 2 events to publish" in problem.sentence


async def test_an_event_that_is_published_and_not_consumed_stands_in_the_way(
    client: StackClient, producers: Producers
) -> None:
    await july(producers)
    waiting = await producers.publish(instructed(AUGUST, A, DELIVERY, 40))

    problem = await refusal(client)
    await producers.deliver(waiting)
    proposed = await propose(client, JULY)

    assert problem.metadata["reasons"] == "EVENTS_NOT_CONSUMED"
    assert "fund service has consumed 2 of 3 events of benefits" in problem.sentence
    assert [pool.spending_fen for pool in proposed.pools] == [50]


@pytest.mark.parametrize("producer", PRODUCERS)
async def test_a_month_that_one_producer_has_not_ended_is_not_proposed(
    client: StackClient, producers: Producers, producer: str
) -> None:
    await producers.send(assessed(JULY, (A, DELIVERY, 10, 70)))
    for name in PRODUCERS:
        if name != producer:
            await producers.send(await producers.month_ended(name, JULY))

    problem = await refusal(client)

    assert problem.metadata["reasons"] == "MONTH_NOT_ENDED"
    assert f"The {producer} service has not ended 2025-07" in problem.sentence


async def test_the_end_of_a_month_may_come_before_its_events(
    client: StackClient, producers: Producers
) -> None:
    first = await producers.publish(instructed(JULY, A, DELIVERY, 50))
    summary = benefit_events.MonthEnded()
    summary.summary.month.CopyFrom(month_message(JULY))
    summary.summary.events.add(event="oip.benefits.v1.PaymentInstructed", event_count=1, sum_fen=50)
    last = await producers.publish(summary)
    for name in PRODUCERS:
        if name != "benefits":
            await producers.send(await producers.month_ended(name, JULY))

    await producers.deliver(last)
    problem = await refusal(client)
    await producers.deliver(first)
    await producers.deliver(last)
    request = pb.ProposeSettlementRequest(request_id="propose", month=month_message(JULY))
    proposed = await officer(client).ProposeSettlement(request)

    assert problem.metadata["reasons"].startswith("EVENTS_NOT_CONSUMED")
    assert [pool.spending_fen for pool in proposed.pools] == [50]
    (cursor,) = [each for each in proposed.cursors if each.producer == "benefits"]
    assert (cursor.epoch, cursor.pub_seq) == (EPOCH, 2)


async def test_a_month_ended_twice_counts_once_and_with_other_counts_is_refused(
    client: StackClient, producers: Producers
) -> None:
    await july(producers)
    same = await producers.month_ended("benefits", JULY)
    await producers.send(same)
    other = EVENTS["benefits"]()
    other.CopyFrom(same)
    other.summary.events[0].sum_fen += 1  # type: ignore[attr-defined]

    with pytest.raises(MonthEndedDiffers):
        await producers.send(other)

    (row,) = await client.rows(
        "fund", "select pub_seq from producer_month where producer = 'benefits'"
    )
    assert row.pub_seq == 2


async def test_sums_that_the_fund_did_not_post_stand_in_the_way(
    client: StackClient, producers: Producers
) -> None:
    await july(producers)
    await client.consume("fund", instructed(JULY, A, DELIVERY, 40, addition=2))

    problem = await refusal(client)

    assert problem.metadata["reasons"] == "SUMS_DIFFER"
    assert "counted 0.50 yuan of payments instructed in 2025-07" in problem.sentence
    assert "the ledger has 0.90 yuan" in problem.sentence


async def test_other_events_than_the_producer_published_stand_in_the_way(
    client: StackClient, producers: Producers
) -> None:
    await july(producers)
    producers.answers["premiums"] = Delivery(
        epoch=EPOCH, written_count=2, published_seq=2, confirmed=bytes(32)
    )

    assert (await refusal(client)).metadata["reasons"] == "EVENTS_DIFFER"


async def test_dead_letters_and_alarms_of_a_producer_stand_in_the_way(
    client: StackClient, producers: Producers
) -> None:
    await july(producers)
    async with client.database("fund").begin() as tx:
        await tx.exec_driver_sql(
            "insert into event_alarm values ('orders', 'e', 1, 's', '', '', now())"
        )
    problem = await refusal(client)
    assert problem.metadata["reasons"] == "ALARMS_OPEN"
    async with client.database("fund").begin() as tx:
        await tx.exec_driver_sql("update event_alarm set resolve_time = now(), resolution = 'x'")

    healthy = (await producers.deliveries(None, {"orders": (EPOCH, 1)}))["orders"]  # type: ignore[arg-type]
    assert healthy is not None
    producers.answers["orders"] = Delivery(
        epoch=EPOCH,
        written_count=1,
        published_seq=1,
        dead_letter_count=3,
        confirmed=healthy.confirmed,
    )
    problem = await refusal(client)

    assert problem.metadata["reasons"] == "DEAD_LETTERS_OPEN"
    assert "The orders service could not handle 3 events" in problem.sentence


async def test_a_month_of_nothing_is_proposed_approved_and_closed(
    client: StackClient, producers: Producers
) -> None:
    await producers.end_month(JULY)

    closed = await close_month(client, JULY)
    replay = await officer(client).ReplaySettlement(
        pb.ReplaySettlementRequest(month=month_message(JULY))
    )

    assert (closed.state, list(closed.pools)) == (pb.SettlementPeriod.CLOSED, [])
    assert replay.equal
    assert await client.broken("fund") == []


async def test_a_month_of_nothing_between_months_keeps_the_balances(
    client: StackClient, producers: Producers
) -> None:
    await july(producers)
    before = await close_month(client, JULY)

    closed = await close_month(client, AUGUST)
    late = await refused(propose(client, JULY, "late"))

    assert [pool.opening_fen for pool in closed.pools] == [
        pool.closing_fen for pool in before.pools
    ]
    assert [pool.closing_fen for pool in closed.pools] == [
        pool.closing_fen for pool in before.pools
    ]
    assert "LATER_MONTH_CLOSED" in late.metadata["reasons"]
    assert await client.broken("fund") == []


async def test_the_approved_text_names_where_each_producer_ended(
    client: StackClient, producers: Producers
) -> None:
    await july(producers)

    tried = await trial(client, JULY)
    proposed = await propose(client, JULY)
    # Later events of a producer change nothing of the month.
    await producers.send(instructed(AUGUST, A, DELIVERY, 40))
    await approve(client, JULY, proposed.hash)
    closed = await close(client, JULY)
    replay = await officer(client).ReplaySettlement(
        pb.ReplaySettlementRequest(month=month_message(JULY))
    )

    assert tried.hash == proposed.hash == closed.hash == replay.replayed_hash
    assert [cursor.producer for cursor in closed.cursors] == sorted(PRODUCERS)
    for cursor in closed.cursors:
        line = f"ended {cursor.producer} {EPOCH} {cursor.pub_seq} {cursor.fingerprint.hex()}\n"
        assert line in replay.text
    assert "counted oip.benefits.v1.PaymentInstructed 1 50\n" in replay.text
    assert replay.equal
    assert await client.broken("fund") == []


async def test_verify_names_a_settled_month_whose_producers_were_changed(
    client: StackClient, producers: Producers
) -> None:
    await july(producers)
    await close_month(client, JULY)
    async with client.database("fund").begin() as tx:
        await tx.exec_driver_sql("update producer_month set fingerprint = '\\x00'")

    assert await client.broken("fund") == ["I8-fund-producers"]


async def test_an_event_of_an_earlier_month_is_posted_in_the_month_its_producer_names(
    client: StackClient, producers: Producers
) -> None:
    await july(producers)
    late = instructed(JULY, A, DELIVERY, 40, addition=2)
    late.accounting_month.CopyFrom(month_message(AUGUST))
    await producers.send(late)
    bill: premium_events.PremiumAssessed = assessed(JULY, (A, DELIVERY, 1, 7), platform="P2")
    bill.accounting_month.CopyFrom(month_message(AUGUST))
    await producers.send(bill)

    closed = await close_month(client, JULY)
    august = await trial(client, AUGUST)

    assert [(pool.income_fen, pool.spending_fen) for pool in closed.pools] == [(70, 50)]
    assert [(pool.income_fen, pool.spending_fen) for pool in august.pools] == [(7, 40)]


async def test_a_producer_that_started_later_has_nothing_of_the_months_before(
    client: StackClient, producers: Producers
) -> None:
    await producers.send(assessed(JULY, (A, DELIVERY, 10, 70)))
    for name in PRODUCERS:
        if name != "grading":
            await producers.send(await producers.month_ended(name, JULY))
    assert (await refusal(client)).metadata["reasons"] == "MONTH_NOT_ENDED"

    await producers.send(await producers.month_ended("grading", AUGUST))
    closed = await close_ended(client, JULY)
    for name in PRODUCERS:
        if name != "grading":
            await producers.send(await producers.month_ended(name, AUGUST))
    later = await close_ended(client, AUGUST)

    for settled in (closed, later):
        (cursor,) = [each for each in settled.cursors if each.producer == "grading"]
        assert (cursor.epoch, cursor.pub_seq) == (EPOCH, 1)
    for month in (JULY, AUGUST):
        request = pb.ReplaySettlementRequest(month=month_message(month))
        assert (await officer(client).ReplaySettlement(request)).equal
    assert await client.broken("fund") == []


async def test_a_month_missing_between_the_months_of_a_producer_is_not_proposed(
    client: StackClient, producers: Producers
) -> None:
    await producers.send(assessed(JULY, (A, DELIVERY, 10, 70)))
    for name in PRODUCERS:
        if name != "grading":
            await producers.send(await producers.month_ended(name, JULY))
    await producers.send(await producers.month_ended("grading", JUNE))
    await producers.send(await producers.month_ended("grading", AUGUST))

    assert (await refusal(client)).metadata["reasons"] == "MONTH_NOT_ENDED"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"is_behind": True}, "DATABASE_IS_BEHIND"),
        ({"lost_event_count": 1}, "LOST_EVENTS_NOT_RESOLVED"),
    ],
)
async def test_a_restored_producer_stands_in_the_way_until_it_is_reconciled(
    client: StackClient, producers: Producers, state: dict[str, Any], reason: str
) -> None:
    await july(producers)
    delivery = producers.delivery("benefits")
    producers.answers["benefits"] = replace(delivery, **state)

    assert (await refusal(client)).metadata["reasons"] == reason
