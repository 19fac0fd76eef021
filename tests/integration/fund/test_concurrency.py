"""Several officers and several events at once: one wins, the ledger stays whole."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import date
from typing import Any

import grpc
import pytest
from oip.fund.v1 import fund_pb2 as pb

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
    approve,
    approver,
    assessed,
    close,
    day_message,
    instructed,
    month_message,
    officer,
    propose,
    received,
)
from tests.support.producers import producers_of
from tests.support.stack_client import StackClient

TRIES = 12
RACED = {"TRANSITION_NOT_ALLOWED", "RECORD_BUSY"}
REFUSED = {grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED}


async def outcomes(*calls: Any) -> list[Any]:
    """The answer of each call, or the problem with which it is refused."""

    async def outcome(call: Any) -> Any:
        try:
            return await call
        except grpc.RpcError as error:
            return problem_of(error)

    return list(await asyncio.gather(*(outcome(call) for call in calls)))


async def test_of_officers_who_take_the_same_step_at_once_exactly_one_does(
    client: StackClient,
) -> None:
    await client.consume("fund", assessed(JULY, (A, DELIVERY, 100, 700), (B, RIDE, 50, 50)))
    await client.consume("fund", instructed(JULY, B, RIDE, 400))
    await producers_of(client).end_month(JULY)
    officers = [officer(client, f"officer-{number}") for number in range(TRIES)]
    approvers = [approver(client, f"approver-{number}") for number in range(TRIES)]
    month = month_message(JULY)

    proposed = await outcomes(
        *(
            stub.ProposeSettlement(pb.ProposeSettlementRequest(request_id=f"p{i}", month=month))
            for i, stub in enumerate(officers)
        )
    )
    (proposal,) = (one for one in proposed if isinstance(one, pb.SettlementPeriod))
    approved = await outcomes(
        *(
            stub.ApproveSettlement(
                pb.ApproveSettlementRequest(request_id=f"a{i}", month=month, hash=proposal.hash)
            )
            for i, stub in enumerate(approvers)
        )
    )
    closed = await outcomes(
        *(
            stub.CloseSettlement(pb.CloseSettlementRequest(request_id=f"c{i}", month=month))
            for i, stub in enumerate(officers)
        )
    )

    for step in (proposed, approved, closed):
        refused = [one for one in step if not isinstance(one, pb.SettlementPeriod)]
        assert len(refused) == TRIES - 1
        assert {one.reason for one in refused} <= RACED
        assert {one.code for one in refused} <= REFUSED
    listed = await officer(client).ListLedgerTransactions(pb.ListLedgerTransactionsRequest())
    sources = Counter((each.source, each.pooling_area) for each in listed.ledger_transactions)
    assert set(sources.values()) == {1}
    assert await client.broken("fund") == []


async def test_postings_during_a_settlement_are_in_it_or_in_the_next_month(
    client: StackClient,
) -> None:
    await client.consume("fund", assessed(JULY, (A, DELIVERY, 100, 7000), (B, RIDE, 50, 50)))
    await client.consume("fund", instructed(JULY, A, DELIVERY, 1_000))
    await producers_of(client).end_month(JULY)
    stub = officer(client)

    async def disburse() -> None:
        for number in range(1, 31):
            await stub.RecordDisbursement(
                pb.RecordDisbursementRequest(
                    request_id=f"d{number}",
                    payment_run="paymentRuns/2025-07",
                    pooling_area=A,
                    disburse_date=day_message(date(2025, 7, 31)),
                    amount_fen=10 + number,
                    bank_reference=f"BANK-{number}",
                )
            )

    disbursing = asyncio.create_task(disburse())
    proposal = await propose(client, JULY)
    await approve(client, JULY, proposal.hash)
    closed = await close(client, JULY)
    await disbursing

    replay = await stub.ReplaySettlement(pb.ReplaySettlementRequest(month=month_message(JULY)))
    listed = [
        await stub.ListLedgerTransactions(
            pb.ListLedgerTransactionsRequest(month=month_message(month))
        )
        for month in (JULY, AUGUST)
    ]
    sources = [each.source for page in listed for each in page.ledger_transactions]
    assert closed.pools == proposal.pools
    assert sum(source.startswith("disbursements/") for source in sources) == 30
    assert replay.equal
    assert await client.broken("fund") == []


async def consume_with_retries(client: StackClient, event: Any) -> None:
    """As the listener does."""
    await retrying(lambda: client.consume("fund", event))


@pytest.mark.parametrize("seed", [1, 2])
async def test_random_disbursements_never_pay_more_than_is_payable(
    client: StackClient, seed: int
) -> None:
    chance = random.Random(seed)
    areas = (A, B, C)
    for area in areas:
        await client.consume("fund", instructed(JULY, area, DELIVERY, 1000))
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
    stub = officer(client)

    results = await outcomes(
        *(stub.RecordDisbursement(request) for request in requests),
        *(consume_with_retries(client, event) for event in more),
        *(
            consume_with_retries(client, received(f"r{i}", date(2025, 8, 9), (area, 5, 0, 0)))
            for i, area in enumerate(areas)
        ),
    )

    paid = [result for result in results if isinstance(result, pb.Disbursement)]
    problems = {result.reason for result in results if hasattr(result, "reason")}
    balance = await officer(client).GetTrialBalance(pb.GetTrialBalanceRequest())
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
    assert await client.broken("fund") == []
