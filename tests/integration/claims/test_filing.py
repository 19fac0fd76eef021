"""Reports and claims come in, once each, and everybody sees of them what is theirs."""

from __future__ import annotations

import asyncio
from datetime import date

import grpc
import pytest
from google.type import date_pb2
from oip.claims.v1 import claims_pb2
from sqlalchemy import text

from services.runtime.rpc.wire import moment_to_wire
from tests.integration.claims.conftest import A, B, Office, at, reason_of

Enquiry = claims_pb2.DetermineClaimRequest.Enquiry
Judgement = claims_pb2.DetermineClaimRequest.Judgement


async def test_the_same_request_gets_the_same_claim(office: Office) -> None:
    worker = await office.enrol(A)
    await office.send(A, worker, ("n5", "10:00", "10:40"))
    request = office.claim_request(worker, at("10:20"))
    stub = office.claims("worker_agent")

    assert await stub.CreateClaim(request) == await stub.CreateClaim(request)


async def test_an_unknown_worker_is_not_found(office: Office) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await office.file(123, at("10:20"))

    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == (
        "There is no enrolled worker workers/123; look the worker up in enrolment and try again."
    )
    assert reason_of(caught.value) == "WORKER_UNKNOWN"


async def test_another_platforms_worker_is_as_unknown_as_nobody(office: Office) -> None:
    worker = await office.enrol(A)
    request = office.claim_request(worker, at("10:20"), claimant_kind=claims_pb2.PLATFORM)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await office.claims("platform", B).CreateClaim(request)

    assert reason_of(caught.value) == "WORKER_UNKNOWN"


async def test_the_same_accident_has_one_claim(office: Office) -> None:
    worker = await office.enrol(A)
    first = await office.file(worker, at("10:20"))

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await office.claims("platform", A).CreateClaim(
            office.claim_request(worker, at("10:20"), claimant_kind=claims_pb2.PLATFORM)
        )

    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert first.name in (caught.value.details() or "")


async def test_a_platform_sees_its_own_orders_in_a_shared_workers_claim(office: Office) -> None:
    worker = await office.enrol(A, B)
    await office.send(A, worker, ("n6", "10:00", "10:40"))
    await office.send(B, worker, ("n7", "10:05", "10:45"))
    claim = await office.determine(await office.accept(await office.file(worker, at("10:20"))))
    get = claims_pb2.GetClaimRequest(name=claim.name)

    seen = {p: await office.claims("platform", p).GetClaim(get) for p in (A, B)}

    assert len(claim.orders) == 2
    for platform, other in ((A, B), (B, A)):
        assert [order.order.split("/")[1] for order in seen[platform].orders] == [platform]
        assert other not in str(seen[platform])
        assert not seen[platform].description
    assert seen[B].orders[0].charge_percent == 100


async def test_a_platform_files_for_a_shared_worker_on_all_orders(office: Office) -> None:
    worker = await office.enrol(A, B)
    await office.send(A, worker, ("n8", "10:00", "10:40"))
    await office.send(B, worker, ("n9", "10:05", "10:45"))

    filed = await office.claims("platform", A).CreateClaim(
        office.claim_request(worker, at("10:20"), claimant_kind=claims_pb2.PLATFORM)
    )
    whole = await office.claims("adjudicator").GetClaim(claims_pb2.GetClaimRequest(name=filed.name))

    assert len(filed.orders) == 1
    assert len(whole.orders) == 2
    assert whole.description == "Hurt at a crossing."


async def test_a_claim_of_others_is_not_there_for_a_platform(office: Office) -> None:
    worker = await office.enrol(A)
    claim = await office.file(worker, at("10:20"))

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await office.claims("platform", B).GetClaim(claims_pb2.GetClaimRequest(name=claim.name))
    listed = await office.claims("platform", B).ListClaims(
        claims_pb2.ListClaimsRequest(worker=f"workers/{worker}")
    )

    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert not listed.claims


async def test_the_same_claim_filed_twice_at_once_is_one(office: Office) -> None:
    worker = await office.enrol(A)
    request = office.claim_request(worker, at("10:20"))
    stub = office.claims("worker_agent")

    first, second = await asyncio.gather(stub.CreateClaim(request), stub.CreateClaim(request))

    assert first == second


async def test_the_queue_is_paged_by_due_date(office: Office) -> None:
    worker = await office.enrol(A)
    for hour in range(3):
        claim = await office.file(worker, at(f"1{hour}:01"))
        if hour == 0:
            await office.accept(claim)
    desk = office.claims("adjudicator")
    found, token = list[claims_pb2.Claim](), ""
    while True:
        page = await desk.ListClaims(
            claims_pb2.ListClaimsRequest(worker=f"workers/{worker}", page_size=2, page_token=token)
        )
        found += page.claims
        token = page.next_page_token
        if not token:
            break

    days = [date(one.due_date.year, one.due_date.month, one.due_date.day) for one in found]
    assert days == sorted(days)
    assert len({one.name for one in found}) == 3


async def test_documents_are_listed_with_their_hash_and_their_titles_are_closed(
    office: Office,
) -> None:
    worker = await office.enrol(A)
    claim = await office.file(worker, at("10:20"))
    added = [await office.add(claim, kind) for kind in (1, 2, 3)]
    listed = await office.claims("adjudicator").ListEvidence(
        claims_pb2.ListEvidenceRequest(claim=claim.name)
    )
    async with office.stack.running["claims"].database.begin() as tx:
        titles = (await tx.execute(text("select title from evidence"))).scalars().all()
        readings = await tx.execute(
            text("select count(*) from audit where resource = :name"),
            {"name": f"{claim.name}/evidence"},
        )

        assert readings.scalar_one() == 1
    assert {one.name for one in listed.evidence} == {one.name for one in added}
    assert all(b"a document" not in bytes(title) for title in titles)


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
    office: Office, facts: dict[str, object], field: str
) -> None:
    request = office.claim_request(1, at("10:20"))
    request.MergeFrom(claims_pb2.CreateClaimRequest(**facts))  # type: ignore[arg-type]

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await office.claims("worker_agent").CreateClaim(request)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in (caught.value.details() or "")


async def test_a_platform_lists_the_documents_of_its_own_workers_claim_only(
    office: Office,
) -> None:
    worker = await office.enrol(A)
    claim = await office.file(worker, at("10:20"))
    await office.add(claim, claims_pb2.Evidence.DIAGNOSIS, "platform", A)
    request = claims_pb2.ListEvidenceRequest(claim=claim.name)

    listed = await office.claims("platform", A).ListEvidence(request)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await office.claims("platform", B).ListEvidence(request)
    with pytest.raises(grpc.aio.AioRpcError) as added:
        await office.add(claim, claims_pb2.Evidence.DIAGNOSIS, "platform", B)

    assert len(listed.evidence) == 1
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert added.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_repeat_needs_no_other_service(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await office.enrol(A)
    request = office.claim_request(worker, at("10:20"))
    stub = office.claims("worker_agent")
    first = await stub.CreateClaim(request)
    channels = office.stack.running["claims"].channels
    monkeypatch.setattr(channels, "_addresses", {})
    monkeypatch.setattr(channels, "_open", {})

    assert await stub.CreateClaim(request) == first


async def test_a_claim_whose_documents_never_came_is_accepted_as_it_is(office: Office) -> None:
    worker = await office.enrol(A)
    filed = await office.file(worker, at("10:20"))
    await office.claims("adjudicator").RequestEvidence(
        claims_pb2.RequestEvidenceRequest(
            request_id=office.new_id(), name=filed.name, items=["diagnosis"]
        )
    )

    accepted = await office.accept(filed)

    assert accepted.state == claims_pb2.Claim.ACCEPTED
    assert accepted.step == claims_pb2.Claim.DETERMINATION
    assert list(accepted.requested_evidence) == ["diagnosis"]
