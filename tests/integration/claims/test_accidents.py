"""One accident of one person has one claim, whoever reports it and with whatever time."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta

import grpc
import pytest
from oip.claims.v1 import claims_pb2, events_pb2
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from services.runtime.rpc.wire import moment_to_wire
from tests.integration.claims.conftest import (
    DAY,
    A,
    B,
    accept,
    agent,
    at,
    claim_request,
    contest,
    determine,
    determine_at,
    distinct,
    enrol,
    file,
    file_by_platform,
    filings,
    get_claim,
    number_of_id,
    send,
)
from tests.support.filing_races import file_until_answered, race_pairs
from tests.support.stack_client import StackClient, refused

Claim = claims_pb2.Claim
PAIRS = 300


@pytest.mark.parametrize("seconds", [0, 1, 60, 600, 1_800])
async def test_an_accident_reported_by_two_parties_has_one_claim(
    client: StackClient, seconds: int
) -> None:
    worker = await enrol(client, A)
    first = await file(client, worker, at("10:20"))
    second = await file_by_platform(client, worker, at("10:20") + timedelta(seconds=seconds))

    assert first.filing_outcome == Claim.OPENED
    assert second.filing_outcome == Claim.ALREADY_CLAIMED
    assert (second.name, second.accident) == (first.name, first.accident)
    assert second.revision == first.revision + 1
    parts = await filings(client, first.name)
    kinds = {part.name: part.claimant_kind for part in parts}
    assert kinds == {first.filing: claims_pb2.WORKER, second.filing: claims_pb2.PLATFORM}
    assert {part.claim for part in parts} == {first.name}


async def test_one_accident_within_an_order_is_determined_once(client: StackClient) -> None:
    worker = await enrol(client, A)
    await send(client, A, worker, (client.new_id(), "12:00", "12:40"))
    first = await file(client, worker, at("12:05"))
    second = await file_by_platform(client, worker, at("12:15"))
    problem = await refused(accept(client, Claim(name=second.filing)))
    claim = await determine(client, await accept(client, second))

    determined = [
        event
        for event in await client.published("claims", events_pb2.ClaimDetermined)
        if event.worker == f"workers/{worker}"
    ]
    assert problem.reason == "FILING_IS_PART"
    assert claim.determination.outcome == claims_pb2.Determination.CONFIRMED
    assert [event.accident for event in determined] == [first.accident]


async def test_35_minutes_apart_within_one_order_is_one_accident(client: StackClient) -> None:
    worker = await enrol(client, A, B)
    await send(client, A, worker, (client.new_id(), "10:00", "10:50"))
    first = await file(client, worker, at("10:05"))
    # Platform B sees nothing of A's order, and the rule does not depend on who files.
    second = await file_by_platform(client, worker, at("10:40"), B)

    assert second.name == first.name


async def test_a_filing_over_midnight_joins(client: StackClient) -> None:
    worker = await enrol(client, A)
    first = await file(client, worker, at("23:59", DAY - timedelta(days=1)))
    second = await file(client, worker, at("00:00"))

    assert second.name == first.name


async def test_a_repeat_of_a_joining_request_gets_its_first_answer(client: StackClient) -> None:
    worker = await enrol(client, A)
    await file(client, worker, at("10:20"))
    request = claim_request(client, worker, at("10:21"))
    stub = agent(client, worker)

    assert await stub.CreateClaim(request) == await stub.CreateClaim(request)
    assert (await refused(stub.CreateClaim(_moved(request)))).reason == "REQUEST_ID_REUSED"


def _moved(request: claims_pb2.CreateClaimRequest) -> claims_pb2.CreateClaimRequest:
    other = claims_pb2.CreateClaimRequest()
    other.CopyFrom(request)
    other.description = "Something else."
    return other


async def test_a_platform_that_joins_sees_the_claim_from_then_on(client: StackClient) -> None:
    number = number_of_id(client.new_id())
    worker = await enrol(client, A, number=number)
    first = await file(client, worker, at("10:20"))
    unseen = await refused(get_claim(client, first, "platform", B))
    assert await enrol(client, B, number=number) == worker
    joined = await file_by_platform(client, worker, at("10:25"), B)

    assert unseen.code is grpc.StatusCode.NOT_FOUND
    assert joined.name == first.name
    assert (await get_claim(client, first, "platform", B)).name == first.name
    assert not joined.description


async def test_twenty_at_once_make_one_claim(client: StackClient) -> None:
    worker = await enrol(client, A, B)
    moments = [at("23:50", DAY - timedelta(days=1)) + timedelta(seconds=45 * n) for n in range(20)]
    filed = await asyncio.gather(
        *(
            file_until_answered(client, worker, moment, ("", A, B)[number % 3])
            for number, moment in enumerate(moments)
        )
    )

    assert len({claim.name for claim in filed}) == 1
    assert [claim.filing_outcome for claim in filed].count(Claim.OPENED) == 1
    assert len(await filings(client, filed[0].name)) == 20


async def test_pairs_at_once_make_one_claim_each(client: StackClient) -> None:
    outcome = await race_pairs(client, PAIRS, at("10:20"), (A, B))

    assert outcome.one_claim == PAIRS
    assert outcome.outcomes == {Claim.OPENED: PAIRS, Claim.ALREADY_CLAIMED: PAIRS}
    assert await client.broken("claims") == []


@pytest.mark.parametrize(
    ("moment", "word"),
    [
        (at("09:00", DAY + timedelta(days=1)) + timedelta(seconds=1), "future"),
        (at("23:59", date(2022, 6, 30)), "is not within 2022-07-01 to"),
        (at("00:00", date(1800, 1, 1)), "is not within 2022-07-01 to"),
    ],
)
async def test_a_moment_that_cannot_be_is_refused(
    client: StackClient, moment: datetime, word: str
) -> None:
    worker = await enrol(client, A)

    problem = await refused(file(client, worker, moment))

    assert problem.code is grpc.StatusCode.INVALID_ARGUMENT
    assert word in problem.sentence


@pytest.mark.parametrize(
    "moment", [at("00:00", date(2022, 7, 1)), at("10:00", date(2024, 2, 29)), at("00:00")]
)
async def test_the_first_day_a_leap_day_and_midnight_are_moments_as_any(
    client: StackClient, moment: datetime
) -> None:
    worker = await enrol(client, A)

    assert (await file(client, worker, moment)).accident_time == moment_to_wire(moment)


async def test_an_enrolment_sent_after_the_accident_insures_nobody_backwards(
    client: StackClient,
) -> None:
    worker = await enrol(client, A)  # sent on 16 July with 1 July as its first day
    claim = await determine_at(client, worker, at("10:20"))
    (enrolled,) = [
        finding for finding in claim.determination.findings if finding.inputs[0].value == "enrolled"
    ]

    assert claim.determination.outcome == claims_pb2.Determination.REFUSED
    assert "enrolled with no platform on the day" in enrolled.text
    assert "sent on 2025-07-16" in str(enrolled.inputs)


SECOND_ACCIDENT = (
    "insert into accident select 'again', worker, :claim, accident_time, place_of_injury,"
    " time_window, :number, create_time, '' from accident where claim_id = :first"
)


async def test_the_database_refuses_a_second_accident_near_the_first(client: StackClient) -> None:
    worker = await enrol(client, A)
    first, second = await file(client, worker, at("10:20")), await file(client, worker, at("12:20"))
    values = {"first": id_of(first), "claim": id_of(second), "number": 0}

    with pytest.raises(IntegrityError, match="accident_worker_number_time_window_excl"):
        async with client.database("claims").begin() as tx:
            await tx.execute(text(SECOND_ACCIDENT), values)


@pytest.mark.parametrize(
    ("code", "statement"),
    [
        ("I15-claims", "update accident set merged_into = 'none' where claim_id = :first"),
        ("I16-claims", SECOND_ACCIDENT.replace(":number", "1")),
        (
            "I17-claims",
            """insert into determination select :claim, 1, 1, 1, '[]', '', 'p', '', '', create_time
            from claim where claim_id = :first""",
        ),
    ],
)
async def test_verify_names_what_does_not_hold(
    client: StackClient, code: str, statement: str
) -> None:
    worker = await enrol(client, A)
    first, second = await file(client, worker, at("10:20")), await file(client, worker, at("12:20"))
    service = client.services["claims"]
    async with client.database("claims").begin() as tx:
        values = {"first": id_of(first), "claim": id_of(second)}
        used = {name: values[name] for name in values if f":{name}" in statement}
        await tx.execute(text(statement), used)
        checks = await service.checks(tx, client.context("claims"))
        await tx.rollback()

    assert code in [check.invariant for check in checks if not check.holds]


def id_of(claim: Claim) -> str:
    return claim.name.removeprefix("claims/")


async def test_what_people_wrote_is_encrypted(client: StackClient) -> None:
    worker = await enrol(client, A)
    first = await file(client, worker, at("10:20"))
    second = await file(client, worker, at("12:20"))
    await contest(client, second.name)
    await distinct(client, second.name, first.name)
    rows = await client.rows(
        "claims",
        "select reason from filing_answer union all select reason from contest"
        " union all select response from command union all select payload from outbox",
    )

    assert all(b"another crossing" not in bytes(row[0]) for row in rows if row[0])
