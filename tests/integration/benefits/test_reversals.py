"""A bill recorded by mistake is reversed once; the end equals the world without the mistake."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import grpc
import pytest
from oip.benefits.v1 import benefits_pb2 as pb
from oip.type.v1 import type_pb2

from services.kernel.periods import Month
from services.runtime.rpc.client import problem_of
from tests.integration.benefits.builders import consume, determined, instructions, run_payments
from tests.integration.benefits.test_bills import bill, stay
from tests.integration.benefits.test_signatures import pending, sign
from tests.support.command_line import oip
from tests.support.stack_client import StackClient, refused

AUGUST = Month(2025, 8)


@pytest.fixture(autouse=True)
async def confirmed(client: StackClient) -> None:
    await consume(client, determined())


def reversal(client: StackClient, award: pb.Award, **fields: Any) -> pb.ReverseExpenseRequest:
    defaults = {
        "request_id": client.new_id(),
        "name": award.name,
        "code": type_pb2.WRONG_AMOUNT,
        "reason": "500 instead of 50",
    }
    return pb.ReverseExpenseRequest(**{**defaults, **fields})


async def owed(client: StackClient) -> int:
    """What is marked for recovery and not withheld yet."""
    answer = await client.benefits("fund_officer").ListRecoveries(pb.ListRecoveriesRequest())
    withheld = await client.rows("benefits", "select withheld_fen from payment")
    marked: int = sum(one.amount_fen for one in answer.recoveries)
    return marked - sum(int(row[0]) for row in withheld)


async def paid(client: StackClient) -> int:
    return sum(fen for _, _, fen in await instructions(client))


async def test_a_bill_reversed_before_it_is_paid_is_never_paid(client: StackClient) -> None:
    stub = client.benefits("fund_officer")
    wrong = await stub.GrantExpense(bill(client, allowed_cost_fen=500_00))

    reversed_award = await stub.ReverseExpense(reversal(client, wrong))
    right = await stub.GrantExpense(bill(client, allowed_cost_fen=50_00))
    run = await run_payments(client, AUGUST)

    assert (reversed_award.reversed, reversed_award.state) == (True, pb.Award.TERMINATED)
    assert run.sum_fen == right.amount_fen == 50_00
    assert await instructions(client, wrong.name) == []
    assert await owed(client) == 0
    assert await client.broken("benefits") == []


async def test_a_bill_reversed_after_it_is_paid_is_recovered_to_the_fen(
    client: StackClient,
) -> None:
    """Later payments are reduced by what is set off, so that the fund's ledger follows the run."""
    stub = client.benefits("fund_officer")
    wrong = await stub.GrantExpense(bill(client, allowed_cost_fen=500_00))
    await run_payments(client, AUGUST)

    await stub.ReverseExpense(reversal(client, wrong))
    owed_first = await owed(client)
    await stub.GrantExpense(bill(client, allowed_cost_fen=50_01))
    run = await run_payments(client, AUGUST)

    assert owed_first == 500_00
    assert run.sum_fen == await paid(client) < 500_00 + 50_01
    assert await paid(client) - await owed(client) == 50_01
    assert await client.broken("benefits") == []


async def test_a_reversed_bill_stays_reversed_when_its_claim_is_decided_again(
    client: StackClient,
) -> None:
    stub = client.benefits("fund_officer")
    wrong = await stub.GrantExpense(bill(client))
    await run_payments(client, AUGUST)
    await stub.ReverseExpense(reversal(client, wrong))

    await consume(client, determined(revision=4, pooling_area="440300"))
    await run_payments(client, AUGUST)

    assert await paid(client) == await owed(client) == 50_000
    assert await client.broken("benefits") == []


async def test_a_reversed_stay_is_free_to_be_recorded(client: StackClient) -> None:
    stub = client.benefits("fund_officer")
    wrong = await stub.GrantExpense(stay(client, date(2025, 7, 11), 10))

    await stub.ReverseExpense(reversal(client, wrong, code=type_pb2.WRONG_DAY))
    right = await stub.GrantExpense(stay(client, date(2025, 7, 15), 10))
    again = await refused(stub.GrantExpense(stay(client, date(2025, 7, 15), 10)))

    assert right.amount_fen == 30_000
    assert again.reason == "STAY_ALREADY_GRANTED"
    assert await client.broken("benefits") == []


async def test_a_bill_is_recorded_once_after_its_reversal(client: StackClient) -> None:
    stub = client.benefits("fund_officer")
    wrong = await stub.GrantExpense(bill(client))
    await stub.ReverseExpense(reversal(client, wrong))

    right = await stub.GrantExpense(bill(client))
    again = await refused(stub.GrantExpense(bill(client)))

    assert again.reason == "BILL_ALREADY_GRANTED"
    assert right.name in again.sentence
    assert await client.broken("benefits") == []


async def test_an_expense_is_reversed_once(client: StackClient) -> None:
    stub = client.benefits("fund_officer")
    wrong = await stub.GrantExpense(bill(client))
    request = reversal(client, wrong)

    first = await stub.ReverseExpense(request)
    same = await stub.ReverseExpense(request)
    again = await refused(stub.ReverseExpense(reversal(client, wrong)))

    assert same == first
    assert again.reason == "EXPENSE_REVERSED"


async def test_twenty_reversals_at_once_end_in_one(client: StackClient) -> None:
    stub = client.benefits("fund_officer")
    wrong = await stub.GrantExpense(bill(client))
    await run_payments(client, AUGUST)

    answers = await asyncio.gather(
        *(stub.ReverseExpense(reversal(client, wrong)) for _ in range(20)), return_exceptions=True
    )

    done = [answer for answer in answers if isinstance(answer, pb.Award)]
    reasons = {problem_of(one).reason for one in answers if isinstance(one, grpc.RpcError)}
    assert len(done) == 1
    assert reasons <= {
        "EXPENSE_REVERSED",
        "ACT_CHANGED",
        "ACT_NOT_PENDING",
        "RECORD_BUSY",
        "OVERLOADED",
    }
    assert len(await client.rows("benefits", "select from expense_reversal")) == 1
    assert await owed(client) == 50_000
    assert await client.broken("benefits") == []


async def test_a_reversal_waits_for_another_person(client: StackClient) -> None:
    wrong = await client.benefits("fund_officer", subject="li").GrantExpense(bill(client))
    client.signs = False
    act = await pending(client, reversal(client, wrong))

    untouched = await client.rows("benefits", "select from expense_reversal")
    own = await refused(sign(client, act, subject="li"))
    signed = await sign(client, act)

    assert (untouched, own.reason) == ([], "SIGNER_IS_MAKER")
    assert signed.sum_fen == wrong.amount_fen
    assert len(await client.rows("benefits", "select from expense_reversal")) == 1


async def test_a_payment_in_between_voids_the_signature(client: StackClient) -> None:
    wrong = await client.benefits("fund_officer", subject="li").GrantExpense(bill(client))
    client.signs = False
    act = await pending(client, reversal(client, wrong))
    client.signs = True
    await run_payments(client, AUGUST)

    assert (await refused(sign(client, act))).reason == "ACT_CHANGED"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": "awards/unknown"}, "NOT_FOUND"),
        ({"name": "claims/c1"}, "MALFORMED"),
        ({"code": 0}, "FIELD_MISSING"),
        ({"code": 99}, "UNKNOWN_CHOICE"),
        ({"reason": " "}, "FIELD_MISSING"),
    ],
    ids=str,
)
async def test_a_reversal_that_cannot_be_right_is_refused(
    client: StackClient, fields: dict[str, Any], reason: str
) -> None:
    stub = client.benefits("fund_officer")
    wrong = await stub.GrantExpense(bill(client))

    problem = await refused(stub.ReverseExpense(reversal(client, wrong, **fields)))

    assert problem.reason == reason
    assert await client.rows("benefits", "select from expense_reversal") == []


async def test_what_follows_from_a_decision_is_not_reversed(client: StackClient) -> None:
    await consume(client, determined("claims/c9", worker="workers/9", death_date=date(2025, 7, 3)))
    stub = client.benefits("fund_officer")
    listed = await stub.ListAwards(pb.ListAwardsRequest(claim="claims/c9"))

    problem = await refused(stub.ReverseExpense(reversal(client, listed.awards[0])))

    assert problem.reason == "NO_EXPENSE"


async def test_a_bill_is_reversed_from_the_command_line(client: StackClient) -> None:
    wrong = await client.benefits("fund_officer").GrantExpense(bill(client))
    token = client.stack.issuer.issue("li", ["fund_officer"], "", timedelta(minutes=5))
    command = (client.stack.settings.state_dir, "--token", token, "expenses", "reverse", wrong.name)

    waiting = await oip(*command, "--code", "wrong-amount", "--reason", "a slip")
    unknown = await oip(*command, "--code", "whim", "--reason", "a slip")

    assert (waiting.exit_code, unknown.exit_code) == (0, 2), waiting.output
    assert "another person with one of the roles fund_approver" in waiting.stdout
