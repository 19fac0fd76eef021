from __future__ import annotations

from datetime import UTC, date, datetime

import grpc
from oip.fund.v1 import fund_pb2 as pb

from services.runtime.base.clock import SetClock
from tests.integration.fund.conftest import (
    AUGUST,
    DELIVERY,
    JULY,
    JUNE,
    A,
    B,
    C,
    approve,
    assessed,
    close,
    close_month,
    consume_e7,
    fen,
    instructed,
    month_message,
    officer,
    propose,
    received,
    trial,
)
from tests.support.producers import producers_of
from tests.support.stack_client import StackClient, refused


def reasons_of(period: pb.SettlementPeriod) -> list[str]:
    return [obstacle.reason for obstacle in period.obstacles]


async def test_e7_is_risk_adjusted_then_compensated_to_the_fen(client: StackClient) -> None:
    await consume_e7(client)
    await producers_of(client).end_month(JULY)

    before = await trial(client, JULY)
    closed = await close_month(client, JULY)

    assert not before.obstacles
    assert before.hash == closed.hash
    pools = {pool.pooling_area: pool for pool in closed.pools}
    assert [pools[area].risk_adjustment_fen for area in (A, B, C)] == [
        fen("-25,477.47"),
        fen("-8,036.88"),
        fen("33,514.35"),
    ]
    assert [pools[area].opening_fen for area in (A, B, C)] == [
        fen("500000"),
        fen("200000"),
        fen("100000"),
    ]
    assert pools[C].deficit_compensation_fen == fen("520000") - fen("33,514.35")
    assert pools[C].closing_fen == 0
    assert sum(pool.equalisation_fen for pool in closed.pools) == 0
    assert all(
        pool.closing_fen
        == pool.opening_fen + pool.income_fen - pool.spending_fen + pool.equalisation_fen
        for pool in closed.pools
    )


async def test_a_closed_month_opens_the_next_one_with_its_closing(client: StackClient) -> None:
    await consume_e7(client)
    closed = await close_month(client, JULY)
    await client.consume("fund", assessed(AUGUST, (A, DELIVERY, 100, 700)))

    august = await trial(client, AUGUST)

    assert {pool.pooling_area: pool.opening_fen for pool in august.pools} == {
        pool.pooling_area: pool.closing_fen for pool in closed.pools
    }


async def test_a_closed_month_is_replayed_from_its_postings_byte_for_byte(
    client: StackClient,
) -> None:
    await consume_e7(client)
    closed = await close_month(client, JULY)
    await client.consume("fund", received("r1", date(2025, 9, 2), (A, 100, 5, 0)))

    replay = await officer(client).ReplaySettlement(
        pb.ReplaySettlementRequest(month=month_message(JULY))
    )

    assert replay.equal
    assert replay.replayed_hash == replay.approved_hash == closed.hash
    assert replay.text.startswith("oip.fund.settlement/1 440000 2025-07\n")


async def test_the_proposer_cannot_approve(client: StackClient) -> None:
    await client.consume("fund", assessed(JULY, (A, DELIVERY, 10, 70)))
    proposed = await propose(client, JULY)
    same_person = officer(client, "officer-li", "fund_officer", "fund_approver")

    problem = await refused(
        same_person.ApproveSettlement(
            pb.ApproveSettlementRequest(
                request_id="approve", month=month_message(JULY), hash=proposed.hash
            )
        )
    )

    assert (problem.code, problem.reason) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "APPROVER_IS_PROPOSER",
    )


async def test_an_approval_is_bound_to_the_figures_that_were_read(client: StackClient) -> None:
    await client.consume("fund", assessed(JULY, (A, DELIVERY, 10, 70)))
    read = await trial(client, JULY)
    await client.consume("fund", instructed(JULY, A, DELIVERY, 50))
    await propose(client, JULY)
    await officer(client).WithdrawSettlement(
        pb.WithdrawSettlementRequest(
            request_id="withdraw", month=month_message(JULY), reason="a bill was missing"
        )
    )
    again = await propose(client, JULY, "propose-again")

    problem = await refused(approve(client, JULY, read.hash))
    approved = await approve(client, JULY, again.hash, "approve-again")

    assert problem.reason == "HASH_DIFFERS"
    assert problem.code is grpc.StatusCode.FAILED_PRECONDITION
    assert approved.state == pb.SettlementPeriod.APPROVED
    assert approved.approver == "approver-wu"


async def test_steps_are_taken_in_their_order_only(client: StackClient) -> None:
    await client.consume("fund", assessed(JULY, (A, DELIVERY, 10, 70)))

    too_early = await refused(close(client, JULY))
    proposed = await propose(client, JULY)
    not_approved = await refused(close(client, JULY, "close-2"))
    await approve(client, JULY, proposed.hash)
    await close(client, JULY, "close-3")
    twice = await refused(close(client, JULY, "close-4"))

    assert {too_early.reason, not_approved.reason, twice.reason} == {"TRANSITION_NOT_ALLOWED"}


async def test_the_same_request_gets_the_first_answer(client: StackClient) -> None:
    await client.consume("fund", assessed(JULY, (A, DELIVERY, 10, 70)))

    first = await propose(client, JULY)
    again = await propose(client, JULY)

    assert first == again


async def test_a_month_that_has_not_ended_is_not_proposed(
    client: StackClient, clock: SetClock
) -> None:
    clock.set(datetime(2025, 7, 31, 15, 59, 59, tzinfo=UTC))
    await client.consume("fund", assessed(JULY, (A, DELIVERY, 10, 70)))

    problem = await refused(propose(client, JULY))
    clock.set(datetime(2025, 7, 31, 16, 0, 0, tzinfo=UTC))
    proposed = await propose(client, JULY)

    assert problem.reason == "NOT_READY_TO_PROPOSE"
    assert "2025-07 is not over; propose it from 2025-08-01 on." in problem.sentence
    assert proposed.state == pb.SettlementPeriod.PROPOSED


async def test_a_month_waits_for_the_earlier_one(client: StackClient) -> None:
    await client.consume("fund", assessed(JUNE, (A, DELIVERY, 10, 70)))
    await client.consume("fund", instructed(JULY, A, DELIVERY, 50))
    await producers_of(client).end_month(JULY)

    tried = await trial(client, JULY)
    problem = await refused(propose(client, JULY))

    assert reasons_of(tried) == ["EARLIER_MONTH_OPEN"]
    assert "2025-06 has figures and is not closed; close it first." in problem.sentence
    assert problem.code is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_dead_letter_stands_in_the_way(client: StackClient) -> None:
    await client.consume("fund", assessed(JULY, (A, DELIVERY, 10, 70)))
    await producers_of(client).end_month(JULY)
    async with client.database("fund").begin() as tx:
        await tx.exec_driver_sql(
            "insert into dead_letter values ('premiums', 'e', 1, 's', '', 'Problem', now(), null)"
        )

    tried = await trial(client, JULY)

    assert reasons_of(tried) == ["DEAD_LETTERS_OPEN"]
    assert "has to retry or dismiss the dead letters first" in tried.obstacles[0].text


async def test_a_late_event_of_a_closed_month_goes_to_the_earliest_open_one(
    client: StackClient,
) -> None:
    await client.consume("fund", assessed(JULY, (A, DELIVERY, 10, 70)))
    await close_month(client, JULY)

    await client.consume("fund", instructed(JUNE, A, DELIVERY, 40))
    await client.consume("fund", instructed(JULY, A, DELIVERY, 50))

    listed = await officer(client).ListLedgerTransactions(
        pb.ListLedgerTransactionsRequest(month=month_message(AUGUST))
    )
    months = [(each.month.month, each.accounting_date.month) for each in listed.ledger_transactions]
    assert months == [(8, 7), (8, 6)]


async def test_a_proposed_month_keeps_its_figures_while_events_arrive(client: StackClient) -> None:
    await client.consume("fund", assessed(JULY, (A, DELIVERY, 10, 70)))
    proposed = await propose(client, JULY)

    await client.consume("fund", instructed(JULY, A, DELIVERY, 50))
    await approve(client, JULY, proposed.hash)
    closed = await close(client, JULY)

    assert closed.pools == proposed.pools
    assert (await trial(client, AUGUST)).pools[0].spending_fen == 50


async def test_months_are_listed_newest_first_page_by_page(client: StackClient) -> None:
    await client.consume("fund", assessed(JULY, (A, DELIVERY, 10, 70)))
    await client.consume("fund", assessed(JUNE, (A, DELIVERY, 10, 70)))
    await close_month(client, JUNE)

    first = await officer(client).ListSettlementPeriods(
        pb.ListSettlementPeriodsRequest(page_size=1)
    )
    second = await officer(client).ListSettlementPeriods(
        pb.ListSettlementPeriodsRequest(page_size=1, page_token=first.next_page_token)
    )

    assert [period.name for period in first.settlement_periods] == ["settlementPeriods/2025-07"]
    assert [period.state for period in second.settlement_periods] == [pb.SettlementPeriod.CLOSED]


async def test_all_invariants_hold_after_a_close(client: StackClient) -> None:
    await consume_e7(client)
    await close_month(client, JULY)

    assert await client.broken("fund") == []


async def test_a_receipt_dated_1925_does_not_block_the_settlement(client: StackClient) -> None:
    """The attack: a slip in a date opened a month that nobody could ever close."""
    await consume_e7(client)
    await client.consume("fund", received("old", date(1925, 7, 4), (A, 100, 0, 0)))
    await producers_of(client).end_month(JULY)

    months = await officer(client).ListSettlementPeriods(pb.ListSettlementPeriodsRequest())
    statement = await trial(client, JULY)

    assert min((one.month.year, one.month.month) for one in months.settlement_periods) >= (2025, 6)
    assert not statement.obstacles
    assert (await close_month(client, JULY)).state == pb.SettlementPeriod.CLOSED
