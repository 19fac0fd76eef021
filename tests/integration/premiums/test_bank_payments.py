"""A payment at the bank is one receipt: in any spelling, on any bill, however often it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import date

import grpc
import psycopg
import pytest
from oip.premiums.v1 import premiums_pb2 as pb
from oip.type.v1 import type_pb2

from services.runtime.rpc.client import problem_of
from services.runtime.rpc.wire import date_to_wire
from tests.integration.premiums.builders import (
    DELIVERY,
    PEARL,
    SWIFT,
    assess,
    assign_band,
    count_orders,
    get_bill,
    get_standing,
    july_of_swift,
    officer,
    receive,
)
from tests.support.stack_client import StackClient, refused

PAID = date(2025, 8, 4)
SPELLINGS = [
    "ICBC-0801/07",
    "icbc 0801 07",
    "ＩＣＢＣ０８０１０７",
    " Icbc·0801.07 ",
    "ICBC0801\u200b07",
]


async def test_five_spellings_of_a_bank_number_make_one_receipt(client: StackClient) -> None:
    await july_of_swift(client)
    await assess(client, 2025, 7)

    receipts = [
        await receive(client, SWIFT, "2025-07", PAID, 100, reference=spelling)
        for spelling in SPELLINGS
    ]

    assert {receipt.name for receipt in receipts} == {receipts[0].name}
    assert receipts[0].bank_reference == SPELLINGS[0]
    assert (await get_bill(client, SWIFT, "2025-07")).received_fen == 100


async def test_a_payment_on_another_bill_or_of_another_amount_is_refused_by_name(
    client: StackClient,
) -> None:
    for platform in (SWIFT, PEARL):
        await count_orders(client, platform, ("440100", DELIVERY, date(2025, 7, 1), 100))
    await assess(client, 2025, 7)

    first = await receive(client, SWIFT, "2025-07", PAID, 100, reference="B-1")
    other_bill = await refused(receive(client, PEARL, "2025-07", PAID, 100, reference="b1"))
    other_amount = await refused(receive(client, SWIFT, "2025-07", PAID, 101, reference="B1"))
    skipped = await refused(
        receive(client, SWIFT, "2025-07", PAID, 100, reference="B1", occurrence=3)
    )

    for problem in (other_bill, other_amount):
        assert (problem.code, problem.reason) == (
            grpc.StatusCode.ALREADY_EXISTS,
            "BANK_REFERENCE_USED",
        )
        assert first.name in problem.sentence
    assert skipped.reason == "OCCURRENCE_SKIPPED"
    assert (await get_bill(client, SWIFT, "2025-07")).received_fen == 100


async def test_a_number_used_twice_on_a_day_and_again_next_year_counts_each_time(
    client: StackClient,
) -> None:
    """Case 14; the second payment of the day is stated by the person who records it."""
    await july_of_swift(client)
    await assess(client, 2025, 7)

    first = await receive(client, SWIFT, "2025-07", PAID, 100, reference="B-1")
    second = await receive(client, SWIFT, "2025-07", PAID, 100, reference="B-1", occurrence=2)
    other = await receive(client, SWIFT, "2025-07", PAID, 50, reference="B-1", occurrence=1)
    again = await receive(client, SWIFT, "2025-07", PAID, 100, reference="B1", occurrence=2)
    client.set_day(date(2026, 8, 5))
    next_year = await receive(client, SWIFT, "2025-07", date(2026, 8, 4), 100, reference="B-1")

    assert again == second
    assert [one.occurrence for one in (first, second, other, next_year)] == [1, 2, 1, 1]
    assert len({one.name for one in (first, second, other, next_year)}) == 4
    assert (await get_bill(client, SWIFT, "2025-07")).received_fen == 350


async def test_twenty_identical_receipts_at_once_end_in_one(client: StackClient) -> None:
    await july_of_swift(client)
    await assess(client, 2025, 7)

    receipts = await asyncio.gather(
        *(
            receive(client, SWIFT, "2025-07", PAID, 100, reference=SPELLINGS[number % 5])
            for number in range(20)
        )
    )

    assert len({receipt.name for receipt in receipts}) == 1
    assert (await get_bill(client, SWIFT, "2025-07")).received_fen == 100


async def test_twenty_second_payments_at_once_end_in_one(client: StackClient) -> None:
    await july_of_swift(client)
    await assess(client, 2025, 7)
    await receive(client, SWIFT, "2025-07", PAID, 100, reference="B-1")

    answers = await asyncio.gather(
        *(
            receive(client, SWIFT, "2025-07", PAID, 100, reference="B-1", occurrence=2 + number % 2)
            for number in range(20)
        ),
        return_exceptions=True,
    )

    names = {answer.name for answer in answers if isinstance(answer, pb.PremiumReceipt)}
    reasons = {problem_of(one).reason for one in answers if isinstance(one, grpc.RpcError)}
    assert len(names) in {1, 2}
    assert reasons <= {"OCCURRENCE_SKIPPED"}
    assert (await get_bill(client, SWIFT, "2025-07")).received_fen == 100 * (1 + len(names))


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        (date(1925, 8, 4), "OUT_OF_RANGE"),
        (date(2022, 6, 30), "OUT_OF_RANGE"),
        (date(2025, 6, 30), "OUT_OF_RANGE"),
        (date(2025, 8, 6), "RECEIPT_IN_FUTURE"),
        (date(2199, 1, 1), "OUT_OF_RANGE"),
    ],
)
async def test_a_receipt_of_an_impossible_day_is_refused(
    client: StackClient, day: date, reason: str
) -> None:
    await july_of_swift(client)
    await assess(client, 2025, 7)

    problem = await refused(receive(client, SWIFT, "2025-07", day, 100, reference="B-1"))

    assert problem.reason == reason
    assert (await get_bill(client, SWIFT, "2025-07")).received_fen == 0


@pytest.mark.parametrize("year", [1925, 2199])
async def test_days_of_another_century_are_refused(client: StackClient, year: int) -> None:
    await july_of_swift(client)
    await assess(client, 2025, 7)
    day, month = date(year, 1, 1), type_pb2.Month(year=year, month=1)
    calls: list[Awaitable[object]] = [
        assign_band(client, SWIFT, "1.00", day),
        officer(client).AssignPremiumBase(
            pb.AssignPremiumBaseRequest(
                request_id="base",
                platform=f"platforms/{SWIFT}",
                since_date=date_to_wire(day),
                industry=type_pb2.INSTANT_DELIVERY,
                base_yuan="0.07",
                reason="notice",
            )
        ),
        client.premiums("platform", platform=SWIFT).DeclarePremium(
            pb.DeclarePremiumRequest(
                request_id="declare", platform=f"platforms/{SWIFT}", month=month
            )
        ),
        assess(client, year, 1),
        get_standing(client, SWIFT, "2025-07", day),
        officer(client).GetAdvanceTerms(
            pb.GetAdvanceTermsRequest(platform=f"platforms/{SWIFT}", request_date=date_to_wire(day))
        ),
    ]

    assert {(await refused(call)).reason for call in calls} == {"OUT_OF_RANGE"}


async def test_verify_names_a_payment_counted_twice(client: StackClient) -> None:
    await july_of_swift(client)
    await assess(client, 2025, 7)
    url = client.stack.settings.database_of("premiums")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("set oip.everything = 'on'")
        await connection.execute("set search_path to premiums")
        await connection.execute("drop index receipt_of_bank")
        for number in (1, 2):
            await connection.execute(
                "insert into receipt values (%s, %s, '2025-07-01', '2025-08-04', 1, 1, 0, 0,"
                " 'A', 'a', 'B', 'b', 1, '[]', now())",
                (f"r{number}", SWIFT),
            )
        assert "I7-premiums-bank" in str(await client.broken("premiums"))
        await connection.execute("alter table receipt disable trigger append_only")
        await connection.execute("delete from receipt")
