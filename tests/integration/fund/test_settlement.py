from __future__ import annotations

from datetime import UTC, date, datetime

import grpc
from oip.fund.v1 import fund_pb2 as pb

from services.fund.__main__ import verify
from services.runtime.base.clock import SetClock
from tests.integration.fund.conftest import (
    AUGUST,
    DELIVERY,
    JULY,
    JUNE,
    A,
    B,
    C,
    Office,
    assessed,
    fen,
    instructed,
    month_message,
    received,
    refused,
)


async def test_e7_is_risk_adjusted_then_compensated_to_the_fen(office: Office) -> None:
    await office.hear_e7()

    trial = await office.trial(JULY)
    closed = await office.close(JULY)

    assert not trial.obstacles
    assert trial.hash == closed.hash
    pools = {pool.pooling_area: pool for pool in closed.pools}
    assert [pools[area].risk_adjustment_fen for area in (A, B, C)] == [
        fen("-25,477.48"),
        fen("-8,036.88"),
        fen("33,514.36"),
    ]
    assert [pools[area].opening_fen for area in (A, B, C)] == [
        fen("500000"),
        fen("200000"),
        fen("100000"),
    ]
    assert pools[C].deficit_compensation_fen == fen("520000") - fen("33,514.36")
    assert pools[C].closing_fen == 0
    assert sum(pool.equalisation_fen for pool in closed.pools) == 0
    assert all(
        pool.closing_fen
        == pool.opening_fen + pool.income_fen - pool.spending_fen + pool.equalisation_fen
        for pool in closed.pools
    )


async def test_a_closed_month_opens_the_next_one_with_its_closing(office: Office) -> None:
    await office.hear_e7()
    closed = await office.close(JULY)
    await office.hear(assessed(AUGUST, (A, DELIVERY, 100, 700)))

    august = await office.trial(AUGUST)

    assert {pool.pooling_area: pool.opening_fen for pool in august.pools} == {
        pool.pooling_area: pool.closing_fen for pool in closed.pools
    }


async def test_a_closed_month_is_replayed_from_its_postings_byte_for_byte(office: Office) -> None:
    await office.hear_e7()
    closed = await office.close(JULY)
    await office.hear(received("r1", date(2025, 9, 2), (A, 100, 5, 0)))

    replay = await office.officer.ReplaySettlement(
        pb.ReplaySettlementRequest(month=month_message(JULY))
    )

    assert replay.equal
    assert replay.replayed_hash == replay.approved_hash == closed.hash
    assert replay.text.startswith("oip.fund.settlement/1 440000 2025-07\n")


async def test_the_proposer_cannot_approve(office: Office) -> None:
    await office.hear(assessed(JULY, (A, DELIVERY, 10, 70)))
    proposed = await office.propose(JULY)
    same_person = office.at("officer-li", "fund_officer", "fund_approver")

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


async def test_an_approval_is_bound_to_the_figures_that_were_read(office: Office) -> None:
    await office.hear(assessed(JULY, (A, DELIVERY, 10, 70)))
    read = await office.propose(JULY)
    await office.officer.WithdrawSettlement(
        pb.WithdrawSettlementRequest(
            request_id="withdraw", month=month_message(JULY), reason="a bill was missing"
        )
    )
    await office.hear(instructed(JULY, A, DELIVERY, 50))
    again = await office.propose(JULY, "propose-again")

    problem = await refused(office.approve(JULY, read.hash))
    approved = await office.approve(JULY, again.hash, "approve-again")

    assert problem.reason == "HASH_DIFFERS"
    assert problem.code is grpc.StatusCode.FAILED_PRECONDITION
    assert approved.state == pb.SettlementPeriod.APPROVED
    assert approved.approver == "approver-wu"


async def test_steps_are_taken_in_their_order_only(office: Office) -> None:
    await office.hear(assessed(JULY, (A, DELIVERY, 10, 70)))

    too_early = await refused(office.post_close(JULY))
    proposed = await office.propose(JULY)
    not_approved = await refused(office.post_close(JULY, "close-2"))
    await office.approve(JULY, proposed.hash)
    await office.post_close(JULY, "close-3")
    twice = await refused(office.post_close(JULY, "close-4"))

    assert {too_early.reason, not_approved.reason, twice.reason} == {"TRANSITION_NOT_ALLOWED"}


async def test_the_same_request_gets_the_first_answer(office: Office) -> None:
    await office.hear(assessed(JULY, (A, DELIVERY, 10, 70)))

    first = await office.propose(JULY)
    again = await office.propose(JULY)

    assert first == again


async def test_a_month_that_has_not_ended_is_not_proposed(office: Office, clock: SetClock) -> None:
    clock.set(datetime(2025, 7, 31, 15, 59, 59, tzinfo=UTC))
    await office.hear(assessed(JULY, (A, DELIVERY, 10, 70)))

    problem = await refused(office.propose(JULY))
    clock.set(datetime(2025, 7, 31, 16, 0, 0, tzinfo=UTC))
    proposed = await office.propose(JULY)

    assert problem.reason == "NOT_READY_TO_PROPOSE"
    assert "2025-07 has not ended; propose it from 2025-08-01 on." in problem.sentence
    assert proposed.state == pb.SettlementPeriod.PROPOSED


async def test_a_month_waits_for_the_earlier_one_and_for_its_premiums(office: Office) -> None:
    await office.hear(assessed(JUNE, (A, DELIVERY, 10, 70)))
    await office.hear(instructed(JULY, A, DELIVERY, 50))

    trial = await office.trial(JULY)
    problem = await refused(office.propose(JULY))

    assert list(trial.obstacles) == [
        "2025-06 has figures and is not closed; close it first.",
        "The premiums of 2025-07 are not assessed; assess them first.",
    ]
    assert problem.code is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_dead_letter_stands_in_the_way(office: Office) -> None:
    await office.hear(assessed(JULY, (A, DELIVERY, 10, 70)))
    async with office.database.begin() as tx:
        await tx.exec_driver_sql(
            "insert into dead_letter values ('premiums', 'e', 1, 's', '', 'Problem', now(), null)"
        )

    trial = await office.trial(JULY)

    assert len(trial.obstacles) == 1
    assert "an administrator has to retry the dead letters first" in trial.obstacles[0]


async def test_a_late_fact_of_a_closed_month_goes_to_the_earliest_open_one(
    office: Office,
) -> None:
    await office.hear(assessed(JULY, (A, DELIVERY, 10, 70)))
    await office.close(JULY)

    await office.hear(instructed(JUNE, A, DELIVERY, 40))
    await office.hear(instructed(JULY, A, DELIVERY, 50))

    found = await office.officer.ListLedgerTransactions(
        pb.ListLedgerTransactionsRequest(month=month_message(AUGUST))
    )
    assert [(one.month.month, one.accounting_date.month) for one in found.ledger_transactions] == [
        (8, 7),
        (8, 6),
    ]


async def test_a_proposed_month_keeps_its_figures_while_facts_arrive(office: Office) -> None:
    await office.hear(assessed(JULY, (A, DELIVERY, 10, 70)))
    proposed = await office.propose(JULY)

    await office.hear(instructed(JULY, A, DELIVERY, 50))
    await office.approve(JULY, proposed.hash)
    closed = await office.post_close(JULY)

    assert closed.pools == proposed.pools
    assert (await office.trial(AUGUST)).pools[0].spending_fen == 50


async def test_months_are_listed_newest_first_page_by_page(office: Office) -> None:
    await office.hear(assessed(JULY, (A, DELIVERY, 10, 70)))
    await office.hear(assessed(JUNE, (A, DELIVERY, 10, 70)))
    await office.close(JUNE)

    first = await office.officer.ListSettlementPeriods(pb.ListSettlementPeriodsRequest(page_size=1))
    second = await office.officer.ListSettlementPeriods(
        pb.ListSettlementPeriodsRequest(page_size=1, page_token=first.next_page_token)
    )

    assert [one.name for one in first.settlement_periods] == ["settlementPeriods/2025-07"]
    assert [one.state for one in second.settlement_periods] == [pb.SettlementPeriod.CLOSED]


async def test_all_invariants_hold_after_a_close(office: Office) -> None:
    await office.hear_e7()
    await office.close(JULY)

    async with office.database.begin() as tx:
        checks = await verify(tx)

    assert [one.invariant for one in checks if not one.holds] == []
