"""Several officers and several facts at once: one wins, the books stay whole."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import date
from typing import Any

import grpc
import pytest
from oip.fund.v1 import fund_pb2 as pb

from services.fund.__main__ import verify
from services.runtime.rpc.client import problem_of
from services.runtime.storage.database import retrying
from tests.integration.fund.conftest import (
    AUGUST,
    DELIVERY,
    JULY,
    RIDE,
    A,
    B,
    C,
    Office,
    assessed,
    day_message,
    instructed,
    month_message,
    received,
)

TRIES = 12
RACED = {"TRANSITION_NOT_ALLOWED", "RECORD_BUSY"}
REFUSED = {grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED}


async def outcomes(*calls: Any) -> list[Any]:
    """What each call came to: its answer, or the problem it was refused with."""

    async def one(call: Any) -> Any:
        try:
            return await call
        except grpc.RpcError as error:
            return problem_of(error)

    return list(await asyncio.gather(*(one(call) for call in calls)))


async def invariants_that_fail(office: Office) -> list[str]:
    async with office.database.begin() as tx:
        return [check.invariant for check in await verify(tx) if not check.holds]


async def test_of_officers_who_take_the_same_step_at_once_exactly_one_does(
    office: Office,
) -> None:
    await office.hear(assessed(JULY, (A, DELIVERY, 100, 700), (B, RIDE, 50, 50)))
    await office.hear(instructed(JULY, B, RIDE, 400))
    officers = [office.at(f"officer-{number}", "fund_officer") for number in range(TRIES)]
    approvers = [office.at(f"approver-{number}", "fund_approver") for number in range(TRIES)]
    month = month_message(JULY)

    proposed = await outcomes(
        *(
            one.ProposeSettlement(pb.ProposeSettlementRequest(request_id=f"p{i}", month=month))
            for i, one in enumerate(officers)
        )
    )
    (proposal,) = (one for one in proposed if isinstance(one, pb.SettlementPeriod))
    approved = await outcomes(
        *(
            one.ApproveSettlement(
                pb.ApproveSettlementRequest(request_id=f"a{i}", month=month, hash=proposal.hash)
            )
            for i, one in enumerate(approvers)
        )
    )
    closed = await outcomes(
        *(
            one.CloseSettlement(pb.CloseSettlementRequest(request_id=f"c{i}", month=month))
            for i, one in enumerate(officers)
        )
    )

    for step in (proposed, approved, closed):
        refused = [one for one in step if not isinstance(one, pb.SettlementPeriod)]
        assert len(refused) == TRIES - 1
        assert {one.reason for one in refused} <= RACED
        assert {one.code for one in refused} <= REFUSED
    found = await office.officer.ListLedgerTransactions(pb.ListLedgerTransactionsRequest())
    sources = Counter((one.source, one.pooling_area) for one in found.ledger_transactions)
    assert set(sources.values()) == {1}
    assert await invariants_that_fail(office) == []


async def test_facts_that_arrive_during_a_settlement_are_in_it_or_in_the_next_month(
    office: Office,
) -> None:
    await office.hear(assessed(JULY, (A, DELIVERY, 100, 7000), (B, RIDE, 50, 50)))

    async def facts() -> None:
        for addition in range(1, 31):
            await hear_again_when_raced(
                office, instructed(JULY, A, DELIVERY, 10 + addition, addition)
            )

    hearing = asyncio.create_task(facts())
    proposal = await office.propose(JULY)
    await office.approve(JULY, proposal.hash)
    closed = await office.post_close(JULY)
    await hearing

    august = await office.trial(AUGUST)
    replay = await office.officer.ReplaySettlement(
        pb.ReplaySettlementRequest(month=month_message(JULY))
    )
    spent = [sum(pool.spending_fen for pool in period.pools) for period in (closed, august)]
    assert closed.pools == proposal.pools
    assert sum(spent) == sum(10 + addition for addition in range(1, 31))
    assert replay.equal
    assert await invariants_that_fail(office) == []


async def hear_again_when_raced(office: Office, event: Any) -> None:
    """As the listener does."""
    await retrying(lambda: office.hear(event))


@pytest.mark.parametrize("seed", [1, 2])
async def test_random_disbursements_never_pay_more_than_is_payable(
    office: Office, seed: int
) -> None:
    chance = random.Random(seed)
    areas = (A, B, C)
    for area in areas:
        await office.hear(instructed(JULY, area, DELIVERY, 1000))
    requests = [
        pb.RecordDisbursementRequest(
            request_id=f"d{number}",
            payment_run="paymentRuns/2025-07",
            pooling_area=chance.choice(areas),
            disburse_date=day_message(date(2025, 8, 20)),
            amount_fen=chance.randint(1, 300),
            bank_reference=f"BANK-{number % 35}",
        )
        for number in range(40)
    ]
    more = [instructed(JULY, chance.choice(areas), RIDE, 100, addition) for addition in (2, 3, 4)]
    officer = office.officer

    found = await outcomes(
        *(officer.RecordDisbursement(request) for request in requests),
        *(hear_again_when_raced(office, event) for event in more),
        *(
            hear_again_when_raced(office, received(f"r{i}", date(2025, 8, 9), (area, 5, 0, 0)))
            for i, area in enumerate(areas)
        ),
    )

    paid = [one for one in found if isinstance(one, pb.Disbursement)]
    problems = {one.reason for one in found if hasattr(one, "reason")}
    balance = await office.officer.GetTrialBalance(pb.GetTrialBalanceRequest())
    owed = {
        row.pooling_area: -row.balance_fen
        for row in balance.rows
        if row.account == pb.BENEFITS_PAYABLE
    }
    assert problems <= {
        "MORE_THAN_PAYABLE",
        "DISBURSEMENT_REFERENCE_USED",
        "RECORD_BUSY",
        "OVERLOADED",
    }
    assert sum(owed.values()) == 3300 - sum(one.amount_fen for one in paid)
    assert min(owed.values()) >= 0
    assert balance.sum_fen == 0
    assert await invariants_that_fail(office) == []
