"""What a further filing says about an accident reaches the person who decides on the claim."""

from __future__ import annotations

import pytest
from google.type import date_pb2
from oip.claims.v1 import accidents_pb2, claims_pb2

from tests.integration.claims.conftest import (
    DAY,
    A,
    accept,
    add_evidence,
    answer,
    at,
    determine,
    enrol,
    file,
    file_by_platform,
    get_claim,
    send,
)
from tests.support.stack_client import StackClient, refused

Claim = claims_pb2.Claim
DEATH = date_pb2.Date(year=2025, month=7, day=15)
CHILD = claims_pb2.Survivor(
    survivor_id="child-1",
    relation=claims_pb2.Survivor.CHILD,
    birth_date=date_pb2.Date(year=2019, month=2, day=28),
)


async def file_death(client: StackClient, worker: int, moment: str) -> Claim:
    return await file(
        client,
        worker,
        at(moment),
        claimant_kind=claims_pb2.NEXT_OF_KIN,
        death_date=DEATH,
        survivors=[CHILD],
    )


@pytest.mark.parametrize("told", ["10:15", "12:15"])
async def test_a_moment_that_another_party_reports_within_an_order_is_a_question(
    client: StackClient, told: str
) -> None:
    """The worker names a moment before the order, the platform one within it."""
    worker = await enrol(client, A)
    hour = told[:2]
    await send(client, A, worker, (client.new_id(), f"{hour}:10", f"{hour}:40"))
    claim = await file(client, worker, at("10:05"))
    filed = await file_by_platform(client, worker, at(told))
    if filed.filing_outcome == Claim.QUESTIONED:
        code = accidents_pb2.OTHER_TIME_REPORTED
        await answer(client, filed.filing, accidents_pb2.SAME, code)
    accepted = await accept(client, await get_claim(client, claim))

    problem = await refused(determine(client, accepted))
    assert (problem.reason, "order_execution" in problem.sentence) == ("FINDINGS_OPEN", True)


async def test_a_change_of_a_filing_that_is_part_of_a_claim_is_sent_to_the_claim(
    client: StackClient,
) -> None:
    worker = await enrol(client, A)
    claim = await file(client, worker, at("10:20"))
    joined = await file_by_platform(client, worker, at("10:25"))
    diagnosis = claims_pb2.Evidence.DIAGNOSIS
    part = Claim(name=joined.filing)

    problem = await refused(add_evidence(client, part, diagnosis, "platform", A))
    assert problem.reason == "FILING_IS_PART"
    assert claim.name in problem.sentence
    assert await add_evidence(client, claim, diagnosis, "platform", A)


async def test_a_death_reported_after_the_determination_is_not_lost(client: StackClient) -> None:
    worker = await enrol(client, A)
    await send(client, A, worker, (client.new_id(), "10:00", "10:40"))
    claim = await determine(client, await accept(client, await file(client, worker, at("10:20"))))
    joined = await file_death(client, worker, "10:25")
    read = await get_claim(client, claim)
    revoked = await client.claims("adjudicator").RevokeDetermination(
        claims_pb2.RevokeDeterminationRequest(
            request_id=client.new_id(), name=claim.name, reason="The worker died."
        )
    )

    assert (joined.name, joined.state) == (claim.name, Claim.DETERMINED)
    (alert,) = [alert for alert in read.alerts if joined.filing in alert.text]
    assert f"{DAY}" in alert.text
    assert (revoked.death_date, list(revoked.survivors)) == (DEATH, [CHILD])
    assert not [alert for alert in (await get_claim(client, claim)).alerts if "death" in alert.text]
    assert await client.broken("claims") == []
