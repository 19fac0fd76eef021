"""Claims that turn out to be about one accident are merged, and the merge can be undone."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from google.type import date_pb2
from oip.claims.v1 import accidents_pb2, claims_pb2, events_pb2

from services.claims.__main__ import SERVICE
from services.runtime.events import lost_events, outbox
from services.runtime.events.lost_events import LostEvent, Resolution
from tests.integration.claims.conftest import (
    DAY,
    A,
    accept,
    add_evidence,
    answer,
    at,
    contest,
    determine,
    distinct,
    enrol,
    file,
    file_by_platform,
    filings,
    get_claim,
    merge,
    two_claims,
)
from tests.support.stack_client import StackClient, refused

Claim = claims_pb2.Claim


async def test_two_claims_are_merged_before_a_determination(client: StackClient) -> None:
    _, first, second = await two_claims(client)
    document = await add_evidence(client, second, claims_pb2.Evidence.DIAGNOSIS)
    merged = await merge(client, first.name, second.name)
    (event,) = [
        event
        for event in await client.published("claims", events_pb2.ClaimsMerged)
        if event.claim == first.name
    ]
    listed = await client.claims("adjudicator").ListEvidence(
        claims_pb2.ListEvidenceRequest(claim=first.name)
    )

    assert merged.name == first.name
    assert merged.revision == first.revision + 1
    assert claims_pb2.Evidence.DIAGNOSIS not in merged.missing_documents
    assert [one.name for one in listed.evidence] == [document.name]
    assert {part.name for part in await filings(client, first.name)} == {first.name, second.name}
    assert (event.merged_claim, event.accident) == (second.name, first.accident)
    assert event.reason == "SAME_INJURY"
    ended = await get_claim(client, second)
    assert (ended.state, ended.merged_into) == (Claim.MERGED, first.name)
    assert ended.revision == event.revision
    assert await client.broken("claims") == []


async def test_a_merge_withdraws_the_determination_of_the_merged_claim(
    client: StackClient,
) -> None:
    worker, first, second = await two_claims(client)
    await determine(client, await accept(client, first))
    await determine(client, await accept(client, second))
    await merge(client, second.name, first.name)
    ended = await get_claim(client, first)
    revoked = [
        event
        for event in await client.published("claims", events_pb2.DeterminationRevoked)
        if event.claim == first.name
    ]
    later = await file(client, worker, at("10:20"))

    assert ended.determination.HasField("revoke_time")
    # ClaimsMerged is all that consumers need.
    assert revoked == []
    # A moment that a person found to be of the accident is one of its moments.
    assert (later.name, later.filing_outcome) == (second.name, Claim.ALREADY_CLAIMED)
    assert (await refused(determine(client, ended))).reason == "FILING_IS_PART"
    assert await client.broken("claims") == []


async def test_a_wrong_merge_is_undone(client: StackClient) -> None:
    _, first, second = await two_claims(client)
    determined = await determine(client, await accept(client, second))
    await merge(client, first.name, second.name)
    (event,) = [
        event
        for event in await client.published("claims", events_pb2.ClaimsMerged)
        if event.merged_claim == second.name
    ]
    await contest(client, second.name)
    await distinct(client, second.name)
    again = await determine(client, await accept(client, second))

    assert again.accident == determined.accident != first.accident
    assert again.revision > event.revision
    assert [part.name for part in await filings(client, first.name)] == [first.name]
    assert await client.broken("claims") == []


async def test_parts_of_a_merged_claim_follow_it(client: StackClient) -> None:
    worker, first, second = await two_claims(client)
    part = await file_by_platform(client, worker, at("10:05", DAY - timedelta(days=1)))
    await merge(client, first.name, second.name)

    assert part.name == second.name
    names = {filing.name for filing in await filings(client, first.name)}
    assert names == {first.name, second.name, part.filing}


async def test_an_undone_merge_gives_each_claim_its_filings_back(client: StackClient) -> None:
    day = DAY - timedelta(days=1)
    worker, first, second = await two_claims(client)
    of_first = await file_by_platform(client, worker, at("10:25"))
    by_rule = await file_by_platform(client, worker, at("10:05", day))
    by_person = await file_by_platform(client, worker, at("01:00", day))
    code = accidents_pb2.OTHER_TIME_REPORTED
    await answer(client, by_person.filing, accidents_pb2.SAME, code)
    merged = await merge(client, first.name, second.name)
    await distinct(client, second.name, first.name)
    again = await get_claim(client, first)

    names = {part.name for part in await filings(client, first.name)}
    assert names == {first.name, of_first.filing}
    names = {part.name for part in await filings(client, second.name)}
    assert names == {second.name, by_rule.filing, by_person.filing}
    # What was read of it included the documents of the other accident.
    assert again.revision > merged.revision
    assert await client.broken("claims") == []


async def test_claims_of_two_persons_or_of_one_claim_are_not_merged(client: StackClient) -> None:
    _, first, second = await two_claims(client)
    _, other, _ = await two_claims(client)

    assert "another person" in (await refused(merge(client, first.name, other.name))).sentence
    assert "surviving claim" in (await refused(merge(client, first.name, first.name))).sentence
    await merge(client, first.name, second.name)
    again = await refused(merge(client, first.name, second.name))
    onto_ended = await refused(merge(client, second.name, first.name))
    assert {again.reason, onto_ended.reason} == {"FILING_IS_PART"}


async def test_a_merge_and_its_opposite_at_once_leave_one_claim(client: StackClient) -> None:
    _, first, second = await two_claims(client)
    await asyncio.gather(
        merge(client, first.name, second.name),
        merge(client, second.name, first.name),
        return_exceptions=True,
    )
    states = {(await get_claim(client, claim)).state for claim in (first, second)}

    assert states == {Claim.FILED, Claim.MERGED}
    assert await client.broken("claims") == []


async def test_a_death_that_kin_report_is_taken_into_the_workers_claim(
    client: StackClient,
) -> None:
    worker = await enrol(client, A)
    first = await file(client, worker, at("10:20"))
    child = claims_pb2.Survivor(
        survivor_id="child-1",
        relation=claims_pb2.Survivor.CHILD,
        birth_date=date_pb2.Date(year=2019, month=2, day=28),
    )
    joined = await file(
        client,
        worker,
        at("10:25"),
        claimant_kind=claims_pb2.NEXT_OF_KIN,
        death_date=date_pb2.Date(year=2025, month=7, day=15),
        survivors=[child],
    )

    assert joined.name == first.name
    assert joined.death_date.day == 15
    assert list(joined.survivors) == [child]


async def test_a_merge_that_a_restore_lost_is_not_made_otherwise_until_it_is_resolved(
    client: StackClient,
) -> None:
    _, first, second = await two_claims(client)
    lost = events_pb2.ClaimsMerged(claim="claims/other", merged_claim=second.name, revision=2)
    guard = SERVICE.all_guards[events_pb2.ClaimsMerged]
    async with client.database("claims").begin() as tx:
        event = LostEvent(
            (await outbox.published(tx)).epoch,
            1_000_000,
            bytes(32),
            lost.DESCRIPTOR.full_name,
            blocks=True,
            scope_field=guard.scope_field,
            scope=second.name,
            summary=guard.summary(lost),
        )
        await lost_events.insert(tx, [event], client.clock.now())

    assert event.summary == f"{second.name}, revision 2: merged into claims/other"
    assert (await refused(merge(client, first.name, second.name))).reason == "LOST_EVENTS_OPEN"
    async with client.database("claims").begin() as tx:
        await lost_events.resolve(
            tx, [event], Resolution.TAKEN_BACK, "undone by hand", client.clock.now()
        )
    assert (await merge(client, first.name, second.name)).name == first.name
