"""What is near in time and not clearly one accident is for a person."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import grpc
import pytest
from oip.claims.v1 import accidents_pb2, claims_pb2, events_pb2

from tests.integration.claims.conftest import (
    DAY,
    A,
    B,
    accept,
    answer,
    at,
    contest,
    determine,
    determine_at,
    distinct,
    enrol,
    file,
    file_by_platform,
    filings,
    get_claim,
    merge,
    send,
)
from tests.support.stack_client import StackClient, refused

Claim = claims_pb2.Claim


async def test_two_hours_apart_is_a_question_and_nothing_is_decided_on_it(
    client: StackClient,
) -> None:
    worker = await enrol(client, A)
    first = await file(client, worker, at("10:20"))
    second = await file(client, worker, at("12:20"))
    problems = [
        await refused(accept(client, second)),
        await refused(determine(client, second)),
        await refused(merge(client, first.name, second.name)),
    ]
    shown = await get_claim(client, second)
    (waiting,) = [
        part for part in await filings(client, open_only=True) if part.name == second.name
    ]

    assert second.filing_outcome == Claim.QUESTIONED
    assert second.name == second.filing != first.name
    assert {problem.reason for problem in problems} == {"TRANSITION_NOT_ALLOWED"}
    assert shown.state == Claim.PENDING
    assert "within 24 hours" in shown.question.text
    assert "24 小时" in shown.question.text_zh
    assert not shown.accident
    assert list(waiting.near_claims) == [first.name]


async def test_two_real_accidents_two_hours_apart_both_live(client: StackClient) -> None:
    worker = await enrol(client, A)
    await send(
        client,
        A,
        worker,
        (client.new_id(), "10:00", "10:40"),
        (client.new_id(), "12:00", "12:40"),
    )
    first = await determine_at(client, worker, at("10:20"))
    second = await file(client, worker, at("12:20"))
    filing = await distinct(client, second.name, first.name)
    other = await determine(client, await accept(client, second))
    third = await file_by_platform(client, worker, at("12:22"))
    listed = await client.accidents("adjudicator").ListAccidents(
        accidents_pb2.ListAccidentsRequest(worker=f"workers/{worker}")
    )

    assert (filing.state, filing.open, filing.claim) == (Claim.FILED, False, second.name)
    assert other.determination.outcome == claims_pb2.Determination.CONFIRMED
    assert third.name == second.name
    assert [accident.number for accident in listed.accidents] == [1, 0]
    assert [accident.claim for accident in listed.accidents] == [second.name, first.name]
    events = await client.published("claims", events_pb2.ClaimDetermined)
    of_worker = [event.accident for event in events if event.worker == f"workers/{worker}"]
    assert of_worker == [first.accident, other.accident]
    assert await client.broken("claims") == []


async def test_a_question_answered_same_joins(client: StackClient) -> None:
    worker = await enrol(client, A)
    first = await file(client, worker, at("10:20"))
    second = await file(client, worker, at("12:20"))
    filing = await answer(
        client, second.name, accidents_pb2.SAME, accidents_pb2.OTHER_TIME_REPORTED
    )

    assert (filing.state, filing.claim, filing.open) == (Claim.MERGED, first.name, False)
    (part,) = await filings(client, second.name)
    assert part.answers[0].reason == "The police report says so."
    assert (await get_claim(client, second)).merged_into == first.name
    assert (await get_claim(client, first)).revision == first.revision + 1
    queue = await client.claims("adjudicator").ListClaims(
        claims_pb2.ListClaimsRequest(worker=f"workers/{worker}")
    )
    assert [claim.name for claim in queue.claims] == [first.name]


async def test_a_chain_of_moments_does_not_lead_to_a_second_claim(client: StackClient) -> None:
    worker = await enrol(client, A)
    first = await file(client, worker, at("00:30"))
    second = await file(client, worker, at("20:30"))
    await answer(client, second.name, accidents_pb2.SAME, accidents_pb2.OTHER_TIME_REPORTED)
    third = await file_by_platform(client, worker, at("08:30", DAY + timedelta(days=1)))
    fourth = await file(client, worker, at("20:40"))

    # 32 hours from the first moment, 12 from the second.
    assert third.filing_outcome == Claim.QUESTIONED
    assert fourth.name == first.name


async def test_a_party_contests_before_and_after_the_answer(client: StackClient) -> None:
    worker = await enrol(client, A)
    await file(client, worker, at("10:20"))
    second = await file_by_platform(client, worker, at("12:20"))
    before = await contest(client, second.name, "platform", A)
    answered = await answer(client, second.name, accidents_pb2.SAME, accidents_pb2.SAME_INJURY)
    after = await contest(client, second.name, "platform", A)
    waiting = [part.name for part in await filings(client, open_only=True)]
    (read,) = [part for part in await filings(client, open_only=True) if part.name == second.name]
    again = await answer(client, second.name, accidents_pb2.SAME, accidents_pb2.SAME_INJURY)

    assert [before.open, answered.open, after.open, again.open] == [True, False, True, False]
    assert second.name in waiting
    assert [entry.reason for entry in read.contests] == ["It was at another crossing."] * 2
    # A platform reads no reasons, which may speak of others.
    assert [entry.reason for entry in after.contests] == ["", ""]
    assert [entry.reason for entry in after.answers] == [""]
    assert len(again.answers) == 2


async def test_a_contested_answer_is_confirmed_or_overruled(client: StackClient) -> None:
    worker = await enrol(client, A)
    first = await file(client, worker, at("10:20"))
    second = await file_by_platform(client, worker, at("12:20"))
    await distinct(client, second.name, first.name)
    contested = await contest(client, second.name, "platform", A)
    confirmed = await distinct(client, second.name, first.name)
    problem = await refused(distinct(client, second.name, first.name))
    await contest(client, second.name, "platform", A)
    await merge(client, first.name, second.name)
    (part,) = [p for p in await filings(client, first.name) if p.name == second.name]

    assert (contested.open, confirmed.open, part.open) == (True, False, False)
    assert confirmed.state == Claim.FILED
    assert problem.reason == "TRANSITION_NOT_ALLOWED"
    assert len(part.answers) == 3
    assert await client.broken("claims") == []


async def test_a_filing_that_joined_by_rule_is_found_distinct_after_a_contest(
    client: StackClient,
) -> None:
    worker = await enrol(client, A)
    first = await file(client, worker, at("10:20"))
    second = await file_by_platform(client, worker, at("10:40"))
    await contest(client, second.filing)
    filing = await distinct(client, second.filing, first.name)
    claim = await get_claim(client, Claim(name=second.filing))

    assert (filing.state, filing.claim) == (Claim.FILED, second.filing)
    assert claim.accident != first.accident
    assert claim.due_date.day
    assert [part.name for part in await filings(client, first.name)] == [first.name]
    assert await client.broken("claims") == []


@pytest.mark.parametrize(
    ("answered", "code", "facts", "reason"),
    [
        (accidents_pb2.DISTINCT, accidents_pb2.SAME_INJURY, {}, "code"),
        (accidents_pb2.SAME, accidents_pb2.OTHER_PLACE, {}, "code"),
        (accidents_pb2.DISTINCT, accidents_pb2.TWO_EVENTS, {}, "NEAR_CLAIMS_CHANGED"),
        (0, accidents_pb2.TWO_EVENTS, {}, "answer"),
        (9, accidents_pb2.TWO_EVENTS, {}, "answer"),
        (accidents_pb2.SAME, 0, {}, "code"),
        (accidents_pb2.SAME, accidents_pb2.SAME_INJURY, {"claim": "claims/none"}, "NOT_FOUND"),
        (accidents_pb2.SAME, accidents_pb2.SAME_INJURY, {"claim": "nonsense"}, "claim"),
    ],
)
async def test_an_answer_that_does_not_fit_is_refused_and_changes_nothing(
    client: StackClient, answered: int, code: int, facts: dict[str, object], reason: str
) -> None:
    worker = await enrol(client, A)
    first = await file(client, worker, at("10:20"))
    second = await file(client, worker, at("12:20"))
    if code == accidents_pb2.SAME_INJURY and answered == accidents_pb2.DISTINCT:
        facts = {"distinct_from": [first.name]}

    problem = await refused(answer(client, second.name, answered, code, **facts))

    assert problem.code is not grpc.StatusCode.INTERNAL
    assert reason == problem.reason or reason in problem.sentence
    assert (await get_claim(client, second)).state == Claim.PENDING
    assert (await get_claim(client, first)).revision == first.revision


async def test_what_nobody_questioned_cannot_be_contested(client: StackClient) -> None:
    worker = await enrol(client, A)
    claim = await file(client, worker, at("10:20"))

    problem = await refused(contest(client, claim.name))
    stranger = await refused(contest(client, claim.name, "platform", B))

    assert problem.reason == "NOTHING_TO_CONTEST"
    assert stranger.code is grpc.StatusCode.NOT_FOUND
    assert await filings(client, claim.name, role="platform", platform=B) == []


async def test_two_officers_at_once_answer_once(client: StackClient) -> None:
    worker = await enrol(client, A)
    first = await file(client, worker, at("10:20"))
    second = await file(client, worker, at("12:20"))
    answers = await asyncio.gather(
        *(distinct(client, second.name, first.name) for _ in range(4)), return_exceptions=True
    )
    (part,) = await filings(client, second.name)

    assert sum(not isinstance(result, BaseException) for result in answers) == 1
    assert len(part.answers) == 1
