"""Reports and claims come in, once each, and each caller sees what concerns them."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import grpc
import pytest
from google.type import date_pb2
from oip.claims.v1 import claims_pb2

from services.runtime.rpc.wire import moment_to_wire
from tests.integration.claims.conftest import (
    DAY,
    A,
    B,
    accept,
    add_evidence,
    agent,
    at,
    claim_request,
    determine_at,
    enrol,
    file,
    file_by_platform,
    get_claim,
    request_evidence,
    send,
)
from tests.support.stack_client import StackClient, refused

Enquiry = claims_pb2.DetermineClaimRequest.Enquiry
Judgement = claims_pb2.DetermineClaimRequest.Judgement


async def test_the_same_request_gets_the_same_claim(client: StackClient) -> None:
    worker = await enrol(client, A)
    await send(client, A, worker, ("n5", "10:00", "10:40"))
    request = claim_request(client, worker, at("10:20"))
    stub = agent(client, worker)

    assert await stub.CreateClaim(request) == await stub.CreateClaim(request)


async def test_an_unknown_worker_is_not_found(client: StackClient) -> None:
    problem = await refused(file(client, 123, at("10:20")))

    assert problem.code is grpc.StatusCode.NOT_FOUND
    assert problem.sentence == (
        "There is no enrolled worker workers/123; look the worker up in enrolment and try again."
    )
    assert problem.reason == "WORKER_UNKNOWN"


async def test_another_platforms_worker_is_as_unknown_as_nobody(client: StackClient) -> None:
    worker = await enrol(client, A)
    request = claim_request(client, worker, at("10:20"), claimant_kind=claims_pb2.PLATFORM)

    problem = await refused(client.claims("platform", platform=B).CreateClaim(request))

    assert problem.reason == "WORKER_UNKNOWN"


async def test_a_platform_sees_its_own_orders_in_a_shared_workers_claim(
    client: StackClient,
) -> None:
    worker = await enrol(client, A, B)
    await send(client, A, worker, ("n6", "10:00", "10:40"))
    await send(client, B, worker, ("n7", "10:05", "10:45"))
    claim = await determine_at(client, worker, at("10:20"))

    seen = {p: await get_claim(client, claim, "platform", p) for p in (A, B)}

    assert len(claim.orders) == 2
    for platform, other in ((A, B), (B, A)):
        assert [order.order.split("/")[1] for order in seen[platform].orders] == [platform]
        assert other not in str(seen[platform])
        assert not seen[platform].description
    assert (seen[A].orders[0].charged, seen[B].orders[0].charged) == (True, False)
    assert (seen[A].determination.platform, seen[B].determination.platform) == (
        f"platforms/{A}",
        "",
    )


async def test_a_platform_files_for_a_shared_worker_on_all_orders(client: StackClient) -> None:
    worker = await enrol(client, A, B)
    await send(client, A, worker, ("n8", "10:00", "10:40"))
    await send(client, B, worker, ("n9", "10:05", "10:45"))

    filed = await client.claims("platform", platform=A).CreateClaim(
        claim_request(client, worker, at("10:20"), claimant_kind=claims_pb2.PLATFORM)
    )
    whole = await get_claim(client, filed)

    assert len(filed.orders) == 1
    assert len(whole.orders) == 2
    assert whole.description == "Hurt at a crossing."


async def test_a_claim_of_others_is_not_there_for_a_platform(client: StackClient) -> None:
    worker = await enrol(client, A)
    claim = await file(client, worker, at("10:20"))

    problem = await refused(get_claim(client, claim, "platform", B))
    listed = await client.claims("platform", platform=B).ListClaims(
        claims_pb2.ListClaimsRequest(worker=f"workers/{worker}")
    )

    assert problem.code is grpc.StatusCode.NOT_FOUND
    assert not listed.claims


async def test_the_same_claim_filed_twice_at_once_is_one(client: StackClient) -> None:
    worker = await enrol(client, A)
    request = claim_request(client, worker, at("10:20"))
    stub = agent(client, worker)

    first, second = await asyncio.gather(stub.CreateClaim(request), stub.CreateClaim(request))

    assert first == second


async def test_the_queue_is_paged_by_due_date(client: StackClient) -> None:
    worker = await enrol(client, A)
    for back in range(3):
        claim = await file(client, worker, at("10:01", DAY - timedelta(days=back)))
        if back == 0:
            await accept(client, claim)
    adjudicator = client.claims("adjudicator")
    queue, token = list[claims_pb2.Claim](), ""
    while True:
        page = await adjudicator.ListClaims(
            claims_pb2.ListClaimsRequest(worker=f"workers/{worker}", page_size=2, page_token=token)
        )
        queue += page.claims
        token = page.next_page_token
        if not token:
            break

    dues = [claim.due_date for claim in queue]
    days = [date(due.year, due.month, due.day) for due in dues]
    assert days == sorted(days)
    assert len({claim.name for claim in queue}) == 3


async def test_documents_are_listed_with_their_hash_and_their_titles_are_encrypted(
    client: StackClient,
) -> None:
    worker = await enrol(client, A)
    claim = await file(client, worker, at("10:20"))
    added = [await add_evidence(client, claim, kind) for kind in (1, 2, 3)]
    listed = await client.claims("adjudicator").ListEvidence(
        claims_pb2.ListEvidenceRequest(claim=claim.name)
    )
    titles = await client.rows("claims", "select title from evidence")
    readings = await client.rows(
        "claims",
        "select from audit where resource = :name and action like '%ListEvidenceRequest'",
        name=claim.name,
    )

    assert len(readings) == 1
    assert {one.name for one in listed.evidence} == {one.name for one in added}
    assert all(b"a document" not in bytes(row.title) for row in titles)


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"accident_time": moment_to_wire(at("10:20", date(2025, 7, 20)))}, "accident_time"),
        ({"place_of_injury": "Guangzhou"}, "place_of_injury"),
        ({"claimant_kind": 9}, "claimant_kind"),
        ({"worker": "somebody"}, "worker"),
        ({"death_date": date_pb2.Date(year=2025, month=7, day=14)}, "death_date"),
        ({"survivors": [claims_pb2.Survivor(survivor_id="child")]}, "survivors"),
    ],
)
async def test_what_cannot_be_is_refused_by_field(
    client: StackClient, facts: dict[str, object], field: str
) -> None:
    request = claim_request(client, 1, at("10:20"))
    request.MergeFrom(claims_pb2.CreateClaimRequest(**facts))  # type: ignore[arg-type]

    problem = await refused(client.claims("worker_agent", person="workers/1").CreateClaim(request))

    assert problem.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in problem.sentence


async def test_a_platform_lists_the_documents_that_it_added_to_a_claim_of_its_own(
    client: StackClient,
) -> None:
    worker = await enrol(client, A)
    claim = await file_by_platform(client, worker, at("10:20"))
    await add_evidence(client, claim, claims_pb2.Evidence.DIAGNOSIS)
    await add_evidence(client, claim, claims_pb2.Evidence.DIAGNOSIS, "platform", A)
    request = claims_pb2.ListEvidenceRequest(claim=claim.name)

    listed = await client.claims("platform", platform=A).ListEvidence(request)
    problem = await refused(client.claims("platform", platform=B).ListEvidence(request))
    added = await refused(add_evidence(client, claim, claims_pb2.Evidence.DIAGNOSIS, "platform", B))

    assert len(listed.evidence) == 1
    assert problem.code is grpc.StatusCode.NOT_FOUND
    assert added.code is grpc.StatusCode.NOT_FOUND


async def test_a_repeat_needs_no_other_service(
    client: StackClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await enrol(client, A)
    request = claim_request(client, worker, at("10:20"))
    stub = agent(client, worker)
    first = await stub.CreateClaim(request)
    channels = client.context("claims").channels
    monkeypatch.setattr(channels, "_addresses", {})
    monkeypatch.setattr(channels, "_open", {})

    assert await stub.CreateClaim(request) == first


async def test_a_claim_whose_documents_never_came_is_accepted_as_it_is(client: StackClient) -> None:
    worker = await enrol(client, A)
    filed = await file(client, worker, at("10:20"))
    await request_evidence(client, filed, "diagnosis")

    accepted = await accept(client, filed)

    assert accepted.state == claims_pb2.Claim.ACCEPTED
    assert accepted.step == claims_pb2.Claim.DETERMINATION
    assert list(accepted.requested_evidence) == ["diagnosis"]
