"""A bill is granted once and a day in hospital is granted once, whatever the claim."""

from __future__ import annotations

import asyncio
from datetime import date
from hashlib import sha256
from typing import Any

import grpc
import pytest
from oip.benefits.v1 import benefits_pb2 as pb

from services.runtime.rpc.client import problem_of
from services.runtime.rpc.wire import date_to_wire
from tests.integration.benefits.builders import consume, determined
from tests.integration.benefits.test_one_accident import merged
from tests.support.stack_client import StackClient, refused

DOCUMENT = sha256(b"a bill").digest()


def bill(client: StackClient, number: str = "H-0071", **fields: Any) -> pb.GrantExpenseRequest:
    """A bill of 5 July 2025 over 500 yuan, unless `fields` say otherwise."""
    defaults = {
        "request_id": client.new_id(),
        "claim": "claims/c1",
        "kind": pb.MEDICAL_BENEFIT,
        "expense_date": date_to_wire(date(2025, 7, 5)),
        "allowed_cost_fen": 50_000,
        "institution": "First Hospital",
    }
    return pb.GrantExpenseRequest(bill_number=number, **{**defaults, **fields})


def stay(client: StackClient, first: date, days: int, **fields: Any) -> pb.GrantExpenseRequest:
    defaults = {
        "request_id": client.new_id(),
        "claim": "claims/c1",
        "kind": pb.HOSPITAL_MEALS,
        "expense_date": date_to_wire(first),
        "day_count": days,
    }
    return pb.GrantExpenseRequest(**{**defaults, **fields})


@pytest.mark.parametrize(
    "again",
    [
        {"number": "h-0071"},
        {"number": "Ｈ 0071"},
        {"number": " h/0071. "},
        {"number": "H-0071", "institution": "FIRST  hospital"},
        {"number": "H-0071", "kind": pb.REHABILITATION},
        {"number": "H-0071", "allowed_cost_fen": 1},
        {"number": "H-0071", "claim": "claims/c2"},
        {"number": "", "document_hash": DOCUMENT},
        {"number": "H-0072", "document_hash": DOCUMENT},
    ],
    ids=str,
)
async def test_a_bill_in_any_guise_is_granted_once(
    client: StackClient, again: dict[str, Any]
) -> None:
    await consume(client, determined(), determined("claims/c2", worker="workers/8"))
    stub = client.benefits("fund_officer")
    award = await stub.GrantExpense(bill(client, document_hash=DOCUMENT))

    problem = await refused(stub.GrantExpense(bill(client, **again)))

    assert (problem.code, problem.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "BILL_ALREADY_GRANTED",
    )
    assert award.name in problem.sentence
    assert await client.broken("benefits") == []


@pytest.mark.parametrize(
    "other", [{"number": "H-71"}, {"number": "H-0071", "institution": "Second Hospital"}], ids=str
)
async def test_leading_zeros_and_the_institution_make_another_bill(
    client: StackClient, other: dict[str, Any]
) -> None:
    await consume(client, determined())
    stub = client.benefits("fund_officer")
    await stub.GrantExpense(bill(client))

    assert (await stub.GrantExpense(bill(client, **other))).amount_fen == 50_000


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"number": ""}, "BILL_NOT_IDENTIFIED"),
        ({"number": "-"}, "MALFORMED"),
        ({"number": "H-1", "institution": ""}, "FIELD_MISSING"),
        ({"number": "", "document_hash": b"short"}, "MALFORMED"),
        ({"expense_date": date_to_wire(date(2026, 7, 5))}, "OUT_OF_RANGE"),
        ({"expense_date": date_to_wire(date(2025, 8, 21))}, "OUT_OF_RANGE"),
        ({"expense_date": date_to_wire(date(1925, 7, 5))}, "OUT_OF_RANGE"),
        ({"expense_date": date_to_wire(date(2025, 6, 30))}, "BEFORE_ACCIDENT"),
        ({"kind": pb.TRAVEL, "day_count": 2_000_000_000}, "OUT_OF_RANGE"),
        ({"kind": pb.TRAVEL, "day_count": 60}, "OUT_OF_RANGE"),
    ],
    ids=str,
)
async def test_a_bill_that_cannot_be_right_is_refused(
    client: StackClient, fields: dict[str, Any], reason: str
) -> None:
    """Case 8: the same bill without a number twice; a bill dated next July."""
    await consume(client, determined())

    problem = await refused(client.benefits("fund_officer").GrantExpense(bill(client, **fields)))

    assert problem.reason == reason
    assert await client.rows("benefits", "select from award") == []
    assert await client.rows("benefits", "select from bill") == []


async def test_twenty_identical_bills_at_once_end_in_one(client: StackClient) -> None:
    claims = [f"claims/c{number}" for number in range(4)]
    for number, claim in enumerate(claims):
        await consume(client, determined(claim, worker=f"workers/{number}"))
    stub = client.benefits("fund_officer")

    answers = await asyncio.gather(
        *(stub.GrantExpense(bill(client, claim=claims[number % 4])) for number in range(20)),
        return_exceptions=True,
    )

    granted = [answer for answer in answers if isinstance(answer, pb.Award)]
    reasons = {problem_of(one).reason for one in answers if isinstance(one, grpc.RpcError)}
    assert (len(granted), reasons) == (1, {"BILL_ALREADY_GRANTED"})
    assert await client.broken("benefits") == []


async def test_days_in_hospital_are_granted_once(client: StackClient) -> None:
    """Case 7: stays of 11-20 and 15-24 July at 30 yuan a day are 420.00, not 600.00."""
    await consume(client, determined(), determined("claims/c2"))
    stub = client.benefits("fund_officer")

    first = await stub.GrantExpense(stay(client, date(2025, 7, 11), 10))
    second = await stub.GrantExpense(stay(client, date(2025, 7, 15), 10, claim="claims/c2"))
    third = await refused(stub.GrantExpense(stay(client, date(2025, 7, 12), 13)))

    assert (first.amount_fen, second.amount_fen) == (30_000, 12_000)
    assert second.findings[0].text.startswith("Of the 10 days in hospital")
    assert first.name in second.findings[0].text
    assert (third.reason, third.code) == (
        "STAY_ALREADY_GRANTED",
        grpc.StatusCode.ALREADY_EXISTS,
    )
    assert await client.broken("benefits") == []


async def test_stays_at_once_grant_each_day_once(client: StackClient) -> None:
    await consume(client, determined())
    stub = client.benefits("fund_officer")

    answers = await asyncio.gather(
        *(stub.GrantExpense(stay(client, date(2025, 7, 2 + number), 5)) for number in range(20)),
        return_exceptions=True,
    )

    granted = [answer for answer in answers if isinstance(answer, pb.Award)]
    assert sum(award.amount_fen for award in granted) == 24 * 3_000
    assert await client.broken("benefits") == []


async def test_bills_of_a_merged_claim_stay_granted(client: StackClient) -> None:
    await consume(
        client,
        determined("claims/c1", accident="accidents/1"),
        determined("claims/c2", accident="accidents/2"),
    )
    stub = client.benefits("fund_officer")
    award = await stub.GrantExpense(bill(client, claim="claims/c2"))
    await consume(client, merged())

    problem = await refused(stub.GrantExpense(bill(client)))
    listed = await stub.ListAwards(pb.ListAwardsRequest(claim="claims/c1"))

    assert problem.reason == "BILL_ALREADY_GRANTED"
    assert [(one.name, one.state, one.accident) for one in listed.awards] == [
        (award.name, pb.Award.IN_PAYMENT, "accidents/1")
    ]
    assert await client.broken("benefits") == []
